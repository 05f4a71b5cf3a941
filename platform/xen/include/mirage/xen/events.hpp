// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/time.hpp"
#include "mirage/xen/hypercall.hpp"
#include "mirage/xen/machine.hpp"
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mirage::xen {

/// The domain's event channels, two-level ABI, without interrupts: every channel stays masked, so Xen interrupts nobody,
/// and its pending bit is looked at instead. The bit is state: what comes between a look and the sleep makes
/// SCHEDOP_poll return at once, so no wake-up can be lost.
class event_channels {
public:
    /// How many channels can be waited for: SCHEDOP_poll takes no more.
    static constexpr std::size_t max_attached = 128;

private:
    std::array<evtchn_port_t, max_attached> ports_{};
    std::array<event*, max_attached> events_{};
    unsigned count_ = 0;

    static std::atomic_ref<xen_ulong_t> word_of(evtchn_port_t port) noexcept {
        return std::atomic_ref{machine::shared().evtchn_pending[port / 64 % 64]};
    }

    static bool take(evtchn_port_t port) noexcept {
        const xen_ulong_t bit = xen_ulong_t{1} << port % 64;
        const auto word = word_of(port);
        if ((word.load(std::memory_order_relaxed) & bit) == 0)
            return false;
        // In sequence with what the event makes its owner read: an event that comes after this sets the bit again.
        word.fetch_and(~bit, std::memory_order_seq_cst);
        return true;
    }

public:
    constexpr event_channels() noexcept = default;
    event_channels(const event_channels&) = delete;
    event_channels& operator=(const event_channels&) = delete;

    /// A new channel that `peer` may bind to. errc::no_buffers: the domain may have no more.
    [[gnu::noinline]] result<evtchn_port_t> allocate(domid_t peer) noexcept {
        evtchn_alloc_unbound argument{.dom = DOMID_SELF, .remote_dom = peer, .port = 0};
        if (const long r = event_channel_op(EVTCHNOP_alloc_unbound, &argument); r != 0)
            return std::unexpected(error_of(r));
        return argument.port;
    }

    /// Makes the channel pending at its other end. One hypercall.
    void notify(evtchn_port_t port) noexcept {
        evtchn_send argument{.port = port};
        (void)event_channel_op(EVTCHNOP_send, &argument);
    }

    /// From now on `e` is set each time the channel has become pending; `e` lives until detach() or close().
    /// errc::no_buffers: max_attached channels are attached.
    [[gnu::noinline]] result<> attach(evtchn_port_t port, event& e) noexcept {
        if (count_ == max_attached)
            return std::unexpected(errc::no_buffers);
        ports_[count_] = port;
        events_[count_++] = &e;
        return {};
    }

    [[gnu::noinline]] void detach(evtchn_port_t port) noexcept {
        for (unsigned i = 0; i < count_; ++i)
            if (ports_[i] == port) {
                ports_[i] = ports_[--count_];
                events_[i] = events_[count_];
                return;
            }
    }

    /// Detaches the channel, and gives it back to Xen.
    [[gnu::noinline]] void close(evtchn_port_t port) noexcept {
        detach(port);
        evtchn_close argument{.port = port};
        (void)event_channel_op(EVTCHNOP_close, &argument);
        (void)take(port);
    }

    /// Sets the events of the channels that have become pending since. Whether there were any.
    bool dispatch() noexcept {
        bool any = false;
        for (unsigned i = 0; i < count_; ++i)
            if (take(ports_[i])) {
                events_[i]->set();
                any = true;
            }
        return any;
    }

    /// Sleeps until an attached channel is pending or `deadline` has passed, and dispatches; only dispatches when it has
    /// passed already, or when a channel is pending already. May return sooner: with another number of channels than
    /// one, Xen ends the sleep for any channel of the domain.
    void wait(instant deadline) noexcept {
        if (dispatch() || deadline <= this_machine.now())
            return;
        sched_poll argument{};
        argument.ports.p = ports_.data();
        argument.nr_ports = count_;
        argument.timeout = deadline == never ? 0 : this_machine.system_time_of(deadline);
        sched_op(SCHEDOP_poll, &argument);
        (void)dispatch();
    }

    std::size_t attached() const noexcept { return count_; }

    /// After a resume elsewhere: the channels there were are gone, and so is what was attached to them.
    void forget() noexcept { count_ = 0; }
};

inline constinit event_channels this_events;

} // namespace mirage::xen
