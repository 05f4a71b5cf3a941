// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/line.hpp"
#include "mirage/core/time.hpp"
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

namespace mirage::os {

/// The smallest and the largest value that a key takes; what they count depends on the key's type.
struct key_limits {
    std::int64_t least = 0;
    std::uint64_t most = 0;
};

/// How values of type T are written on the command line. Specialise it for a type of one's own:
///
/// `placeholder`           what stands for the value in the help text
/// `parse(text, limits)`   the value, or nothing when `text` is not one
/// `accepts(line, limits)` adds a phrase that completes "expected ..."
/// `show(line, value)`     adds the value as it would be written
template <class T, auto... Choices>
struct key_value;

namespace detail {

/// A decimal number, with a sign where the limits leave room for one; nothing before or behind it.
[[gnu::noinline]] constexpr std::optional<std::uint64_t> parse_number(std::string_view text,
                                                                      const key_limits& limits) noexcept {
    const bool negative = limits.least < 0 && !text.empty() && text.front() == '-';
    if (negative)
        text.remove_prefix(1);
    if (text.empty())
        return std::nullopt;
    const std::uint64_t most = negative ? ~static_cast<std::uint64_t>(limits.least) + 1 : limits.most;
    std::uint64_t value = 0;
    for (const char c : text) {
        const auto digit = static_cast<std::uint64_t>(c) - '0';
        if (digit > 9 || value > most / 10 || value * 10 > most - digit)
            return std::nullopt;
        value = value * 10 + digit;
    }
    if (negative)
        return ~value + 1;
    if (limits.least > 0 && value < static_cast<std::uint64_t>(limits.least))
        return std::nullopt;
    return value;
}

struct time_unit {
    std::string_view name;
    std::uint64_t nanoseconds;
};
inline constexpr time_unit time_units[] = {
    {"h", 3'600'000'000'000}, {"min", 60'000'000'000}, {"s", 1'000'000'000},
    {"ms", 1'000'000},        {"us", 1'000},           {"ns", 1}};

} // namespace detail

template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>) struct key_value<T> {
    static constexpr std::string_view placeholder = "NUMBER";
    static constexpr key_limits limits{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};

    static constexpr std::optional<T> parse(std::string_view text, const key_limits& l) noexcept {
        const auto value = detail::parse_number(text, l);
        return value ? std::optional{static_cast<T>(*value)} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits& l) noexcept {
        out << "a number from " << l.least << " to " << l.most;
    }
    static constexpr void show(line_builder& out, T value) noexcept { out << value; }
};

template <>
struct key_value<bool> {
    static constexpr std::string_view placeholder = "true|false";
    static constexpr key_limits limits{0, 1};

    static constexpr std::optional<bool> parse(std::string_view text, const key_limits&) noexcept {
        if (text == "true")
            return true;
        return text == "false" ? std::optional{false} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept { out << "true or false"; }
    static constexpr void show(line_builder& out, bool value) noexcept { out << value; }
};

/// Text without spaces. Borrows from the command line, which lives as long as the program.
template <>
struct key_value<std::string_view> {
    static constexpr std::string_view placeholder = "TEXT";
    static constexpr key_limits limits{};

    static constexpr std::optional<std::string_view> parse(std::string_view text,
                                                           const key_limits&) noexcept {
        return text;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "text without spaces";
    }
    static constexpr void show(line_builder& out, std::string_view value) noexcept {
        out << (value.empty() ? std::string_view{"none"} : value);
    }
};

template <>
struct key_value<ipv4_address> {
    static constexpr std::string_view placeholder = "ADDRESS";
    static constexpr key_limits limits{};

    static constexpr std::optional<ipv4_address> parse(std::string_view text, const key_limits&) noexcept {
        const auto value = ipv4_address::parse(text);
        return value ? std::optional{*value} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "an IPv4 address such as 10.0.0.2";
    }
    static constexpr void show(line_builder& out, ipv4_address value) noexcept {
        if (value.is_unspecified())
            out << "none";
        else
            out << value;
    }
};

template <>
struct key_value<ipv4_prefix> {
    static constexpr std::string_view placeholder = "ADDRESS/LENGTH";
    static constexpr key_limits limits{};

