// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"

namespace mirage {

/// A level that coroutines wait for: set() releases all that wait and stays set until reset() or until a wait
/// consumes it. Must outlive its waiters' suspension, not the waiters. A waiter that is destroyed after set() and
/// before it ran takes its wake-up with it: whoever gives up a wait looks at what he waits for before the next one.
class event {
    scheduler& home_;
    intrusive_list<operation> waiters_;
    bool set_ = false;

public:
    explicit event(scheduler& home) noexcept : home_{home} {}

    scheduler& home() const noexcept { return home_; }
    bool is_set() const noexcept { return set_; }
    void reset() noexcept { set_ = false; }

    /// Wakes everybody through the scheduler's queue. With nobody waiting, the next wait() returns at once.
    void set() noexcept {
        if (waiters_.empty()) {
            set_ = true;
            return;
        }
        while (operation* const op = waiters_.pop_front())
            home_.post(*op);
    }

    /// Awaitable: returns at once, and resets, when the event is set; otherwise at the next set().
    auto wait() noexcept {
        struct awaiter : resumption {
            event& source;
            explicit awaiter(event& e) noexcept : source{e} {}
            bool await_ready() const noexcept {
                const bool was = source.set_;
                source.set_ = false;
                return was;
            }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                set(h);
                source.waiters_.push_back(*this);
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }
};

} // namespace mirage
