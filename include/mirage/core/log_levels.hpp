// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/log.hpp"
#include <array>
#include <optional>
#include <span>

namespace mirage {

/// Which lines a log has: those of a level and of what matters more, with other levels for some of its sources.
///
/// Read from text such as `debug`, or `warn,dhcp:debug,dns:off`: levels separated by commas, each for the source before
/// its colon ("=" will do as well), for all others where there is none, or "*". Of two for the same, the last counts.
class log_levels {
    static constexpr std::uint8_t off = 0; ///< otherwise one more than the log_level
    static constexpr std::uint8_t usual = static_cast<std::uint8_t>(log_level::info) + 1;

public:
    static constexpr std::size_t most_sources = 8;

    /// Why a text was not understood.
    enum class fault : std::uint8_t {
        none,
        level,   ///< wrong() is no level
        ceiling, ///< the image has no lines of the level wrong(): log_ceiling
        source,  ///< there is a colon, and no source before it
        room,    ///< more than most_sources; wrong() is the first too many
    };

    constexpr log_levels() noexcept = default;

    /// Borrows `text`, which has to live as long.
    static constexpr log_levels parse(std::string_view text) noexcept {
        log_levels levels;
        for (bool more = true; more && levels.problem_ == fault::none;) {
            const auto comma = text.find(',');
            more = comma != text.npos;
            levels.take(text.substr(0, comma));
            if (more)
                text.remove_prefix(comma + 1);
        }
        return levels;
    }

    constexpr fault problem() const noexcept { return problem_; }
    /// The part of the text that was not understood.
    constexpr std::string_view wrong() const noexcept { return wrong_; }

    /// Whether lines of `source` that are as important as `level` are wanted.
    constexpr bool enabled(std::string_view source, log_level level) const noexcept {
        std::uint8_t most = all_;
        for (const rule& r : sources())
            if (r.source == source)
                most = r.most;
        return static_cast<std::uint8_t>(level) < most;
    }

    /// The first source here that is none of `known`; empty when there is none.
    constexpr std::string_view stranger(std::span<const std::string_view> known) const noexcept {
        for (const rule& r : sources()) {
            bool found = false;
            for (const std::string_view k : known)
                found |= k == r.source;
            if (!found)
                return r.source;
        }
        return {};
    }

    /// As parse() would read it.
    friend constexpr line_builder& operator<<(line_builder& out, const log_levels& levels) noexcept {
        out << name(levels.all_);
        for (const rule& r : levels.sources())
            out << ',' << r.source << ':' << name(r.most);
        return out;
    }

private:
    struct rule {
        std::string_view source{};
        std::uint8_t most = off;
    };
    std::array<rule, most_sources> rules_{};
    std::uint8_t count_ = 0, all_ = usual;
    fault problem_ = fault::none;
    std::string_view wrong_{};

    constexpr std::span<const rule> sources() const noexcept { return std::span{rules_}.first(count_); }

    static constexpr std::string_view name(std::uint8_t most) noexcept {
        return most == off ? std::string_view{"off"} : message(static_cast<log_level>(most - 1));
    }
    constexpr void refuse(fault why, std::string_view what) noexcept {
        problem_ = why;
        wrong_ = what;
    }

    constexpr void take(std::string_view part) noexcept {
        const auto colon = part.find_first_of(":=");
        const std::string_view source = colon == part.npos ? "*" : part.substr(0, colon);
        const std::string_view level = colon == part.npos ? part : part.substr(colon + 1);
        std::uint8_t most = off;
        while (name(most) != level)
            if (most++ == static_cast<std::uint8_t>(log_level::debug) + 1)
                return refuse(fault::level, level);
        if (most > static_cast<std::uint8_t>(log_ceiling) + 1)
            return refuse(fault::ceiling, level);
        if (source.empty())
            return refuse(fault::source, part);
        if (source == "*") {
            all_ = most;
            return;
        }
        std::size_t at = 0;
        while (at < count_ && rules_[at].source != source)
            ++at;
        if (at == most_sources)
            return refuse(fault::room, source);
        rules_[at] = {source, most};
        count_ = static_cast<std::uint8_t>(at == count_ ? count_ + 1 : count_);
    }
};

} // namespace mirage
