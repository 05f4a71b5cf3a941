// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mirage::http {

/// Seconds since the Unix epoch, UTC.
using unix_seconds = std::int64_t;

namespace detail {
// Three letters each.
inline constexpr std::string_view months{"JanFebMarAprMayJunJulAugSepOctNovDec"};
inline constexpr std::string_view days{"SunMonTueWedThuFriSat"};
constexpr std::string_view three_letters(std::string_view names, unsigned index) noexcept {
    return {names.data() + std::size_t{3} * index, 3};
}

/// `value` in decimal with leading zeros, `width` digits.
constexpr void put_number(char* at, unsigned value, unsigned width) noexcept {
    while (width-- > 0) {
        at[width] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
}
constexpr void put_text(char* at, std::string_view text) noexcept {
    for (const char c : text)
        *at++ = c;
}

struct calendar_time {
    unsigned year = 1970, month = 1, day = 1, weekday = 4, hour = 0, minute = 0, second = 0;
};
constexpr calendar_time calendar(unix_seconds t) noexcept {
    using namespace std::chrono;
    const sys_seconds point{seconds{t}};
    const auto date = floor<std::chrono::days>(point);
    const year_month_day ymd{date};
    const auto rest = static_cast<unsigned>((point - date).count());
    return {static_cast<unsigned>(static_cast<int>(ymd.year())), static_cast<unsigned>(ymd.month()),
            static_cast<unsigned>(ymd.day()), weekday{date}.c_encoding(), rest / 3600, rest / 60 % 60, rest % 60};
}

/// Reads a fixed form: '#' is a digit, ' ' at the place of a digit counts as 0 where '_' stands, 'x' is anything
/// (read by the caller), everything else is itself.
constexpr bool matches(std::string_view text, std::string_view form) noexcept {
    if (text.size() != form.size())
        return false;
    for (std::size_t i = 0; i < form.size(); ++i) {
        const bool is_digit = text[i] >= '0' && text[i] <= '9';
        const bool good = form[i] == '#'   ? is_digit
                          : form[i] == '_' ? is_digit || text[i] == ' '
                          : form[i] == 'x' ? true
                                           : text[i] == form[i];
        if (!good)
            return false;
    }
    return true;
}
constexpr unsigned number(std::string_view digits) noexcept {
    unsigned n = 0;
    for (const char c : digits)
        n = n * 10 + (c == ' ' ? 0 : static_cast<unsigned>(c - '0'));
    return n;
}
constexpr std::optional<unix_seconds> seconds_of(unsigned year, std::string_view month, unsigned day,
                                                 std::string_view clock) noexcept {
    using namespace std::chrono;
    unsigned m = 0;
    while (m < 12 && three_letters(months, m) != month)
        ++m;
    const unsigned h = number(clock.substr(0, 2)), min = number(clock.substr(3, 2)), s = number(clock.substr(6, 2));
    const year_month_day date{std::chrono::year{static_cast<int>(year)}, std::chrono::month{m + 1},
                              std::chrono::day{day}};
    if (m == 12 || !date.ok() || h > 23 || min > 59 || s > 60)
        return std::nullopt;
    return sys_days{date}.time_since_epoch().count() * std::int64_t{86400} + std::int64_t{h} * 3600
           + std::int64_t{min} * 60 + s;
}

/// One of the three forms, and where its parts are.
struct date_form {
    std::string_view text{};
    std::uint8_t day = 0, month = 0, year = 0, year_size = 0, clock = 0;
};
inline constexpr date_form fixdate{"xxx, ## xxx #### ##:##:## GMT", 5, 8, 12, 4, 17};
inline constexpr date_form asctime{"xxx xxx _# ##:##:## ####", 8, 4, 20, 4, 11};
inline constexpr date_form rfc_850{"##-xxx-## ##:##:## GMT", 0, 3, 7, 2, 10}; ///< behind the name of the day
} // namespace detail

/// Characters of an HTTP date.
inline constexpr std::size_t date_size = 29;

/// IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). Years 0 to 9999.
constexpr std::array<char, date_size> format_date(unix_seconds t) noexcept {
    const auto c = detail::calendar(t);
    std::array<char, date_size> text{};
    char* const at = text.data();
    detail::put_text(at, "Sun, 06 Nov 1994 08:49:37 GMT");
    detail::put_text(at, detail::three_letters(detail::days, c.weekday));
    detail::put_number(at + 5, c.day, 2);
    detail::put_text(at + 8, detail::three_letters(detail::months, c.month - 1));
    detail::put_number(at + 12, c.year, 4);
    detail::put_number(at + 17, c.hour, 2);
    detail::put_number(at + 20, c.minute, 2);
    detail::put_number(at + 23, c.second, 2);
    return text;
}

/// Reads an HTTP date in any of the three forms that a recipient has to accept (RFC 9110 section 5.6.7).
/// `now` tells the century of the two-digit year: never more than 50 years ahead. Nothing: no HTTP date.
constexpr std::optional<unix_seconds> parse_date(std::string_view text, unix_seconds now = 0) noexcept {
    const auto comma = text.find(", ");
    const bool rfc_850 = comma >= 6 && comma <= 9; // "Sunday, " to "Wednesday, "
    if (rfc_850)
        text.remove_prefix(comma + 2);
    const detail::date_form& form = rfc_850                    ? detail::rfc_850
                                    : text.size() == date_size ? detail::fixdate
                                                               : detail::asctime;
    if (!detail::matches(text, form.text))
        return std::nullopt;
    unsigned year = detail::number(text.substr(form.year, form.year_size));
    if (rfc_850) {
        const unsigned this_year = detail::calendar(now).year;
        year += this_year / 100 * 100;
        if (year > this_year + 50)
            year -= 100;
    }
    return detail::seconds_of(year, text.substr(form.month, 3), detail::number(text.substr(form.day, 2)),
                              text.substr(form.clock, 8));
}

} // namespace mirage::http
