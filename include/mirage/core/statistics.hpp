// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mirage {

/// Something that only grows. An ordinary integer with a name: counting costs one addition.
class counter {
    std::uint64_t value_ = 0;

public:
    constexpr counter() noexcept = default;
    constexpr explicit counter(std::uint64_t value) noexcept : value_{value} {}
    constexpr void add(std::uint64_t n = 1) noexcept { value_ += n; }
    constexpr std::uint64_t value() const noexcept { return value_; }
};

/// Something that goes up and down.
class gauge {
    std::int64_t value_ = 0;

public:
    constexpr gauge() noexcept = default;
    constexpr explicit gauge(std::int64_t value) noexcept : value_{value} {}
    constexpr void add(std::int64_t n = 1) noexcept { value_ += n; }
    constexpr void set(std::int64_t n) noexcept { value_ = n; }
    constexpr std::int64_t value() const noexcept { return value_; }
};

/// What one member of a struct of statistics is called where it is exported. A member is a counter (or std::uint64_t,
/// the same without a class) or a gauge.
///
/// The name has neither the layer's prefix nor "_total": both are added. Members that share a name differ in their
/// labels (`code="2xx"`) and stand one behind the other, the help at the first.
struct statistic {
    /// Kinds of words in statistics_text.
    static constexpr char grows = '+', goes_down_too = '-', same_name = '=';

    std::size_t word;
    bool goes_down;
    std::string_view name, help, labels;

    template <class S, class M>
    consteval statistic(M S::*member, std::string_view n, std::string_view h, std::string_view l = {}) noexcept
        : word{word_of<S>([member](S& s) -> M& { return s.*member; })}, goes_down{std::is_same_v<M, gauge>}, name{n}, help{h},
          labels{l} {}
    /// Element `i` of a member that is an array.
    template <class S, class M, std::size_t N>
    consteval statistic(std::array<M, N> S::*member, std::size_t i, std::string_view n, std::string_view h,
                        std::string_view l = {}) noexcept
        : word{word_of<S>([member, i](S& s) -> M& { return (s.*member)[i]; })}, goes_down{std::is_same_v<M, gauge>}, name{n},
          help{h}, labels{l} {}

private:
    // Which of the 64-bit words a struct is made of changes with the member: its place, without an offsetof().
    template <class S, class Find>
    static consteval std::size_t word_of(Find find) noexcept {
        using words = std::array<std::uint64_t, sizeof(S) / sizeof(std::uint64_t)>;
        static_assert(std::is_trivially_copyable_v<S> && sizeof(words) == sizeof(S),
                      "statistics: every member has to be a counter, a std::uint64_t or a gauge");
        S s{};
        const auto before = std::bit_cast<words>(s);
        using member = std::remove_reference_t<decltype(find(s))>;
        static_assert(std::is_same_v<member, counter> || std::is_same_v<member, std::uint64_t> || std::is_same_v<member, gauge>,
                      "statistics: every member has to be a counter, a std::uint64_t or a gauge");
        find(s) = member{1};
        const auto after = std::bit_cast<words>(s);
        std::size_t i = 0;
        while (before[i] == after[i])
            ++i;
        return i;
    }
};

/// The rows of a struct of statistics, and what their names begin with. A struct that can be exported has one:
///
///     struct icmp_statistics {
///         std::uint64_t received = 0;
///         static constexpr auto table() noexcept {
///             return statistics_table{"icmp_", statistic{&icmp_statistics::received, "received", "Messages received."}};
///         }
///     };
template <std::size_t N>
struct statistics_table {
    std::string_view prefix;
    std::array<statistic, N> rows;

    template <class... Rows>
    consteval explicit statistics_table(std::string_view p, Rows... all) noexcept : prefix{p}, rows{all...} {}
};
template <class... Rows>
statistics_table(std::string_view, Rows...) -> statistics_table<sizeof...(Rows)>;

