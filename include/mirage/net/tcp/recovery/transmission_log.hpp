// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/sequence.hpp"
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mirage::tcp {

/// Microseconds, modulo 2^31: half an hour, which no segment stays under way.
struct send_time {
    static constexpr std::uint32_t mask = 0x7fff'ffff;
    std::uint32_t value = 0;

    static constexpr send_time of(instant t) noexcept {
        return {static_cast<std::uint32_t>(t.time_since_epoch().count() / 1000) & mask};
    }
    /// How long ago that was.
    constexpr std::uint32_t age(send_time now) const noexcept { return (now.value - value) & mask; }
};

/// When each segment on its way was sent, and whether for the first time: runs of segments, in the order of their sending, in
/// bounded memory. What would take a run too many makes the oldest be forgotten; it then counts as sent with the one after it,
/// which delays its loss's discovery and does no other harm. RFC 8985 section 5.2 (Segment.xmit_ts, Segment.retransmitted)
class transmission_log {
public:
    struct run {
        sequence left{}, right{};
        std::uint32_t stamp = 0; ///< when, and in the highest bit whether it had been sent before

        constexpr send_time at() const noexcept { return {stamp & send_time::mask}; }
        constexpr bool again() const noexcept { return stamp > send_time::mask; }
    };
    /// A piece of sequence space that was last sent at one time.
    struct piece {
        sequence end;
        const run* sent; ///< of what was forgotten, the oldest that is known
    };

private:
    static constexpr std::size_t most = 12;
    std::array<run, most> runs_{};
    std::uint8_t count_ = 0;

    constexpr void forget(std::size_t n) noexcept {
        std::copy(runs_.begin() + n, runs_.begin() + count_, runs_.begin());
        count_ = static_cast<std::uint8_t>(count_ - n);
    }

public:
    /// [left, right) went out; a run of what followed each other within `grain` microseconds counts as sent when it began.
    constexpr void sent(sequence left, sequence right, bool again, send_time now, std::uint32_t grain) noexcept {
        if (count_ != 0) {
            run& last = runs_[count_ - 1u];
            if (last.right == left && last.again() == again && last.at().age(now) <= grain) {
                last.right = right;
                return;
            }
        }
        if (count_ == most)
            forget(1);
        runs_[count_++] = {.left = left, .right = right, .stamp = again ? now.value | ~send_time::mask : now.value};
    }

    /// Everything before `una` has arrived.
    constexpr void acknowledged(sequence una) noexcept {
        std::size_t gone = 0;
        while (gone < count_ && at_or_before(runs_[gone].right, una))
            ++gone;
        if (gone != 0)
            forget(gone);
    }

    /// The run that last sent something of [left, right); nullptr: nobody knows.
    constexpr const run* newest_in(sequence left, sequence right) const noexcept {
        for (std::size_t i = count_; i-- > 0;)
            if (before(runs_[i].left, right) && before(left, runs_[i].right))
                return &runs_[i];
        return nullptr;
    }

    /// When `at` was last sent, and up to where, at most `limit`, the same is true.
    constexpr piece last_sent(sequence at, sequence limit) const noexcept {
        for (std::size_t i = count_; i-- > 0;) {
            const run& r = runs_[i];
            if (at_or_before(r.left, at) && before(at, r.right))
                return {before(r.right, limit) ? r.right : limit, &r};
            if (before(at, r.left) && before(r.left, limit))
                limit = r.left;
        }
        return {limit, runs_.data()};
    }
};

} // namespace mirage::tcp
