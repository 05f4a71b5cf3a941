// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

namespace test {

/// A text as a template argument.
template <std::size_t Size>
struct literal {
    std::array<char, Size> text{};
    consteval literal(const char (&from)[Size]) noexcept { std::copy_n(from, Size, text.begin()); }
};

/// The value of a hexadecimal digit; -1 for what is none.
constexpr int digit(char c) noexcept {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Octets written as pairs of hexadecimal digits, parted as one likes: "45 00  0054"_hex.
template <literal Text>
consteval auto operator""_hex() noexcept {
    constexpr auto digits = [] {
        std::size_t n = 0;
        for (const char c : Text.text)
            n += digit(c) >= 0;
        return n;
    }();
    static_assert(digits % 2 == 0, "hex: half an octet");
    std::array<std::byte, digits / 2> made{};
    std::size_t at = 0;
    for (const char c : Text.text) {
        if (digit(c) < 0)
            continue;
        made[at / 2] = static_cast<std::byte>(std::to_integer<int>(made[at / 2]) << 4 | digit(c));
        ++at;
    }
    return made;
}

/// What `value.emit(room, more...)` writes to room of this size, first filled with 0xff to find gaps.
template <std::size_t Size, class Value, class... More>
constexpr std::array<std::byte, Size> emitted(const Value& value, More... more) noexcept {
    std::array<std::byte, Size> room{};
    room.fill(std::byte{0xff});
    value.emit(mirage::mutable_octets{room}, more...);
    return room;
}

constexpr bool same(mirage::octets a, mirage::octets b) noexcept {
    return std::ranges::equal(a, b);
}

/// A copy of `from` with the octet at `at` replaced.
template <std::size_t Size>
constexpr std::array<std::byte, Size> with(std::array<std::byte, Size> from, std::size_t at,
                                           unsigned octet) noexcept {
    from[at] = static_cast<std::byte>(octet);
    return from;
}

/// Seeded octets and numbers.
class dice {
    std::mt19937 engine_;

public:
    explicit dice(std::uint32_t seed) : engine_{seed} {}
    /// In [0, below).
    std::uint32_t operator()(std::uint32_t below) { return static_cast<std::uint32_t>(engine_()) % below; }
    std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }
    std::uint16_t half() { return static_cast<std::uint16_t>(engine_()); }
    bool coin() { return (engine_() & 1) != 0; }
    std::vector<std::byte> octets(std::size_t size) {
        std::vector<std::byte> made(size);
        for (auto& o : made)
            o = static_cast<std::byte>(engine_());
        return made;
    }
};

/// The text of RFC 1071 section 4.1, as simple as it gets: the sum, not complemented.
inline std::uint16_t naive_sum(mirage::octets data) {
    std::uint32_t s = 0;
    for (std::size_t i = 0; i < data.size(); ++i) {
        s += std::to_integer<std::uint32_t>(data[i]) << (i % 2 == 0 ? 8 : 0);
        s = (s & 0xffff) + (s >> 16);
    }
    return static_cast<std::uint16_t>(s);
}

} // namespace test