/// A struct of nothing but counters and gauges that says what they are called.
template <class S>
concept statistics_struct = requires { S::table().rows; };

namespace detail {

/// The table's only trace in an image: how many words; the prefix; for each word in order its kind, then its name and,
/// where it is wanted, its help, both unless the name is the one before, and its labels. Texts end with a zero octet.
template <std::size_t N>
constexpr std::size_t encoded(const statistics_table<N>& table, bool with_help, char* out) noexcept {
    std::size_t size = 0;
    const auto put = [&](char c) {
        if (out != nullptr)
            out[size] = c;
        ++size;
    };
    const auto text = [&](std::string_view t) {
        for (const char c : t)
            put(c);
        put('\0');
    };
    put(static_cast<char>(N));
    text(table.prefix);
    std::string_view last;
    for (std::size_t word = 0; word < N; ++word)
        for (const statistic& row : table.rows)
            if (row.word == word) {
                put(row.name == last ? statistic::same_name : row.goes_down ? statistic::goes_down_too : statistic::grows);
                if (row.name != last) {
                    text(row.name);
                    if (with_help)
                        text(row.help);
                }
                text(row.labels);
                last = row.name;
            }
    return size;
}

constexpr bool good_metric_name(std::string_view prefix, std::string_view name) noexcept {
    for (const std::string_view part : {prefix, name})
        for (const char c : part)
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
                return false;
    return !prefix.empty() ? prefix.front() >= 'a' : !name.empty() && name.front() >= 'a';
}

/// As the text format wants it, version 0.0.4: names of these characters, help in one line without escapes.
template <std::size_t N>
constexpr bool texts_are_good(const statistics_table<N>& table) noexcept {
    for (const statistic& row : table.rows) {
        if (!good_metric_name(table.prefix, row.name) || row.name.ends_with("_total"))
            return false;
        for (const std::string_view text : {row.help, row.labels})
            for (const char c : text)
                if (c == '\n' || c == '\\' || c == '\0')
                    return false;
    }
    return true;
}

/// Rows of one name are neighbours.
template <std::size_t N>
constexpr bool names_stand_together(const statistics_table<N>& table) noexcept {
    std::array<std::string_view, N> in_order{};
    for (const statistic& row : table.rows)
        in_order[row.word] = row.name;
    for (std::size_t i = 0; i < N; ++i)
        for (std::size_t j = i + 2; j < N; ++j)
            if (in_order[i] == in_order[j] && in_order[j - 1] != in_order[j])
                return false;
    return true;
}

template <std::size_t Words, std::size_t N>
constexpr bool is_complete(const statistics_table<N>& table) noexcept {
    std::array<bool, Words> seen{};
    for (const statistic& row : table.rows) {
        if (seen[row.word])
            return false;
        seen[row.word] = true;
    }
    return N == Words;
}

/// One counter or gauge by itself, as a struct of statistics.
template <fixed_string Name, fixed_string Help, class Value>
struct lone_statistic {
    Value value{};
    static constexpr auto table() noexcept {
        return statistics_table{std::string_view{}, statistic{&lone_statistic::value, Name.view(), Help.view()}};
    }
};

} // namespace detail

/// The table of S as an image holds it. Read by metric_reader.
template <statistics_struct S, bool Help = true>
inline constexpr auto statistics_text = [] {
    constexpr auto table = S::table();
    static_assert(detail::is_complete<sizeof(S) / sizeof(std::uint64_t)>(table),
                  "statistics: table() needs exactly one row for each member");
    static_assert(table.rows.size() <= 100, "statistics: too many members");
    static_assert(detail::texts_are_good(table), "statistics: a name is of a-z, 0-9 and _, and does not say _total; a help is "
                                                 "one line without backslashes");
    static_assert(detail::names_stand_together(table), "statistics: members that share a name have to be neighbours");
    std::array<char, detail::encoded(table, Help, nullptr)> text{};
    detail::encoded(table, Help, text.data());
    return text;
}();

} // namespace mirage
