// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

/// What RFC 9110 section 5.6 calls common rules: tokens, lists, optional white space.
namespace mirage::http {

namespace detail {

/// Bits of the character classes of one octet.
enum octet_class : std::uint8_t {
    token_octet = 1,  ///< tchar, RFC 9110 section 5.6.2
    target_octet = 2, ///< may stand in a request target: visible ASCII but '#'
    plain_octet = 4,  ///< target_octet that needs no second look when the path is normalised
    digit_octet = 8,
    host_octet = 16,  ///< RFC 3986 section 3.2.2 and 3.2.3: reg-name, IP-literal, port
};

inline constexpr auto octet_classes = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned c = 0x21; c < 0x7f; ++c)
        table[c] = c == '#' ? 0 : c == '%' || c == '.' || c == '?' || c == '\\' ? target_octet
                                                                                : target_octet | plain_octet;
    constexpr std::string_view letters_and_digits =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (const char c : letters_and_digits)
        table[static_cast<unsigned char>(c)] |= token_octet | host_octet;
    for (const char c : std::string_view{"!#$%&'*+-.^_`|~"})
        table[static_cast<unsigned char>(c)] |= token_octet;
    for (const char c : std::string_view{"-._~%!$&'()*+,;=[]:"})
        table[static_cast<unsigned char>(c)] |= host_octet;
    for (unsigned c = '0'; c <= '9'; ++c)
        table[c] |= digit_octet;
    return table;
}();

constexpr bool is(char c, octet_class what) noexcept {
    return (octet_classes[static_cast<unsigned char>(c)] & what) != 0;
}

/// The first octet in [at, end) that is a control character other than HTAB (RFC 9110 section 5.5); `end` when
/// there is none. Eight octets at a time.
inline const char* find_control(const char* at, const char* end) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        const std::uint64_t low = (word - ones * 0x20) & ~word;                     // octets below 0x20
        const std::uint64_t rubout = ((word ^ ones * 0x7f) - ones) & ~(word ^ ones * 0x7f); // octets that are 0x7f
        if (((low | rubout) & tops) != 0)
            break; // a hit, or a false one next to a hit: the loop below decides
    }
    for (; at != end; ++at) {
        const auto c = static_cast<unsigned char>(*at);
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return at;
    }
    return end;
}

} // namespace detail

constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Equal but for the case of ASCII letters; `lower` is in lower case already.
constexpr bool equals_lower(std::string_view text, std::string_view lower) noexcept {
    if (text.size() != lower.size())
        return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (to_lower(text[i]) != lower[i])
            return false;
    return true;
}

/// Without the spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3).
constexpr std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

/// 1*DIGIT; nothing when there is something else or when it does not fit into 63 bits.
constexpr std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty() || text.size() > 18)
        return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

/// Takes the first element off a comma-separated list, without the white space around it. Commas inside quoted
/// strings do not separate.
constexpr std::string_view take_element(std::string_view& list) noexcept {
    std::size_t end = 0;
    bool quoted = false;
    for (; end < list.size() && (quoted || list[end] != ','); ++end) {
        if (list[end] == '"')
            quoted = !quoted;
        else if (quoted && list[end] == '\\' && end + 1 < list.size())
            ++end;
    }
    const auto element = trim(list.substr(0, end));
    list.remove_prefix(end < list.size() ? end + 1 : end);
    return element;
}

/// Calls `each(element)` for every non-empty element of a list (RFC 9110 section 5.6.1.2) until one call gives false.
template <class Each>
constexpr void for_each_element(std::string_view list, Each each) noexcept {
    while (!list.empty()) {
        const auto element = take_element(list);
        if (!element.empty() && !each(element))
            return;
    }
}

} // namespace mirage::http
