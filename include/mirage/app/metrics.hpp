// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/metric_reader.hpp"
#include "mirage/core/check.hpp"
#include <array>
#include <cstring>

namespace mirage {

/// Structs of statistics that live elsewhere, and their export in the Prometheus text format, version 0.0.4. Holds at
/// most `Room` structs; owns none of them. A struct takes one call, whatever the number of its members. See
/// compact_metrics for images where every octet counts.
template <std::size_t Room = 32, bool Compact = false>
class metrics {
    static constexpr std::size_t most_computed = 16; ///< members of a struct that is made when it is asked for
    using words = std::array<std::uint64_t, most_computed>;

    struct block {
        const char* text = nullptr; ///< statistics_text
        const void* object = nullptr; ///< the struct, unless `read` makes it
        void (*read)(const void* object, words& into) noexcept = nullptr;
        const char* labels = nullptr; ///< of all its members

        std::uint64_t word(unsigned i) const noexcept {
            [[maybe_unused]] words made;
            const void* from = object;
            if constexpr (!Compact)
                if (read != nullptr) {
                    read(object, made);
                    from = &made;
                }
            std::uint64_t value;
            std::memcpy(&value, static_cast<const std::byte*>(from) + i * sizeof value, sizeof value);
            return value;
        }
    };
    std::array<block, Room> blocks_{};
    std::size_t count_ = 0;

    [[gnu::noinline]] block& insert(const char* text, const void* object) noexcept {
        check(count_ < Room, "metrics: no room");
        blocks_[count_].text = text;
        blocks_[count_].object = object;
        return blocks_[count_++];
    }
    template <class S>
    void insert(const void* object, [[maybe_unused]] const char* labels,
                [[maybe_unused]] void (*read)(const void*, words&) noexcept = nullptr) noexcept {
        [[maybe_unused]] block& b = insert(statistics_text<S, !Compact>.data(), object);
        if constexpr (!Compact) {
            b.read = read;
            b.labels = labels;
        }
    }

    /// The first block from `b` on that has these names.
    const block* same_names(const block* b, const char* text) const noexcept {
        for (; b != blocks_.data() + count_; ++b)
            if (b->text == text)
                return b;
        return nullptr;
    }

public:
    /// All members of `s`, which outlives the registry. `labels`, `interface="service"` for one, tell two structs of
    /// the same type apart. Static text.
    template <statistics_struct S>
    void add(const S& s, const char* labels = "") noexcept {
        insert<S>(&s, labels);
    }
    template <statistics_struct S>
    void add(const S&&, const char* = "") = delete;

    /// The same under the names of another struct that is made of S: see pool_statistics.
    template <statistics_struct Names, class S>
        requires(std::is_base_of_v<S, Names> && sizeof(S) == sizeof(Names))
    void add_as(const S& s, const char* labels = "") noexcept {
        insert<Names>(&s, labels);
    }

    /// Those that `Read` makes of `object` when they are asked for.
    template <auto Read, class Object>
        requires(!Compact)
    void add_computed(const Object& object, const char* labels = "") noexcept {
        using made = std::invoke_result_t<decltype(Read), const Object&>;
        static_assert(sizeof(made) <= sizeof(words), "metrics: a computed struct has too many members");
        insert<made>(&object, labels, [](const void* o, words& into) noexcept {
            const made s = Read(*static_cast<const Object*>(o));
            std::memcpy(&into, &s, sizeof s);
        });
    }

    /// The statistics() of a layer or a device: a struct that it keeps, or one that it makes.
    template <class Object>
        requires requires(const Object& o) { o.statistics(); }
    void add(const Object& object, const char* labels = "") noexcept {
        if constexpr (std::is_reference_v<decltype(object.statistics())>)
            add(object.statistics(), labels);
        else
            add_computed<[](const Object& o) noexcept { return o.statistics(); }>(object, labels);
    }

    /// One counter or gauge of the application's own: `add<"orders", "Orders taken.">(orders)`.
    template <fixed_string Name, fixed_string Help, class Value>
        requires(std::is_same_v<Value, counter> || std::is_same_v<Value, gauge>)
    void add(const Value& value, const char* labels = "") noexcept {
        insert<detail::lone_statistic<Name, Help, Value>>(&value, labels);
    }

    /// The format is UTF-8 whatever is said of it.
    static constexpr std::string_view content_type{"text/plain; version=0.0.4"};

    /// Calls `write(text)` for each line of the exposition, or two or three at a time.
    template <class Write>
    void write(Write write) const noexcept {
        for (const block* b = blocks_.data(); b != blocks_.data() + count_; ++b) {
            if constexpr (Compact) {
                for (metric_reader<false> at{b->text}; at.next(); at.begin_line()) {
                    at.show(b->word(at.word()));
                    write(at.text());
                }
            } else if (same_names(blocks_.data(), b->text) == b) { // others come with the first of their kind
                for (metric_reader<true> at{b->text}; at.next();)
                    for (const block* s = b; s != nullptr; s = same_names(s + 1, b->text)) {
                        at.show(s->word(at.word()), s->labels);
                        write(at.text());
                        at.begin_line();
                    }
            }
        }
    }
};

/// A registry whose image and export are smaller. It has no HELP, which the format does not ask for; no labels for whole
/// structs, so that no type of struct may be in it twice; and takes no computed ones.
template <std::size_t Room = 32>
using compact_metrics = metrics<Room, true>;

} // namespace mirage