    static constexpr std::optional<ipv4_prefix> parse(std::string_view text, const key_limits&) noexcept {
        const auto value = ipv4_prefix::parse(text);
        return value ? std::optional{*value} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "an IPv4 address with the length of its subnet, such as 10.0.0.2/24";
    }
    static constexpr void show(line_builder& out, const ipv4_prefix& value) noexcept {
        if (value == ipv4_prefix{})
            out << "none";
        else
            out << value;
    }
};

template <>
struct key_value<ipv6_address> {
    static constexpr std::string_view placeholder = "ADDRESS";
    static constexpr key_limits limits{};

    static constexpr std::optional<ipv6_address> parse(std::string_view text, const key_limits&) noexcept {
        const auto value = ipv6_address::parse(text);
        return value ? std::optional{*value} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "an IPv6 address such as 2001:db8::2";
    }
    static constexpr void show(line_builder& out, const ipv6_address& value) noexcept {
        if (value.is_unspecified())
            out << "none";
        else
            out << value;
    }
};

/// "auto" is the default value: no address given, whatever the network offers.
template <>
struct key_value<ipv6_prefix> {
    static constexpr std::string_view placeholder = "ADDRESS/LENGTH";
    static constexpr key_limits limits{};

    static constexpr std::optional<ipv6_prefix> parse(std::string_view text, const key_limits&) noexcept {
        if (text == "auto")
            return ipv6_prefix{};
        const auto value = ipv6_prefix::parse(text);
        return value ? std::optional{*value} : std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "an IPv6 address with the length of its subnet, such as 2001:db8::2/64, or auto";
    }
    static constexpr void show(line_builder& out, const ipv6_prefix& value) noexcept {
        if (value == ipv6_prefix{})
            out << "auto";
        else
            out << value;
    }
};

/// A whole number and its unit: 250ms, 5s, 2min.
template <>
struct key_value<duration> {
    static constexpr std::string_view placeholder = "DURATION";
    static constexpr key_limits limits{0, std::numeric_limits<std::int64_t>::max()};

    static constexpr std::optional<duration> parse(std::string_view text, const key_limits& l) noexcept {
        for (const auto& unit : detail::time_units) {
            if (!text.ends_with(unit.name))
                continue;
            // "s" ends "ms" too: what is left must be a number, or a shorter unit was meant
            const auto number = detail::parse_number(text.substr(0, text.size() - unit.name.size()),
                                                     {0, l.most / unit.nanoseconds});
            if (!number)
                continue;
            const std::uint64_t ns = *number * unit.nanoseconds;
            if (ns < static_cast<std::uint64_t>(l.least))
                return std::nullopt;
            return duration{static_cast<std::int64_t>(ns)};
        }
        return std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits& l) noexcept {
        out << "a duration in h, min, s, ms, us or ns, such as 250ms";
        if (l.least != limits.least || l.most != limits.most) {
            show(out << ", from ", duration{l.least});
            show(out << " to ", duration{static_cast<std::int64_t>(l.most)});
        }
    }
    static constexpr void show(line_builder& out, duration value) noexcept {
        const auto ns = static_cast<std::uint64_t>(value.count());
        for (const auto& unit : detail::time_units)
            if (ns % unit.nanoseconds == 0 && (ns != 0 || unit.name == "s")) {
                out << ns / unit.nanoseconds << unit.name;
                return;
            }
    }
};

/// One of the listed enumerators, by the name that `message(enumerator)` gives it.
template <class T, T First, T... Rest>
requires std::is_enum_v<T>
struct key_value<T, First, Rest...> {
    static constexpr std::string_view placeholder = "NAME";
    static constexpr key_limits limits{};

    static constexpr std::optional<T> parse(std::string_view text, const key_limits&) noexcept {
        for (const T choice : {First, Rest...})
            if (text == message(choice))
                return choice;
        return std::nullopt;
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "one of " << message(First);
        ((out << ", " << message(Rest)), ...);
    }
    static constexpr void show(line_builder& out, T value) noexcept { out << message(value); }
};

/// What T takes; a key that is not given leaves it empty.
template <class T>
struct key_value<std::optional<T>> : key_value<T> {
    static constexpr std::optional<std::optional<T>> parse(std::string_view text,
                                                           const key_limits& l) noexcept {
        const auto value = key_value<T>::parse(text, l);
        return value ? std::optional{std::optional{*value}} : std::nullopt;
    }
    static constexpr void show(line_builder& out, const std::optional<T>& value) noexcept {
        if (value)
            key_value<T>::show(out, *value);
        else
            out << "none";
    }
};

} // namespace mirage::os
