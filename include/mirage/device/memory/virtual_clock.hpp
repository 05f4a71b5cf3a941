// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/device/clock.hpp"
#include <concepts>

namespace mirage::memory {

/// TIME that moves when it is told to.
class virtual_clock {
    instant now_{};
    duration to_wall_;

public:
    /// `boot` is the wall time at monotonic zero; 2025-01-01 00:00:00 UTC when not given.
    explicit constexpr virtual_clock(wall_time boot = wall_time{std::chrono::seconds{1'735'689'600}}) noexcept
        : to_wall_{boot.time_since_epoch()} {}

    constexpr instant now() const noexcept { return now_; }
    constexpr wall_time wall() const noexcept { return wall_time{now_.time_since_epoch() + to_wall_}; }

    constexpr void advance(duration d) noexcept { now_ += d > duration::zero() ? d : duration::zero(); }
    constexpr void advance_to(instant t) noexcept { now_ = t > now_ ? t : now_; }
    /// Sets the wall clock forward or back; the monotonic time does not notice.
    constexpr void step_wall(duration by) noexcept { to_wall_ += by; }
};

static_assert(mirage::clock<virtual_clock>);

/// A loop over a virtual clock: runs what is ready, then jumps to the next deadline, with no time lost in between.
/// A whole simulation is therefore a function of its seeds.
class simulation {
    virtual_clock clock_;
    scheduler loop_;

public:
    explicit simulation(virtual_clock clock = virtual_clock{}) noexcept : clock_{clock}, loop_{clock.now()} {}

    scheduler& loop() noexcept { return loop_; }
    virtual_clock& clock() noexcept { return clock_; }
    instant now() const noexcept { return clock_.now(); }

    /// Runs what is ready until nothing is, without moving the time. False: still busy after `passes` turns.
    bool settle(std::size_t passes = 1'000'000) noexcept {
        while (passes-- > 0)
            if (!loop_.run_ready())
                return true;
        return false;
    }

    /// Runs until `done()`, or until `limit` has passed; the time stands at `limit` then. What done() says at last.
    template <std::predicate Done>
    bool run_until(Done done, instant limit) noexcept {
        for (;;) {
            while (!done() && loop_.run_ready()) {
            }
            if (done())
                return true;
            const instant next = loop_.next_deadline();
            if (clock_.now() >= limit)
                return false;
            clock_.advance_to(next < limit ? next : limit);
            loop_.advance(clock_.now());
        }
    }
    template <std::predicate Done>
    bool run_until(Done done, duration limit) noexcept {
        return run_until(done, clock_.now() + limit);
    }

    /// Lets `d` pass, with everything that happens meanwhile.
    void run_for(duration d) noexcept {
        (void)run_until([] { return false; }, d);
        (void)settle();
    }
};

} // namespace mirage::memory
