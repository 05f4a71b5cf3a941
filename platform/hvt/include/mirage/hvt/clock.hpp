// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/device/clock.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"

namespace mirage::hvt {

class platform;

/// Monotonic time from the TSC; UTC from the tender, asked at most once a second and carried on by the TSC.
class clock {
    static constexpr duration trust = std::chrono::seconds{1};
    mutable instant asked_{};
    mutable wall_time answer_{};

public:
    explicit clock(platform&) noexcept {}
    static result<> open() noexcept { return {}; }

    static instant now() noexcept { return this_machine.now(); }

    wall_time wall() const noexcept {
        const instant t = now();
        if (answer_ == wall_time{} || t - asked_ > trust) {
            answer_ = wall_time{duration{static_cast<std::int64_t>(walltime())}};
            asked_ = t;
        }
        return answer_ + (t - asked_);
    }
};

static_assert(mirage::clock<clock>);

} // namespace mirage::hvt
