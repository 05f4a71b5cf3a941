// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mirage::tcp {

/// How fast a path delivers: of what arrives, how much has arrived since it was sent, and in what time. The longer of the times
/// in which that was sent and acknowledged counts, so that neither bursts nor acknowledgements that come together pass
/// for speed. draft-cheng-iccrg-delivery-rate-estimation-02
///
/// Remembers what is under way as runs of segments, in bounded memory; octets and microseconds are counted modulo 2^32.
class delivery_rate {
public:
    /// What one acknowledgement says. Without an answer to a first transmission `known` is false and the rest says nothing.
    struct sample {
        bool known = false;
        bool limited = false;         ///< the writer, not the path, set the pace
        std::uint64_t rate = 0;       ///< octets per second; 0: too short a time to tell
        std::uint32_t delivered = 0;  ///< octets, since what has arrived now was sent
        std::uint32_t lost = 0;       ///< octets, since then
        std::uint32_t flight = 0;     ///< octets under way then, itself included
        std::uint32_t prior = 0;      ///< total() then
        std::uint32_t round_trip = 0; ///< microseconds; 0: unknown
    };

private:
    struct run {
        sequence end{};
        std::uint32_t began = 0, sent = 0; ///< when its first and its last segment left
        std::uint32_t first_sent = 0;      ///< when that left whose arrival was the last, then: the sending time counts from there
        std::uint32_t delivered = 0, delivered_at = 0, lost = 0, flight = 0;
        friend constexpr bool operator==(const run&, const run&) noexcept = default;
    };
    static constexpr std::size_t most = 24;

    std::array<run, most> runs_{};
    std::uint8_t count_ = 0;
    std::uint32_t total_ = 0, total_at_ = 0, first_sent_ = 0, lost_ = 0;

    constexpr void forget(std::size_t n) noexcept {
        std::copy(runs_.begin() + n, runs_.begin() + count_, runs_.begin());
        count_ = static_cast<std::uint8_t>(count_ - n);
    }

public:
    friend constexpr bool operator==(const delivery_rate&, const delivery_rate&) noexcept = default;

    static constexpr std::uint32_t microseconds(instant t) noexcept {
        return static_cast<std::uint32_t>(t.time_since_epoch().count() / 1000);
    }

    /// Octets that have arrived, and octets that were sent again.
    constexpr std::uint32_t total() const noexcept { return total_; }
    constexpr std::uint32_t lost() const noexcept { return lost_; }

    constexpr void departed(const departure& d) noexcept {
        const std::uint32_t now = microseconds(d.now);
        if (d.flight <= d.octets + 1) { // nothing else is under way; one more for a FIN
            count_ = 0;
            first_sent_ = total_at_ = now;
        }
        if (d.again) {
            lost_ += d.octets;
            return;
        }
        // As many runs as there is room for have to last for a round trip.
        const auto grain = static_cast<std::uint32_t>(d.srtt.count() / 1000) / (most - 4);
        if (count_ != 0 && now - runs_[count_ - 1u].began <= grain) {
            runs_[count_ - 1u].end = d.end;
            runs_[count_ - 1u].sent = now;
            return;
        }
        if (count_ == most)
            forget(1);
        runs_[count_++] = {.end = d.end, .began = now, .sent = now, .first_sent = first_sent_, .delivered = total_,
                           .delivered_at = total_at_, .lost = lost_, .flight = d.flight};
    }

    constexpr sample delivered(const delivery& d) noexcept {
        const std::uint32_t now = microseconds(d.now);
        total_ += d.octets;
        total_at_ = now;
        std::size_t i = 0;
        while (i < count_ && before(runs_[i].end, d.newest))
            ++i;
        sample s;
        if (i < count_) {
            const run& r = runs_[i];
            const std::uint32_t interval = std::max(r.sent - r.first_sent, now - r.delivered_at);
            s = {.known = true, .limited = d.limited, .delivered = total_ - r.delivered, .lost = lost_ - r.lost,
                 .flight = r.flight, .prior = r.delivered};
            if (r.end == d.newest)
                s.round_trip = std::max(now - r.sent, 1u);
            if (interval != 0)
                s.rate = std::uint64_t{s.delivered} * 1'000'000 / interval;
            first_sent_ = r.sent;
        }
        forget(i);
        return s;
    }
};

} // namespace mirage::tcp
