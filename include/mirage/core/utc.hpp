// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/time.hpp"
#include <chrono>

namespace mirage {

/// A point of wall time as text: "2026-01-31T12:34:56.789012Z" (RFC 3339 section 5.6).
struct utc {
    wall_time time;
};

inline line_builder& operator<<(line_builder& out, const utc& moment) noexcept {
    using namespace std::chrono;
    const auto [t] = moment;
    const auto day = floor<days>(t);
    const year_month_day date{day};
    const auto us = static_cast<std::uint64_t>(floor<microseconds>(t - day).count()), s = us / 1'000'000;
    out.digits(static_cast<std::uint64_t>(int{date.year()}), 10, 4).put('-');
    out.digits(unsigned{date.month()}, 10, 2).put('-').digits(unsigned{date.day()}, 10, 2).put('T');
    out.digits(s / 3600, 10, 2).put(':').digits(s / 60 % 60, 10, 2).put(':').digits(s % 60, 10, 2);
    return out.put('.').digits(us % 1'000'000, 10, 6).put('Z');
}

} // namespace mirage
