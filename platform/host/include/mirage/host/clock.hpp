// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/clock.hpp"
#include "mirage/host/machine.hpp"
#include <ctime>

namespace mirage::host {

/// TIME from the kernel's clocks, without a system call where the vDSO serves them. Monotonic time is zero at
/// the start of the process.
class clock {
    const machine* home_;

public:
    explicit clock(machine& home) noexcept : home_{&home} {}

    instant now() const noexcept { return home_->now(); }
    wall_time wall() const noexcept {
        timespec t{};
        ::clock_gettime(CLOCK_REALTIME, &t);
        return wall_time{std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec}};
    }
};

static_assert(mirage::clock<clock>);

} // namespace mirage::host
