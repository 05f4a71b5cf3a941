// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/line.hpp"
#include <array>
#include <cstdint>
#include <string_view>

namespace mirage {

/// Something that only grows. An ordinary integer with a name: counting costs one addition.
class counter {
    std::uint64_t value_ = 0;

public:
    constexpr void add(std::uint64_t n = 1) noexcept { value_ += n; }
    constexpr std::uint64_t value() const noexcept { return value_; }
};

/// Something that goes up and down.
class gauge {
    std::int64_t value_ = 0;

public:
    constexpr void add(std::int64_t n = 1) noexcept { value_ += n; }
    constexpr void set(std::int64_t n) noexcept { value_ = n; }
    constexpr std::int64_t value() const noexcept { return value_; }
};

/// Names for counters and gauges that live elsewhere, and their export in the Prometheus text format, version 0.0.4.
/// Holds at most `Room` series; owns none of them.
template <std::size_t Room = 64>
class metrics {
    enum class kind : std::uint8_t { counter, gauge };
    struct series {
        std::string_view name{}, help{}, labels{};
        std::uint64_t (*read)(const void*) noexcept = nullptr; ///< a gauge's value as its bit pattern
        const void* object = nullptr;
        metrics::kind kind = kind::counter;
    };
    std::array<series, Room> series_{};
    std::size_t count_ = 0;

    void insert(series s) noexcept {
        check(count_ < Room, "metrics: more series than there is room for");
        std::size_t at = count_++; // behind the last of the same name: the format wants them together
        for (std::size_t i = count_ - 1; i-- > 0;)
            if (series_[i].name == s.name) {
                at = i + 1;
                break;
            }
        for (std::size_t i = count_ - 1; i > at; --i)
            series_[i] = series_[i - 1];
        series_[at] = s;
    }

public:
    /// `name`: [a-zA-Z_:][a-zA-Z0-9_:]*, by convention "..._total" for a counter. `labels`: `code="2xx"` or nothing.
    /// All texts are static; the counter outlives the registry.
    void add(std::string_view name, std::string_view help, const counter& c, std::string_view labels = {}) noexcept {
        insert({name, help, labels,
                [](const void* o) noexcept { return static_cast<const counter*>(o)->value(); }, &c, kind::counter});
    }
    void add(std::string_view name, std::string_view help, const gauge& g, std::string_view labels = {}) noexcept {
        insert({name, help, labels,
                [](const void* o) noexcept {
                    return static_cast<std::uint64_t>(static_cast<const gauge*>(o)->value());
                },
                &g, kind::gauge});
    }
    /// A value that somebody else keeps: `Read` takes the object and gives a number, when it is asked for.
    template <auto Read, class Object>
    void add_gauge(std::string_view name, std::string_view help, const Object& o,
                   std::string_view labels = {}) noexcept {
        insert({name, help, labels,
                [](const void* p) noexcept {
                    return static_cast<std::uint64_t>(
                        static_cast<std::int64_t>(Read(*static_cast<const Object*>(p))));
                },
                &o, kind::gauge});
    }
    template <auto Read, class Object>
    void add_counter(std::string_view name, std::string_view help, const Object& o,
                     std::string_view labels = {}) noexcept {
        insert({name, help, labels,
                [](const void* p) noexcept {
                    return static_cast<std::uint64_t>(Read(*static_cast<const Object*>(p)));
                },
                &o, kind::counter});
    }

    static constexpr std::string_view content_type{"text/plain; version=0.0.4; charset=utf-8"};

    /// Calls `write(text)` for each line of the exposition.
    template <class Write>
    void write(Write write) const noexcept {
        std::string_view last;
        for (std::size_t i = 0; i < count_; ++i) {
            const series& s = series_[i];
            line<400> text;
            if (s.name != last) {
                text << "# HELP " << s.name << ' ' << s.help << "\n# TYPE " << s.name
                     << (s.kind == kind::counter ? " counter\n" : " gauge\n");
                last = s.name;
            }
            text << s.name;
            if (!s.labels.empty())
                text << '{' << s.labels << '}';
            text << ' ';
            const std::uint64_t value = s.read(s.object);
            if (s.kind == kind::counter)
                text << value;
            else
                text << static_cast<std::int64_t>(value);
            text << '\n';
            write(text.view());
        }
    }
};

} // namespace mirage
