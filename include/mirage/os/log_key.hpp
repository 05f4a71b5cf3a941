// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/log_levels.hpp"
#include "mirage/core/sink.hpp"
#include "mirage/os/keys.hpp"

namespace mirage::os {

/// What the boot key sets; beside the options of an application that lists it.
struct logged {
    log_levels levels{};
};

/// Any text is taken: what is wrong with it, explain() knows better than "expected".
template <>
struct key_value<log_levels> {
    static constexpr std::string_view placeholder = "LEVEL|SOURCE:LEVEL,...";
    static constexpr key_limits limits{};

    static constexpr std::optional<log_levels> parse(std::string_view text, const key_limits&) noexcept {
        return log_levels::parse(text);
    }
    static constexpr void accepts(line_builder& out, const key_limits&) noexcept {
        out << "off, error, warn, info or debug, for all or for a source, such as warn,dhcp:debug";
    }
    static constexpr void show(line_builder& out, const log_levels& value) noexcept { out << value; }
};

/// The boot key `--log=LEVEL` or `--log=LEVEL,SOURCE:LEVEL,...`: list it among an application's keys, and the runtime does
/// the rest. Nothing of it is in an image that does not list it. Applications whose log has more sources than their own
/// name can tell: `static constexpr std::array<std::string_view, 2> log_sources{"dhcp", "dns"};`. Then others are errors.
inline constexpr key<&logged::levels> log_key{"log", "how much is logged"};

namespace detail {

template <class Keys>
inline constexpr bool lists_log_key = false;
template <class... Keys>
inline constexpr bool lists_log_key<key_list<Keys...>>
    = (std::is_same_v<Keys, std::remove_const_t<decltype(log_key)>> || ...);

/// Whether the runtime sets the levels of App's log.
template <class App>
constexpr bool has_log_key() noexcept {
    if constexpr (requires { App::keys; })
        return lists_log_key<std::remove_cvref_t<decltype(App::keys)>>;
    else
        return false;
}

template <class Options>
struct with_levels : Options, logged {};

/// Says what is wrong with the levels, if something is. `known`: the sources that there are, the first of them the
/// application's name; or only that when the application does not tell.
[[gnu::cold]] inline bool explain(const log_levels& levels, std::span<const std::string_view> known, octet_sink out) noexcept {
    using enum log_levels::fault;
    const std::string_view stranger = known.size() > 1 ? levels.stranger(known) : std::string_view{};
    if (levels.problem() == none && stranger.empty())
        return true;
    line<320> l;
    l << known.front() << ": --log: '" << (stranger.empty() ? levels.wrong() : stranger).substr(0, 80) << "' ";
    switch (levels.problem()) {
    case level: l << "is not a level; off, error, warn, info and debug are, for all or for one source: SOURCE:LEVEL"; break;
    case ceiling: l << "is more than this image was built with, which is " << message(log_ceiling); break;
    case source: l << "has no source before its colon"; break;
    case room: l << "is one source too many; there may be " << log_levels::most_sources; break;
    case none:
        l << "is no source of this log; there are " << known.front();
        for (const std::string_view k : known.subspan(1))
            l << ", " << k;
        break;
    }
    l << '\n';
    out.write(as_octets(l.view()));
    return false;
}

} // namespace detail

} // namespace mirage::os
