// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/os/key_value.hpp"
#include <array>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>
#include <cstddef>
#include <string_view>
#include <utility>

namespace mirage::os {

namespace detail {

template <class T>
struct member_of;
template <class Object, class Member>
struct member_of<Member Object::*> {
    using object = Object;
    using type = Member;
};

} // namespace detail

/// A boot key: `--NAME=VALUE` on the command line sets one member of the application's options. Its type is
/// the member's, its default the member's initializer; key_value.hpp says what can be written. For an
/// enumeration, `Choices` lists the enumerators that are allowed.
template <auto Member, auto... Choices>
struct key {
    using value = key_value<typename detail::member_of<decltype(Member)>::type, Choices...>;

    std::string_view name, description;
    key_limits limits = value::limits;

    /// `description` completes "NAME: ..." without a full stop. Both are static text.
    constexpr key(std::string_view n, std::string_view d) noexcept : name{n}, description{d} {}

    /// The same key with narrower limits; a duration's are in nanoseconds, or durations.
    constexpr key range(std::int64_t least, std::uint64_t most) const noexcept {
        key narrowed{*this};
        narrowed.limits = {least, most};
        return narrowed;
    }
    constexpr key range(duration least, duration most) const noexcept {
        return range(least.count(), static_cast<std::uint64_t>(most.count()));
    }
};

template <class... Keys>
struct key_list {
    boost::hana::tuple<Keys...> all;
};

template <auto Member, class... Keys>
struct key_group {
    key_list<Keys...> keys;
};

/// The keys of an application: `static constexpr auto keys = os::keys(os::key<&options::port>{"port", "..."},
/// ...)`.
template <class... Keys>
constexpr key_list<Keys...> keys(Keys... all) noexcept {
    return {boost::hana::tuple<Keys...>{std::move(all)...}};
}

/// The keys of a member that is itself a set of options.
template <auto Member, class... Keys>
constexpr key_group<Member, Keys...> group(key_list<Keys...> keys) noexcept {
    return {std::move(keys)};
}

/// A key with its type forgotten: one row of the table that the parser works with.
struct key_entry {
    std::string_view name{}, description{}, placeholder{};
    key_limits limits{};
    bool flag = false; ///< `--NAME` alone means true
    bool (*set)(const key_entry&, void* options, std::string_view text) noexcept = nullptr;
    void (*show)(const void* options, line_builder&) noexcept = nullptr;
    void (*accepts)(line_builder&, const key_limits&) noexcept = nullptr;
};

namespace detail {

template <auto... Members>
struct path {
    static constexpr auto& follow(auto& options) noexcept { return (options.*....*Members); }
};

/// `Value` reads and writes the member of an `Options` at the end of `Path`.
template <class Options, class Value, class Path>
constexpr key_entry entry_for(std::string_view name, std::string_view description,
                              const key_limits& l) noexcept {
    key_entry entry{name, description, Value::placeholder, l};
    entry.flag = std::is_same_v<Value, key_value<bool>>;
    entry.set = [](const key_entry& self, void* options, std::string_view text) noexcept {
        const auto value = Value::parse(text, self.limits);
        if (value)
            Path::follow(*static_cast<Options*>(options)) = *value;
        return value.has_value();
    };
    entry.show = [](const void* options, line_builder& out) noexcept {
        Value::show(out, Path::follow(*static_cast<const Options*>(options)));
    };
    entry.accepts = &Value::accepts;
    return entry;
}

template <class Options>
struct table_filler {
    key_entry* next = nullptr; ///< nullptr: only count
    std::size_t count = 0;

    template <auto... Path, auto Member, auto... Choices>
    constexpr void add(path<Path...>, const key<Member, Choices...>& k) noexcept {
        if (next != nullptr)
            next[count] = entry_for<Options, typename key<Member, Choices...>::value, path<Path..., Member>>(
                k.name, k.description, k.limits);
        ++count;
    }
    template <auto... Path, auto Member, class... Keys>
    constexpr void add(path<Path...>, const key_group<Member, Keys...>& g) noexcept {
        add_all(path<Path..., Member>{}, g.keys);
    }
    template <class Path, class... Keys>
    constexpr void add_all(Path at, const key_list<Keys...>& list) noexcept {
        boost::hana::for_each(list.all, [&](const auto& k) { add(at, k); });
    }
};

constexpr bool good_key_name(std::string_view name) noexcept {
    for (const char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    return !name.empty() && name.front() != '-' && name != "help";
}

template <std::size_t N>
constexpr bool names_are_good(const std::array<key_entry, N>& table) noexcept {
    for (const key_entry& k : table)
        if (!good_key_name(k.name))
            return false;
    return true;
}

template <std::size_t N>
constexpr bool names_differ(const std::array<key_entry, N>& table) noexcept {
    for (std::size_t i = 0; i < N; ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (table[i].name == table[j].name)
                return false;
    return true;
}

} // namespace detail

/// The table of an application's keys, checked. `Options` is the struct that they set.
template <class Options, const auto& List>
inline constexpr auto key_table = [] {
    constexpr std::size_t size = [] {
        detail::table_filler<Options> counting;
        counting.add_all(detail::path<>{}, List);
        return counting.count;
    }();
    std::array<key_entry, size> table{};
    detail::table_filler<Options> filling{table.data()};
    filling.add_all(detail::path<>{}, List);
    return table;
}();

} // namespace mirage::os
