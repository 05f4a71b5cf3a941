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
inline constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

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
    while (m < months.size() && months[m] != month)
        ++m;
    const unsigned h = number(clock.substr(0, 2)), min = number(clock.substr(3, 2)), s = number(clock.substr(6, 2));
    const year_month_day date{std::chrono::year{static_cast<int>(year)}, std::chrono::month{m + 1},
                              std::chrono::day{day}};
    if (m == months.size() || !date.ok() || h > 23 || min > 59 || s > 60)
        return std::nullopt;
    return sys_days{date}.time_since_epoch().count() * std::int64_t{86400} + h * 3600 + min * 60 + s;
}
} // namespace detail

/// Characters of an HTTP date.
inline constexpr std::size_t date_size = 29;

/// IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). Years 0 to 9999.
constexpr std::array<char, date_size> format_date(unix_seconds t) noexcept {
    const auto c = detail::calendar(t);
    std::array<char, date_size> text{};
    char* const at = text.data();
    detail::put_text(at, "Sun, 06 Nov 1994 08:49:37 GMT");
    detail::put_text(at, detail::days[c.weekday]);
    detail::put_number(at + 5, c.day, 2);
    detail::put_text(at + 8, detail::months[c.month - 1]);
    detail::put_number(at + 12, c.year, 4);
    detail::put_number(at + 17, c.hour, 2);
    detail::put_number(at + 20, c.minute, 2);
    detail::put_number(at + 23, c.second, 2);
    return text;
}

/// Reads an HTTP date in any of the three forms that a recipient has to accept (RFC 9110 section 5.6.7).
/// `now` tells the century of the two-digit year: never more than 50 years ahead. Nothing: no HTTP date.
constexpr std::optional<unix_seconds> parse_date(std::string_view text, unix_seconds now = 0) noexcept {
    using detail::number;
    if (detail::matches(text, "xxx, ## xxx #### ##:##:## GMT")) // IMF-fixdate
        return detail::seconds_of(number(text.substr(12, 4)), text.substr(8, 3), number(text.substr(5, 2)),
                                  text.substr(17, 8));
    if (detail::matches(text, "xxx xxx _# ##:##:## ####")) // asctime
        return detail::seconds_of(number(text.substr(20, 4)), text.substr(4, 3), number(text.substr(8, 2)),
                                  text.substr(11, 8));
    const auto comma = text.find(", "); // RFC 850
    if (comma == std::string_view::npos || comma < 6 || comma > 9
        || !detail::matches(text.substr(comma + 2), "##-xxx-## ##:##:## GMT"))
        return std::nullopt;
    text.remove_prefix(comma + 2);
    const unsigned this_year = detail::calendar(now).year;
    unsigned year = this_year / 100 * 100 + number(text.substr(7, 2));
    if (year > this_year + 50)
        year -= 100;
    return detail::seconds_of(year, text.substr(3, 3), number(text.substr(0, 2)), text.substr(10, 8));
}

} // namespace mirage::http
