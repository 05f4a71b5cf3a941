// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/text_table.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mirage::http {

/// RFC 9110 section 9.3 and RFC 5789. CONNECT and TRACE are known to be refused.
enum class method : std::uint8_t { get, head, post, put, delete_, options, patch, unknown };

namespace detail {
inline constexpr std::array<std::string_view, 8> method_names{"GET",    "HEAD",    "POST",  "PUT",
                                                              "DELETE", "OPTIONS", "PATCH", "?"};
} // namespace detail

constexpr std::string_view name(method m) noexcept {
    return text_table<detail::method_names>::at(static_cast<std::size_t>(m));
}

/// Methods are case-sensitive (RFC 9110 section 9.1).
constexpr method parse_method(std::string_view text) noexcept {
    for (unsigned i = 0; i < static_cast<unsigned>(method::unknown); ++i)
        if (text == name(static_cast<method>(i)))
            return static_cast<method>(i);
    return method::unknown;
}

/// A set of methods; GET brings HEAD along.
class method_set {
    std::uint8_t bits_ = 0;

public:
    constexpr method_set() noexcept = default;
    constexpr method_set(method m) noexcept : bits_{static_cast<std::uint8_t>(1u << static_cast<unsigned>(m))} {
        if (m == method::get)
            bits_ |= 1u << static_cast<unsigned>(method::head);
    }
    constexpr bool contains(method m) const noexcept { return (bits_ >> static_cast<unsigned>(m) & 1) != 0; }
    constexpr bool empty() const noexcept { return bits_ == 0; }
    constexpr method_set& operator|=(method_set other) noexcept {
        bits_ |= other.bits_;
        return *this;
    }
    friend constexpr method_set operator|(method_set a, method_set b) noexcept { return a |= b; }
};
constexpr method_set operator|(method a, method b) noexcept { return method_set{a} | method_set{b}; }

/// The value of an Allow field (RFC 9110 section 10.2.1), written into `room`.
constexpr std::string_view allow_list(method_set set, std::array<char, 64>& room) noexcept {
    std::size_t n = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(method::unknown); ++i) {
        const auto m = static_cast<method>(i);
        if (!set.contains(m))
            continue;
        if (n != 0) {
            room[n++] = ',';
            room[n++] = ' ';
        }
        for (const char c : name(m))
            room[n++] = c;
    }
    return {room.data(), n};
}

} // namespace mirage::http
