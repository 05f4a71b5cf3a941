// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/sink.hpp"

namespace mirage {

/// How much a line matters; the first matters most.
enum class log_level : std::uint8_t { error, warn, info, debug };

constexpr std::string_view message(log_level l) noexcept {
    switch (l) {
    case log_level::error: return "error";
    case log_level::warn: return "warn";
    case log_level::info: return "info";
    case log_level::debug: return "debug";
    }
    return "?";
}

/// The least important level that is compiled in; calls below it cost nothing, not even in size. Set with
/// -DMIRAGE_LOG_CEILING=info; "debug" when it is not set.
#ifdef MIRAGE_LOG_CEILING
inline constexpr log_level log_ceiling = log_level::MIRAGE_LOG_CEILING;
#else
inline constexpr log_level log_ceiling = log_level::debug;
#endif

/// Where an appliance's lines go, from which level on, and whose time they carry.
class log_output {
    friend class log_line;
    const scheduler& clock_;
    octet_sink sink_;
    log_level level_;
    const void* levels_ = &level_;
    bool (*wanted_)(const void* levels, std::string_view source, log_level l) noexcept = same_for_all;

    static bool same_for_all(const void* level, std::string_view, log_level l) noexcept {
        return l <= *static_cast<const log_level*>(level);
    }

public:
    log_output(const scheduler& clock, octet_sink sink, log_level level = log_level::info) noexcept
        : clock_{clock}, sink_{sink}, level_{level} {}
    log_output(const log_output&) = delete;
    log_output& operator=(const log_output&) = delete;

    log_level level() const noexcept { return level_; }
    /// The same for all sources, whatever was said before.
    void level(log_level l) noexcept {
        level_ = l;
        levels_ = &level_;
        wanted_ = same_for_all;
    }
    /// Each source its own: `chosen.enabled(source, level)` is asked, a log_levels for one, which lives as long.
    template <class Levels>
    void levels(const Levels& chosen) noexcept {
        levels_ = &chosen;
        wanted_ = [](const void* levels, std::string_view source, log_level l) noexcept {
            return static_cast<const Levels*>(levels)->enabled(source, l);
        };
    }
    bool enabled(std::string_view source, log_level l) const noexcept {
        return l <= log_ceiling && wanted_(levels_, source, l);
    }
};

/// One line being written; goes out, with its end of line, when it dies. Control characters in what is put in
/// come out as \xNN: a peer that names a file "\n[ 0.1] error ..." writes no line of ours.
class log_line {
    static constexpr std::size_t capacity = 240;
    const log_output* output_; ///< nullptr: the level is off
    std::array<char, capacity> text_;
    line_builder line_{std::span<char>{text_}};

    void begin(std::string_view source, log_level level) noexcept {
        const auto us = static_cast<std::uint64_t>(output_->clock_.now().time_since_epoch().count()) / 1000;
        line_.put('[').digits(us / 1'000'000, 10, 5, ' ').put('.').digits(us % 1'000'000, 10, 6).put("] ");
        if (level != log_level::info)
            line_.put(message(level)).put(": ");
        line_.put(source).put(": ");
    }
    void end() noexcept {
        std::array<char, 4 * capacity + 8> clean;
        line_builder out{std::span<char>{clean}};
        for (const char c : line_.view()) {
            const auto code = static_cast<unsigned char>(c);
            if (code < 0x20 || code == 0x7f)
                out.put("\\x").digits(code, 16, 2);
            else
                out.put(c);
        }
        if (line_.truncated())
            out.put("...");
        out.put('\n');
        output_->sink_.write(as_octets(out.view()));
    }

public:
    [[gnu::noinline]] log_line(const log_output& output, std::string_view source, log_level level) noexcept
        : output_{output.enabled(source, level) ? &output : nullptr} {
        if (output_ != nullptr)
            begin(source, level);
    }
    log_line(const log_line&) = delete;
    log_line& operator=(const log_line&) = delete;
    [[gnu::noinline]] ~log_line() {
        if (output_ != nullptr)
            end();
    }

    /// Text of any length, without a function for each length.
    [[gnu::noinline]] log_line& operator<<(const char* text) noexcept {
        if (output_ != nullptr)
            line_ << text;
        return *this;
    }
    template <class T>
    [[gnu::noinline]] log_line& operator<<(const T& value) noexcept {
        if (output_ != nullptr)
            line_ << value;
        return *this;
    }
};

/// Takes the place of a log_line above the compiled-in ceiling.
struct no_log_line {
    template <class T>
    constexpr const no_log_line& operator<<(const T&) const noexcept {
        return *this;
    }
};

/// A part of the appliance that speaks in the log under its own name:
/// `log.info() << "listening on port " << port;`. Copy it; the output it refers to must outlive it.
class log_source {
    const log_output* output_;
    std::string_view name_;

    template <log_level Level>
    auto line() const noexcept {
        if constexpr (Level <= log_ceiling)
            return log_line{*output_, name_, Level};
        else
            return no_log_line{};
    }

public:
    /// `name` is static text.
    log_source(const log_output& output, std::string_view name) noexcept : output_{&output}, name_{name} {}

    /// Another name, same output.
    log_source named(std::string_view name) const noexcept { return {*output_, name}; }

    bool enabled(log_level l) const noexcept { return output_->enabled(name_, l); }
    auto error() const noexcept { return line<log_level::error>(); }
    auto warn() const noexcept { return line<log_level::warn>(); }
    auto info() const noexcept { return line<log_level::info>(); }
    auto debug() const noexcept { return line<log_level::debug>(); }
};

} // namespace mirage
