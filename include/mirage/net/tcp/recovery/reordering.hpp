// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/recovery/transmission_log.hpp"
#include <algorithm>
#include <cstdint>

namespace mirage::tcp {

/// What of all that has arrived was sent last, and how far segments overtake each other on this path. Times in microseconds.
/// RFC 8985 sections 5.3 and 6.2
struct reordering {
    send_time newest{};             ///< RACK.xmit_ts
    sequence newest_end{};          ///< RACK.end_seq
    sequence highest{};             ///< RACK.fack
    sequence round{};               ///< RACK.dsack_round; meaningful while rounds_left is not 0
    std::uint32_t rtt = 0;          ///< RACK.rtt
    std::uint32_t least_rtt = 0;    ///< RACK.min_rtt; 0: unknown
    send_time least_at{};           ///< when that was seen: a path may become longer
    std::uint32_t multiple = 1;     ///< RACK.reo_wnd_mult
    std::uint8_t rounds_left = 0;   ///< RACK.reo_wnd_persist
    bool any = false;               ///< something has arrived
    bool seen = false;              ///< RACK.reordering_seen

    /// Steps 1 to 3: what ends at `right` has arrived.
    constexpr void arrived(const transmission_log::run& sent, sequence right, send_time time) noexcept {
        constexpr std::uint32_t window = 300'000'000; // Linux's, too
        const std::uint32_t age = std::max(sent.at().age(time), 1u);
        if (!sent.again()) {
            if (least_rtt == 0 || age <= least_rtt || least_at.age(time) > window) {
                least_rtt = age;
                least_at = time;
            }
            seen |= any && before(right, highest);
        } else if (age < least_rtt) { // it answers what was sent before
            return;
        }
        highest = any ? later(highest, right) : right;
        rtt = age;
        const std::uint32_t newest_age = newest.age(time);
        if (!any || age < newest_age || (age == newest_age && before(newest_end, right))) {
            newest = sent.at();
            newest_end = right;
        }
        any = true;
    }

    /// A D-SACK: something was sent again too early. Step 4
    constexpr void arrived_twice(sequence una, sequence nxt) noexcept {
        if (rounds_left > 0 && before(una, round))
            return;
        round = nxt;
        ++multiple;
        rounds_left = 16;
    }

    /// Recovery is over. Step 4
    constexpr void recovered() noexcept {
        if (rounds_left > 0 && --rounds_left == 0)
            multiple = 1;
    }

    /// How old something that was overtaken must be to count as lost: RACK.rtt + RACK.reo_wnd. `many`: as many others have arrived
    /// as three duplicate acknowledgements would have told of.
    constexpr std::uint32_t patience(bool many, duration srtt) const noexcept {
        if (many && !seen)
            return rtt;
        return rtt + std::min(multiple * (least_rtt / 4), static_cast<std::uint32_t>(srtt.count() / 1000));
    }

    /// Whether something that was sent later than this, which ends at `end`, has arrived. RACK_sent_after()
    constexpr bool overtaken(const transmission_log::run& sent, sequence end, send_time time) const noexcept {
        const std::uint32_t age = sent.at().age(time), newest_age = newest.age(time);
        return any && (age > newest_age || (age == newest_age && at_or_before(end, newest_end)));
    }
};

} // namespace mirage::tcp
