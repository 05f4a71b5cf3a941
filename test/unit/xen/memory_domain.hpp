// SPDX-License-Identifier: MIT
// A domain in memory: what a frontend stands on, with a store's daemon, and a time that goes on when it is told to.
#pragma once
#include "channel_book.hpp"
#include "grant_book.hpp"
#include "mirage/xen/domain.hpp"
#include "store_daemon.hpp"
#include <functional>
#include <vector>

namespace mirage::xen::test {

class memory_domain {
    scheduler loop_{};
    intrusive_list<resume_hook> on_resume_{};
    evtchn_port_t store_port_ = 0;
    xenstore store_{loop_};

public:
    grant_book book{};
    channel_book channels{};
    store_daemon daemon;
    /// What else there is in the world: backends, toolstacks. Each does what it can, and says whether that was anything.
    std::vector<std::function<bool()>> others{};

    explicit memory_domain(domid_t own = 5) : daemon{own} {
        store_port_ = *channels.allocate(0);
        check(store_.open(&daemon.page(), channels, store_port_).has_value(), "memory_domain: no store");
    }

    // What frontends see.
    scheduler& loop() noexcept { return loop_; }
    grant_book& grants() noexcept { return book; }
    channel_book& events() noexcept { return channels; }
    xenstore& store() noexcept { return store_; }
    instant now() noexcept { return loop_.now(); }
    void on_resume(resume_hook& hook) noexcept { on_resume_.push_back(hook); }

    evtchn_port_t store_port() const noexcept { return store_port_; }

    /// One step of everything; whether anything happened.
    bool turn() {
        bool any = loop_.run_ready();
        if (daemon.serve()) {
            (void)channels.fire(store_port_);
            any = true;
        }
        for (auto& other : others)
            any = other() || any;
        return any;
    }
    /// Until nothing happens any more without time passing. False: it never ends.
    bool settle(std::size_t most = 1'000'000) {
        while (turn())
            if (most-- == 0)
                return false;
        return true;
    }
    /// Lets time pass, with everything that it brings.
    void pass(duration d) {
        const instant end = loop_.now() + d;
        (void)settle();
        while (loop_.next_deadline() <= end) {
            loop_.advance(loop_.next_deadline());
            (void)settle();
        }
        loop_.advance(end);
        (void)settle();
    }

    /// The domain goes on elsewhere: channels and grants are gone, the store's ring is empty. What the toolstack there does
    /// with the devices' nodes, it does before (in `devices`).
    void move(const std::function<void()>& devices = [] {}) {
        daemon.start_again();
        devices();
        channels.clear();
        book.clear();
        store_port_ = *channels.allocate(0);
        check(store_.reopen(&daemon.page(), channels, store_port_).has_value(), "memory_domain: no store");
        for (resume_hook& hook : on_resume_)
            hook.resumed();
    }
};
static_assert(domain<memory_domain>);

/// Runs a task on the domain as far as it gets, and keeps it.
template <class T>
class running {
    task<T> task_;
    bool done_ = false;

public:
    running(memory_domain& home, task<T> t) : task_{std::move(t)} {
        task_.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done_);
        (void)home.settle();
    }
    bool done() const noexcept { return done_; }
    T take() {
        check(done_, "running: it has not ended");
        return task_.take();
    }
};

} // namespace mirage::xen::test
