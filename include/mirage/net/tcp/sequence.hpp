// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>

namespace mirage::tcp {

/// A sequence number: arithmetic modulo 2^32. There is no operator<, because "before" is not transitive here.
/// RFC 9293 section 3.4
struct sequence {
    std::uint32_t value = 0;

    friend constexpr bool operator==(sequence, sequence) noexcept = default;
    friend constexpr sequence operator+(sequence s, std::uint32_t n) noexcept { return {s.value + n}; }
    friend constexpr sequence operator-(sequence s, std::uint32_t n) noexcept { return {s.value - n}; }
    constexpr sequence& operator+=(std::uint32_t n) noexcept {
        value += n;
        return *this;
    }
};

/// Octets from `from` to `to`; negative when `to` lies before. Meaningful within half the number space.
constexpr std::int32_t distance(sequence from, sequence to) noexcept {
    return static_cast<std::int32_t>(to.value - from.value);
}
constexpr bool before(sequence a, sequence b) noexcept { return distance(a, b) > 0; }
constexpr bool at_or_before(sequence a, sequence b) noexcept { return distance(a, b) >= 0; }
constexpr bool after(sequence a, sequence b) noexcept { return before(b, a); }

/// Octets from `from` up to `to`, which is not before it.
constexpr std::uint32_t octets_between(sequence from, sequence to) noexcept { return to.value - from.value; }

constexpr sequence later(sequence a, sequence b) noexcept { return before(a, b) ? b : a; }

} // namespace mirage::tcp
