// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <compare>
#include <cstddef>
#include <string_view>

namespace mirage {

/// A text that is a template argument: `platform::netif<"service">`. `Size` counts the characters without the
/// terminator. Two equal texts make the same type.
template <std::size_t Size>
struct fixed_string {
    char text[Size + 1]{}; ///< with its terminator; public because a template argument must be

    consteval fixed_string(const char (&literal)[Size + 1]) noexcept { // NOLINT: a literal is meant to convert
        std::copy_n(literal, Size + 1, text);
    }

    static constexpr std::size_t size() noexcept { return Size; }
    constexpr std::string_view view() const noexcept { return {text, Size}; }
    constexpr operator std::string_view() const noexcept { return view(); }
    constexpr const char* c_str() const noexcept { return text; }

    template <std::size_t Other>
    friend constexpr bool operator==(const fixed_string& a, const fixed_string<Other>& b) noexcept {
        return a.view() == b.view();
    }
    template <std::size_t Other>
    friend constexpr auto operator<=>(const fixed_string& a, const fixed_string<Other>& b) noexcept {
        return a.view() <=> b.view();
    }
};

template <std::size_t N>
fixed_string(const char (&)[N]) -> fixed_string<N - 1>;

} // namespace mirage
