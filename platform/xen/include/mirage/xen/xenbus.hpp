// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/xen/domain.hpp"
#include <concepts>
#include <cstdint>
#include <string_view>

namespace mirage::xen {

/// What either end of a device says of itself (xen/io/xenbus.h).
enum class bus_state : std::uint8_t {
    unknown = XenbusStateUnknown,
    initialising = XenbusStateInitialising,
    init_wait = XenbusStateInitWait,
    initialised = XenbusStateInitialised,
    connected = XenbusStateConnected,
    closing = XenbusStateClosing,
    closed = XenbusStateClosed,
    reconfiguring = XenbusStateReconfiguring,
    reconfigured = XenbusStateReconfigured,
    absent = 15, ///< it is gone, or says nothing that is a number
};

/// Some of the states.
class bus_states {
    std::uint16_t bits_ = 0;

public:
    // Not an initializer list: GCC 12 cannot keep its array across a co_await.
    template <std::same_as<bus_state>... States>
    constexpr bus_states(States... all) noexcept
        : bits_{static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(all))))} {}
    constexpr bool has(bus_state s) const noexcept { return (bits_ >> static_cast<unsigned>(s) & 1) != 0; }
};

class frontend;

/// What is particular to one kind of device; the frontend calls it in this order, and again from the beginning after
/// disconnect() or forget(). An error of a step ends the attempt; it is repeated when something changes, or later.
class frontend_driver {
public:
    /// The state that follows publish(): the one in which the backend looks at what was published.
    bus_state published = bus_state::initialised;

    /// The backend is there and waits. Learns what it can, and makes rings and channel for it.
    virtual task<result<>> negotiate(frontend& bus) = 0;
    /// Writes the keys of rings and channel below bus.path(). May be called several times, as transactions are.
    virtual task<result<>> publish(frontend& bus, store_transaction& t) = 0;
    /// The backend is connected. `first`: learns the rest, and begins to work. Later: something of the backend's has changed.
    virtual task<result<>> attend(frontend& bus, bool first) = 0;

    /// Stops working, and takes everything back. False: the backend has pages mapped still; asked again later.
    virtual bool disconnect() noexcept = 0;
    /// Stops working; grants and channels are gone already. Called outside of any coroutine, at any point of the above.
    virtual void forget() noexcept = 0;
    /// Whether the backend broke the rules of the rings. Set bus.changed() when that becomes true.
    virtual bool broken() const noexcept = 0;

protected:
    ~frontend_driver() = default;
};

/// Our end of one device, `device/KIND/NUMBER` in the store: finds its backend, goes through the states with it, and
/// begins anew whenever the backend closes, is detached, attached or restarted, or the domain goes on elsewhere. One
/// state machine for all kinds of devices; nothing of it is on the path of data.
class frontend {
public:
    /// What it does now, or had not got past when an attempt failed.
    enum class stage : std::uint8_t { looking, clearing, waiting, negotiating, publishing, connecting, serving };

private:
    struct hook final : resume_hook {
        frontend& home;
        explicit hook(frontend& f) noexcept
            : resume_hook{[](resume_hook& h) noexcept { static_cast<hook&>(h).home.resumed(); }}, home{f} {}
    };

    /// Has a device looked at that failed, for what no watch tells.
    struct reminder final : timer {
        event& changed;
        explicit reminder(event& e) noexcept
            : timer{[](timer& t) noexcept { static_cast<reminder&>(t).changed.set(); }}, changed{e} {}
    };

    static constexpr std::uint64_t nothing = ~std::uint64_t{0};

    scheduler& loop_;
    xenstore& store_;
    frontend_driver& driver_;
    std::string_view kind_;
    hook hook_{*this};
    line<32> path_;
    line<96> backend_;
    domid_t backend_id_ = 0;
    event changed_, settled_;
    reminder reminder_{changed_};
    store_watch link_watch_, backend_watch_;
    store_exchange state_change_;
    task<> running_;
    std::uint32_t number_ = 0;
    std::uint32_t generation_ = 0; ///< how often the domain was resumed elsewhere
    std::uint32_t attempt_ = 0;    ///< in which of these the present attempt began
    errc failure_{};
    stage stage_ = stage::looking;
    bool up_ = false;

public:
    /// `kind`: "vif", "vbd"; static text. `driver` outlives the frontend.
    template <domain Domain>
    frontend(Domain& home, std::string_view kind, frontend_driver& driver) noexcept
        : loop_{home.loop()}, store_{home.store()}, driver_{driver}, kind_{kind}, changed_{home.loop()},
          settled_{home.loop()} {
        home.on_resume(hook_);
    }

    /// Connects the device of this kind that is `order`th by number; waits until it is up or cannot be. errc::not_found:
    /// there are fewer.
    [[nodiscard]] task<result<>> connect(std::size_t order);

    /// Begins to connect device `number` and to keep it connected, for as long as this lives. errc::no_buffers: memory
    /// is short.
    result<> start(std::uint32_t number) noexcept;

    /// Waits for the first attempt to be over: whether the device is up, or what went wrong in stage().
    [[nodiscard]] task<result<>> settled();

    bool up() const noexcept { return up_; }
    enum stage stage() const noexcept { return stage_; }
    /// For a message: "waited for …".
    std::string_view waits_for() const noexcept;

    /// Our folder, below our domain's own.
    std::string_view path() const noexcept { return path_.view(); }
    std::uint32_t number() const noexcept { return number_; }
    std::string_view backend_path() const noexcept { return backend_.view(); }
    domid_t backend_id() const noexcept { return backend_id_; }
    xenstore& store() const noexcept { return store_; }
    scheduler& loop() const noexcept { return loop_; }
    /// To have the device looked at again: something has changed.
    event& changed() noexcept { return changed_; }

    /// What the backend says under `key`; `otherwise`, when it says nothing, or no number.
    [[nodiscard]] task<std::uint64_t> number_of(std::string_view key, std::uint64_t otherwise) {
        return number_at({backend_path(), key}, otherwise);
    }

    /// Tells the backend our state; unless the device is gone (errc::not_found). For the driver: only
    /// reconfiguring and the like; the frontend does the rest.
    [[nodiscard]] task<result<>> switch_to(bus_state s) { return change_state(s, false); }

private:
    void resumed() noexcept;
    task<> run();
    result<> outcome() const noexcept { return up_ ? result<>{} : std::unexpected(failure_); }
    task<std::uint64_t> number_at(store_path path, std::uint64_t otherwise);
    task<result<>> find_backend();
    task<result<>> work_of(enum stage s);
    task<result<>> attempt();
    task<result<>> change_state(bus_state s, bool publishes);
    task<result<>> step(bus_state own, bus_states wanted, bus_states fatal);
};

} // namespace mirage::xen

#include "mirage/xen/xenbus/impl.hpp"
