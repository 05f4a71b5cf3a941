// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/intrusive_list.hpp"
#include "mirage/core/timer_wheel.hpp"
#include <coroutine>
#include <cstddef>

namespace mirage {

/// Work that waits to be run: one intrusive node with one function. Lives in whatever waits (an awaiter in a
/// coroutine frame), so posting allocates nothing; dying takes it off the queue.
class operation : public list_hook {
    friend class scheduler;
    void (*complete_)(operation&) noexcept;

public:
    explicit constexpr operation(void (*complete)(operation&) noexcept) noexcept : complete_{complete} {}
};

/// An operation that resumes a coroutine.
class resumption : public operation {
    std::coroutine_handle<> coroutine_;

public:
    constexpr resumption() noexcept
        : operation{[](operation& self) noexcept { static_cast<resumption&>(self).coroutine_.resume(); }} {}
    void set(std::coroutine_handle<> coroutine) noexcept { coroutine_ = coroutine; }
};

/// The cooperative loop's state: what is ready, what waits for a time, and the time. Knows neither devices nor a
/// clock: the platform's loop (os/run.hpp) or a test drives it.
class scheduler {
    intrusive_list<operation> ready_;
    timer_wheel timers_;
    instant now_{};

public:
    explicit scheduler(instant now = instant{}) noexcept { advance(now); }

    /// The time as of the last advance(): good enough for every deadline, and free.
    instant now() const noexcept { return now_; }

    /// Lets `op` run from the loop, after what is ready already; never from inside this call. Posting what is
    /// posted already moves it to the end.
    void post(operation& op) noexcept { ready_.push_back(op); }

    void arm(timer& t, instant deadline) noexcept { timers_.arm(t, deadline); }

    /// Runs what was ready at the time of the call, each once. Whether something ran.
    bool run_ready() noexcept {
        if (ready_.empty())
            return false;
        operation last{[](operation&) noexcept {}};
        ready_.push_back(last);
        for (;;) {
            operation* const op = ready_.pop_front();
            if (op == nullptr || op == &last)
                return true;
            op->complete_(*op);
        }
    }

    bool idle() const noexcept { return ready_.empty(); }

    /// Moves the time forward and fires what became due.
    void advance(instant now) noexcept {
        now_ = now > now_ ? now : now_;
        timers_.expire(now_);
    }

    /// When advance() is next needed; `never` when no timer is armed.
    instant next_deadline() noexcept { return timers_.next_deadline(); }

    /// Awaitable: lets everything else that is ready run first.
    auto yield() noexcept {
        struct awaiter : resumption {
            scheduler& home;
            explicit awaiter(scheduler& s) noexcept : home{s} {}
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                set(h);
                home.post(*this);
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }

    /// Awaitable: resumes when `deadline` has passed; at the next turn of the loop when it has already.
    auto sleep_until(instant deadline) noexcept {
        struct awaiter : timer {
            scheduler& home;
            instant deadline;
            std::coroutine_handle<> sleeper;
            awaiter(scheduler& s, instant d) noexcept
                : timer{[](timer& self) noexcept { static_cast<awaiter&>(self).sleeper.resume(); }}, home{s},
                  deadline{d} {}
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                sleeper = h;
                home.arm(*this, deadline);
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*this, deadline};
    }
    auto sleep_for(duration d) noexcept { return sleep_until(now_ + d); }
};

} // namespace mirage
