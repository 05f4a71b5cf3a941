// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/core/time.hpp"
#include <array>
#include <concepts>
#include <span>
#include <string_view>

namespace mirage {

/// Text put together with `<<` in memory of a fixed size. What does not fit is cut off, and truncated() says so;
/// nothing is allocated. For text of one's own type, write `line_builder& operator<<(line_builder&, const T&)`.
class line_builder {
    std::span<char> room_;
    std::size_t size_ = 0;
    bool truncated_ = false;

public:
    [[gnu::noinline]] explicit constexpr line_builder(std::span<char> room) noexcept : room_{room} {}
    line_builder(const line_builder&) = delete;
    line_builder& operator=(const line_builder&) = delete;

    constexpr std::string_view view() const noexcept { return {room_.data(), size_}; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool truncated() const noexcept { return truncated_; }
    constexpr void clear() noexcept {
        size_ = 0;
        truncated_ = false;
    }

    /// One character as it is.
    constexpr line_builder& put(char c) noexcept {
        if (size_ < room_.size())
            room_[size_++] = c;
        else
            truncated_ = true;
        return *this;
    }
    constexpr line_builder& put(std::string_view text) noexcept {
        for (const char c : text)
            put(c);
        return *this;
    }

    /// Digits of `value` in `base` (2-16), at least `width` of them, filled up with `fill` at the left.
    constexpr line_builder& digits(std::uint64_t value, unsigned base = 10, unsigned width = 0,
                                   char fill = '0') noexcept {
        std::array<char, 64> reversed;
        unsigned count = 0;
        do {
            reversed[count++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        for (unsigned i = count; i < width; ++i)
            put(fill);
        while (count > 0)
            put(reversed[--count]);
        return *this;
    }
};

/// `hex{value}` and `hex{value, width}`: base 16 with leading zeros, no "0x".
struct hex {
    std::uint64_t value = 0;
    unsigned width = 0; ///< least number of digits
};

constexpr line_builder& operator<<(line_builder& l, std::string_view text) noexcept { return l.put(text); }
constexpr line_builder& operator<<(line_builder& l, const char* text) noexcept {
    return l.put(std::string_view{text});
}
constexpr line_builder& operator<<(line_builder& l, std::same_as<char> auto c) noexcept { return l.put(c); }
constexpr line_builder& operator<<(line_builder& l, std::same_as<bool> auto b) noexcept {
    return l.put(b ? std::string_view{"true"} : std::string_view{"false"});
}

/// Decimal; std::uint8_t and std::byte are numbers too, not characters.
template <std::integral T>
    requires(!std::same_as<T, char> && !std::same_as<T, bool>)
constexpr line_builder& operator<<(line_builder& l, T value) noexcept {
    if constexpr (std::signed_integral<T>) {
        if (value < 0)
            return l.put('-').digits(~static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) + 1);
    }
    return l.digits(static_cast<std::uint64_t>(value));
}
constexpr line_builder& operator<<(line_builder& l, hex h) noexcept { return l.digits(h.value, 16, h.width); }
constexpr line_builder& operator<<(line_builder& l, errc e) noexcept { return l.put(message(e)); }

constexpr line_builder& operator<<(line_builder& l, mac_address mac) noexcept {
    for (std::size_t i = 0; i < mac.octet.size(); ++i) {
        if (i != 0)
            l.put(':');
        l.digits(mac.octet[i], 16, 2);
    }
    return l;
}
constexpr line_builder& operator<<(line_builder& l, ipv4_address a) noexcept {
    for (unsigned i = 0; i < 4; ++i) {
        if (i != 0)
            l.put('.');
        l.digits(a.octet(i));
    }
    return l;
}
constexpr line_builder& operator<<(line_builder& l, ipv4_prefix p) noexcept {
    return (l << p.address).put('/').digits(p.length);
}
constexpr line_builder& operator<<(line_builder& l, ipv4_endpoint e) noexcept {
    return (l << e.address).put(':').digits(e.port);
}
/// The one text of RFC 5952: lower case, no leading zeros, "::" for the longest run of two or more zero groups, the
/// first of equals.
constexpr line_builder& operator<<(line_builder& l, const ipv6_address& a) noexcept {
    if (a.is_mapped()) // RFC 5952 section 5
        return l.put("::ffff:") << a.embedded();
    unsigned from = 8, length = 1;
    for (unsigned i = 0; i < 8; ++i) {
        unsigned zeros = 0;
        while (i + zeros < 8 && a.group(i + zeros) == 0)
            ++zeros;
        if (zeros > length) {
            from = i;
            length = zeros;
        }
    }
    for (unsigned i = 0; i < 8; ++i) {
        if (i == from) {
            l.put("::");
            i += length - 1;
            continue;
        }
        if (i != 0 && i != from + length)
            l.put(':');
        l.digits(a.group(i), 16);
    }
    return l;
}
constexpr line_builder& operator<<(line_builder& l, const ipv6_prefix& p) noexcept {
    return (l << p.address).put('/').digits(p.length);
}
constexpr line_builder& operator<<(line_builder& l, const ipv6_endpoint& e) noexcept { // RFC 5952 section 6
    return (l.put('[') << e.address).put("]:").digits(e.port);
}
constexpr line_builder& operator<<(line_builder& l, const std::same_as<ip_address> auto& a) noexcept {
    return a.is_ipv4() ? l << a.v4() : l << a.v6();
}
constexpr line_builder& operator<<(line_builder& l, const std::same_as<ip_endpoint> auto& e) noexcept {
    return e.address.is_ipv4() ? l << ipv4_endpoint{e.address.v4(), e.port} : l << ipv6_endpoint{e.address.v6(), e.port};
}

/// "950 ns", "12.5 us", "3.141 ms", "90.000 s": at most three digits behind the point.
constexpr line_builder& operator<<(line_builder& l, duration d) noexcept {
    auto ns = static_cast<std::uint64_t>(d.count());
    if (d.count() < 0) {
        l.put('-');
        ns = ~ns + 1;
    }
    const auto scaled = [&](std::uint64_t unit, std::string_view name) -> line_builder& {
        return l.digits(ns / unit).put('.').digits(ns % unit / (unit / 1000), 10, 3).put(name);
    };
    if (ns < 1000)
        return l.digits(ns).put(" ns");
    if (ns < 1'000'000)
        return scaled(1000, " us");
    return ns < 1'000'000'000 ? scaled(1'000'000, " ms") : scaled(1'000'000'000, " s");
}

/// Since boot, in seconds with six places: "12.345678".
constexpr line_builder& operator<<(line_builder& l, instant t) noexcept {
    const auto ns = t.time_since_epoch().count();
    const auto us = static_cast<std::uint64_t>(ns < 0 ? 0 : ns) / 1000;
    return l.digits(us / 1'000'000).put('.').digits(us % 1'000'000, 10, 6);
}

/// A line of up to `Capacity` characters with its own memory.
template <std::size_t Capacity>
class line : public line_builder {
    std::array<char, Capacity> text_;

public:
    line() noexcept : line_builder{std::span<char>{text_}} {}
};

} // namespace mirage
