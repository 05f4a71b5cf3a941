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

/// Comparisons of instants and durations, for the sake of speed and size: the library's goes through a three-way comparison, which compilers
/// that optimise for size leave as a call of a function that calls a function. std::min and its like find these, too.
[[gnu::always_inline]] constexpr bool operator<(instant a, instant b) noexcept {
    return a.time_since_epoch().count() < b.time_since_epoch().count();
}
[[gnu::always_inline]] constexpr bool operator<(duration a, duration b) noexcept { return a.count() < b.count(); }
[[gnu::always_inline]] constexpr bool operator>(instant a, instant b) noexcept { return b < a; }
[[gnu::always_inline]] constexpr bool operator<=(instant a, instant b) noexcept { return !(b < a); }
[[gnu::always_inline]] constexpr bool operator>=(instant a, instant b) noexcept { return !(a < b); }

} // namespace mirage
