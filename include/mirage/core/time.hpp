// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <cstdint>

namespace mirage {

/// Nanoseconds, signed: 292 years.
using duration = std::chrono::duration<std::int64_t, std::nano>;

/// The time base of all deadlines: monotonic, zero at boot (or at an arbitrary point before it).
struct monotonic {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = mirage::duration;
    using time_point = std::chrono::time_point<monotonic, duration>;
    static constexpr bool is_steady = true;
};

/// A point of monotonic time.
using instant = monotonic::time_point;

/// A point of UTC time, nanoseconds since the Unix epoch, leap seconds not counted.
using wall_time = std::chrono::time_point<std::chrono::system_clock, duration>;

/// "Never", as a deadline.
inline constexpr instant never = instant::max();

} // namespace mirage
