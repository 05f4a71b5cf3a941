// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/core/task.hpp"
#include "mirage/xen/xenstore/error.hpp"
#include "mirage/xen/xenstore/operations.hpp"
#include "mirage/xen/xenstore/reply_reader.hpp"
#include "mirage/xen/xenstore/session.hpp"
#include <array>
#include <concepts>

namespace mirage::xen {

/// A watch: while it lives, its event is set when the node or anything below it changes, and once at the beginning.
class store_watch : public store_session_owner {
    using store_session_owner::store_session_owner;
};

/// What is done in it is done as a whole, or not at all. See xenstore::transact.
class store_transaction : public store_operations {
    friend class xenstore;
    using store_operations::store_operations;
};

/// The work of a transaction: gives a node that is there another value, unless it has that value, and keeps what it was.
/// errc::not_found: it is not there.
struct store_exchange {
    store_path path{};
    std::string_view text{};
    store_value was{};
    /// What else is written when the node is there, whatever its value.
    task<result<>> (*more)(void* argument, store_transaction& t) = nullptr;
    void* argument = nullptr;

    task<result<>> operator()(store_transaction& t);
};

/// The domain's connection to the xenstore: requests side by side, watches, transactions. Everything that waits for a
/// reply is memory of whoever waits; the store's own memory does not grow with what the other end says.
///
/// Survives a resume elsewhere, and a store that starts the ring again: requests are sent once more, watches are
/// registered once more (and fire), transactions begin once more.
class xenstore : public store_operations {
    friend class store_session;

    scheduler& loop_;
    store_ring ring_;
    reply_reader reader_;
    intrusive_list<store_request> queued_, sent_;
    intrusive_list<store_session, session_hook> watches_;
    event doorbell_;
    task<> serving_;
    void (*notify_)(void* events, evtchn_port_t port) noexcept = nullptr;
    void* events_ = nullptr;
    evtchn_port_t port_ = 0;
    store_value incoming_;        ///< the payload that is arriving, when it is wanted
    store_value outgoing_;        ///< a message that is longer than the ring, while it leaves
    std::uint32_t left_ = 0;      ///< octets of it that have left
    std::array<char, 16> text_{}; ///< an error's name, a watch's token
    std::uint32_t last_id_ = 0, last_token_ = 0;
    std::uint32_t epoch_now_ = 1;
    std::uint16_t sessions_ = 0;
    bool waiting_ = false; ///< for the store, to start the ring again
    bool broken_ = false;

    static constexpr std::uint32_t header_size = sizeof(xsd_sockmsg);
    static constexpr std::uint32_t token_size = 8; ///< in the last octets of an event, between two NULs

    template <class Value>
    friend class store_operation;
    friend class store_operations;

public:
    /// Watches and transactions there can be, with those that the store has not answered the end of.
    static constexpr std::uint16_t most_sessions = 1024;
    /// How often transact() tries before it gives up.
    static constexpr unsigned attempts = 64;

    explicit xenstore(scheduler& loop) noexcept : store_operations{*this}, loop_{loop}, doorbell_{loop} {}
    xenstore(const xenstore&) = delete;
    xenstore& operator=(const xenstore&) = delete;
    ~xenstore();

    /// Connects by the page and the channel that the toolstack made. `events` attaches and notifies (see `domain`).
    /// errc::no_buffers: memory or channels are short.
    template <class Events>
    result<> open(xenstore_domain_interface* page, Events& events, evtchn_port_t port) noexcept {
        if (const auto r = attach(events, port); !r)
            return r;
        if (!serving_) {
            serving_ = serve();
            if (!serving_)
                return std::unexpected(errc::no_buffers);
        }
        ring_.open(page);
        waiting_ = !ring_.connected();
        serving_.start([](void*) noexcept {}, nullptr);
        return {};
    }

    /// Goes on after a resume elsewhere, where the page is what it was and the channel is another.
    template <class Events>
    result<> reopen(xenstore_domain_interface* page, Events& events, evtchn_port_t port) noexcept {
        if (const auto r = attach(events, port); !r)
            return r;
        ring_.open(page);
        waiting_ = !ring_.connected();
        broken_ = false;
        if (!waiting_)
            begin_again();
        return {};
    }

    scheduler& loop() const noexcept { return loop_; }
    /// Whether nothing can be had from it: it was never opened, or it has broken the protocol.
    bool unusable() const noexcept { return broken_ || !ring_.is_open(); }

    /// Has `changed` set whenever the node at `path`, or anything below it, changes; it need not exist. Also set once at
    /// the beginning, so look at the node after, never before. `changed` outlives the watch, which is `into`.
    [[nodiscard]] task<result<>> watch(store_watch& into, store_path path, event& changed);

    /// Does `work(store_transaction&)`, which gives a task<result<>>, in a transaction; again, when somebody else has
    /// changed what it looked at. Its error undoes it and is given on. errc::would_block: somebody else always
    /// did; errc::no_buffers: the store lets us have no more of them at a time, and that has not changed for a while.
    /// A `work` with a name lives until the task has ended; one without is kept.
    template <class Work>
    [[nodiscard]] task<result<>> transact(Work&& work) {
        if constexpr (std::is_lvalue_reference_v<Work>)
            return transact_by(const_cast<void*>(static_cast<const void*>(&work)),
                               [](void* w, store_transaction& t) {
                                   return (*static_cast<std::remove_reference_t<Work>*>(w))(t);
                               });
        else
            return keep(std::forward<Work>(work));
    }

private:
    /// Awaitable: what the store says to a session's beginning or end.
    struct answer {
        store_session& session;
        std::uint16_t type;
        ~answer() { session.waiting_ = nullptr; }
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) const noexcept;
        result<> await_resume() const noexcept {
            return session.failed() ? result<>{std::unexpected(session.failure_)} : result<>{};
        }
    };

    template <class Events>
    result<> attach(Events& events, evtchn_port_t port) noexcept {
        events_ = &events;
        port_ = port;
        notify_ = [](void* e, evtchn_port_t p) noexcept { static_cast<Events*>(e)->notify(p); };
        return events.attach(port, doorbell_);
    }
    void notify() noexcept { notify_(events_, port_); }

    template <class Work>
    task<result<>> keep(Work work) {
        co_return co_await transact(work);
    }
    task<result<>> transact_by(void* work, task<result<>> (*call)(void*, store_transaction&));
    store_session* make_session(std::size_t text) noexcept;
    store_session* make_watch(const store_path& path, event& changed) noexcept;
    task<> serve();
    void submit(store_request& r) noexcept;
    void end(store_request& r, errc failure) noexcept;
    void turn() noexcept;
    bool receive() noexcept;
    bool send() noexcept;
    void begin_message() noexcept;
    void end_message() noexcept;
    void ring_watch() noexcept;
    store_request* find(std::uint32_t id) noexcept;
    void begin_again() noexcept;
    void lose_faith() noexcept;
};

} // namespace mirage::xen

#include "mirage/xen/xenstore/impl.hpp"
