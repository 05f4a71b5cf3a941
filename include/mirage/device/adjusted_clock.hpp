// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/clock.hpp"

namespace mirage {

/// Another clock with its wall time put right: what a time protocol sets. The monotonic time is that of the other
/// clock, which must live longer, and never changes its pace or steps.
template <clock Clock>
class adjusted_clock {
    const Clock& base_;
    duration offset_{};

public:
    explicit constexpr adjusted_clock(const Clock& base) noexcept : base_{base} {}

    constexpr instant now() const noexcept { return base_.now(); }
    constexpr wall_time wall() const noexcept { return base_.wall() + offset_; }

    /// Moves the wall time by `by`, forward or back.
    constexpr void adjust(duration by) noexcept { offset_ += by; }
    /// By how much the wall time differs from that of the other clock.
    constexpr duration offset() const noexcept { return offset_; }
};

} // namespace mirage
