// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"

namespace mirage::tcp {

/// A congestion control whose window leaves spread over the round trip: a window that is acknowledged at once would leave at
/// once, too, and a large one overflows the first short queue on its way. Text leaves in bursts of a millisecond, at twice the
/// window's rate in slow start and six fifths of it later, so that the window stays the limit. Short paths and small
/// windows are left alone: there a burst is small, and a timer dear. RFC 9406 section 4.2 wants it for slow start,
/// RFC 9002 section 7.7 says how.
template <congestion_control Policy>
class paced : public Policy {
    static constexpr duration shortest_path = std::chrono::milliseconds{4}, burst = std::chrono::milliseconds{1};
    static constexpr std::uint32_t least_segments = 16;

    instant paid_{};     ///< until when what was sent lasts at this rate
    bool open_ = true;   ///< a burst is leaving

public:
    friend constexpr bool operator==(const paced&, const paced&) noexcept = default;

    /// Whether text may leave now. If not: at release(), or when the window changes.
    constexpr bool may_leave(instant now) noexcept {
        constexpr duration lateness = 2 * burst; // of a timer, that is made up for; a pause of the writer's is not
        if (paid_ < now - lateness)
            paid_ = open_ ? now : now - lateness;
        open_ = paid_ <= now || (open_ && paid_ <= now + burst);
        return open_;
    }
    /// When what may_leave() held back may leave; `never`: it holds nothing back.
    constexpr instant release() const noexcept { return open_ ? never : paid_; }

    /// `octets` of text left.
    constexpr void left(std::uint32_t octets, const congestion_sample& s) noexcept {
        const std::uint32_t window = this->window();
        if (s.srtt < shortest_path || window < least_segments * s.mss)
            return;
        const auto round = static_cast<std::uint64_t>(s.srtt.count());
        const std::uint64_t spread = window < this->ssthresh() ? round / 2 : round / 6 * 5;
        paid_ += duration{static_cast<std::int64_t>(octets * spread / window)};
    }
};

} // namespace mirage::tcp
