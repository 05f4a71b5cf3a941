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
    using reader = std::uint64_t (*)(const void*) noexcept; ///< a gauge's value as its bit pattern
    struct series {
        const char *name = nullptr, *help = nullptr, *labels = nullptr;
        const void* object = nullptr;
        reader read = nullptr;
        metrics::kind kind = kind::counter;
    };
    std::array<series, Room> series_{};
    std::size_t count_ = 0;

    // What there is to say of a series fits into registers: it is said often.
    [[gnu::noinline]] void insert(const char* name, const char* help, const char* labels, const void* object, reader read,
                                  kind k) noexcept {
        check(count_ < Room, "metrics: more series than there is room for");
        std::size_t at = count_; // behind the last of the same name: the format wants them together
        for (std::size_t i = count_; i-- > 0;)
            if (series_[i].name == std::string_view{name}) {
                at = i + 1;
                break;
            }
        for (std::size_t i = count_++; i > at; --i)
            series_[i] = series_[i - 1];
        series_[at] = {name, help, labels, object, read, k};
    }

public:
    /// `name`: [a-zA-Z_:][a-zA-Z0-9_:]*, by convention "..._total" for a counter. `labels`: `code="2xx"` or nothing.
    /// All texts are static; the counter outlives the registry.
    void add(const char* name, const char* help, const counter& c, const char* labels = "") noexcept {
        insert(name, help, labels, &c, [](const void* o) noexcept { return static_cast<const counter*>(o)->value(); },
               kind::counter);
    }
    void add(const char* name, const char* help, const gauge& g, const char* labels = "") noexcept {
        insert(name, help, labels, &g,
               [](const void* o) noexcept { return static_cast<std::uint64_t>(static_cast<const gauge*>(o)->value()); },
               kind::gauge);
    }
    /// A value that somebody else keeps: `Read` takes the object and gives a number, when it is asked for.
    template <auto Read, class Object>
    void add_gauge(const char* name, const char* help, const Object& o, const char* labels = "") noexcept {
        insert(name, help, labels, &o,
               [](const void* p) noexcept {
                   return static_cast<std::uint64_t>(static_cast<std::int64_t>(Read(*static_cast<const Object*>(p))));
               },
               kind::gauge);
    }
    template <auto Read, class Object>
    void add_counter(const char* name, const char* help, const Object& o, const char* labels = "") noexcept {
        insert(name, help, labels, &o,
               [](const void* p) noexcept { return static_cast<std::uint64_t>(Read(*static_cast<const Object*>(p))); },
               kind::counter);
    }

    static constexpr std::string_view content_type{"text/plain; version=0.0.4; charset=utf-8"};

    /// Calls `write(text)` for each line of the exposition.
    template <class Write>
    void write(Write write) const noexcept {
        std::string_view last;
        line<400> text;
        for (std::size_t i = 0; i < count_; ++i) {
            const series& s = series_[i];
            text.clear();
            if (s.name != last) {
                text << "# HELP " << s.name << ' ' << s.help << "\n# TYPE " << s.name
                     << (s.kind == kind::counter ? " counter\n" : " gauge\n");
                last = s.name;
            }
            text << s.name;
            if (*s.labels != '\0')
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
