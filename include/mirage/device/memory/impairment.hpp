// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace mirage::memory {

/// What one direction of a link does to the frames. Probabilities in millionths; each is drawn once per frame.
struct impairment {
    duration delay{};                 ///< every frame is this late
    duration jitter{};                ///< and up to this much more, evenly distributed: frames overtake each other
    std::uint32_t loss = 0;           ///< the frame is gone
    std::uint32_t duplicate = 0;      ///< it arrives twice
    std::uint32_t corrupt = 0;        ///< one bit of it is flipped
    std::uint32_t reorder = 0;        ///< it is late by reorder_delay more
    duration reorder_delay = std::chrono::milliseconds{1};
    std::uint64_t bits_per_second = 0; ///< 0: no limit. Each frame occupies the line with 24 octets around it
    std::size_t queue = 1000;          ///< frames on their way at most; what comes then is lost
    std::uint64_t seed = 1;

    static constexpr std::uint32_t percent = 10'000; ///< loss = 2 * percent
};

/// What happened to the frames of one direction.
struct impairment_counters {
    std::uint64_t lost = 0, duplicated = 0, corrupted = 0, reordered = 0, overflowed = 0;
};

/// A line with an impairment: frames go in, and come out at `arrive` when their time has come, from a timer of the
/// scheduler or, when nothing delays them, inside send(). The same seed and traffic give the same run.
class impaired_line {
public:
    struct tag {
        std::uint16_t gso_size = 0;
        bool checksum_verified = false;
    };
    using arrival = void (*)(void*, octets frame, tag) noexcept;

private:
    struct flight {
        instant due{};
        std::uint64_t order = 0; ///< frames due at the same time stay in order
        slice frame{};
        tag what{};
        static bool later(const flight& a, const flight& b) noexcept {
            return a.due != b.due ? a.due > b.due : a.order > b.order;
        }
    };

    scheduler& home_;
    impairment rules_;
    seeded_random random_;
    buffer_pool pool_;
    std::unique_ptr<flight[]> flights_; ///< a heap, the earliest first
    std::size_t count_ = 0;
    std::uint64_t order_ = 0;
    instant line_free_{};
    arrival arrive_;
    void* argument_;
    impairment_counters counters_{};

    struct bell : timer {
        impaired_line& line;
        explicit bell(impaired_line& l) noexcept
            : timer{[](timer& self) noexcept { static_cast<bell&>(self).line.land(); }}, line{l} {}
    } bell_{*this};

    void land() noexcept {
        while (count_ != 0 && flights_[0].due <= home_.now()) {
            std::pop_heap(flights_.get(), flights_.get() + count_, flight::later);
            const flight landed = std::move(flights_[--count_]);
            arrive_(argument_, landed.frame.view(), landed.what);
        }
        if (count_ != 0)
            home_.arm(bell_, flights_[0].due);
    }

    /// The sent frame's copy on the line, with a bit flipped perhaps; empty when the line is full.
    slice copy(octets frame, bool flip) noexcept {
        page p = count_ < rules_.queue ? pool_.take() : page{};
        if (!p)
            return {};
        std::memcpy(p.room().data(), frame.data(), frame.size());
        if (flip) {
            const std::uint64_t bit = random_.below(frame.size() * 8);
            p.room()[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        }
        return std::move(p).freeze(0, frame.size());
    }

    void launch(octets frame, tag what, instant due, bool flip) noexcept {
        slice s = copy(frame, flip);
        if (s.empty()) {
            ++counters_.overflowed;
            return;
        }
        if (due <= home_.now())
            return arrive_(argument_, s.view(), what);
        flights_[count_++] = {due, order_++, std::move(s), what};
        std::push_heap(flights_.get(), flights_.get() + count_, flight::later);
        home_.arm(bell_, flights_[0].due);
    }

public:
    /// `largest`: octets of the largest frame.
    impaired_line(scheduler& home, const impairment& rules, std::size_t largest, arrival arrive,
                  void* argument) noexcept
        : home_{home}, rules_{rules}, random_{rules.seed}, pool_{rules.queue + 1, largest},
          flights_{new (std::nothrow) flight[rules.queue + 1]}, arrive_{arrive}, argument_{argument} {
        check(flights_ != nullptr && pool_.size() != 0, "impaired_line: out of memory");
    }
    impaired_line(const impaired_line&) = delete;
    impaired_line& operator=(const impaired_line&) = delete;

    /// True when the frame's content may arrive changed: its checksum must be in it then.
    bool corrupts() const noexcept { return rules_.corrupt != 0; }
    const impairment_counters& counters() const noexcept { return counters_; }
    std::size_t in_flight() const noexcept { return count_; }

    void send(octets frame, tag what) noexcept {
        instant due = home_.now();
        if (rules_.bits_per_second != 0) {
            // Preamble, start delimiter, FCS and inter-packet gap (IEEE 802.3 sections 3.2 and 4.4.2).
            const std::uint64_t bits = (frame.size() + 24) * 8;
            line_free_ = std::max(line_free_, due)
                         + duration{static_cast<std::int64_t>(bits * 1'000'000'000 / rules_.bits_per_second)};
            due = line_free_;
        }
        // Every frame draws the same numbers, whatever becomes of it: changing one rule leaves the others' luck.
        const bool lost = random_.chance(rules_.loss), doubled = random_.chance(rules_.duplicate);
        const bool flipped = random_.chance(rules_.corrupt), late = random_.chance(rules_.reorder);
        const auto extra = random_.below(static_cast<std::uint64_t>(rules_.jitter.count()) + 1);
        due += rules_.delay + duration{static_cast<std::int64_t>(extra)};
        if (lost) {
            ++counters_.lost;
            return;
        }
        if (late) {
            ++counters_.reordered;
            due += rules_.reorder_delay;
        }
        if (flipped) {
            ++counters_.corrupted;
            what.checksum_verified = false;
        }
        launch(frame, what, due, flipped);
        if (doubled) {
            ++counters_.duplicated;
            launch(frame, what, due, false);
        }
    }
};

} // namespace mirage::memory
