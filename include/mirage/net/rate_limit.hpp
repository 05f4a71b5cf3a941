// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include <algorithm>

namespace mirage::net {

/// A token bucket: lets `burst` events through at once and one per `interval` in the long run, so that nobody
/// can make us send without end (RFC 1812 section 4.3.2.8, RFC 5961 section 7, RFC 9293 section 3.10.7
/// challenge ACKs). Holds one point of time instead of a count: nothing to refill, no rounding.
class rate_limit {
    duration interval_{}, tolerance_{};
    instant conforming_at_ = instant::min(); ///< when the bucket will be full again

public:
    /// `interval` > 0 between events in the long run; `burst` >= 1 events at once.
    constexpr rate_limit(duration interval, unsigned burst) noexcept
        : interval_{interval}, tolerance_{interval * (burst - 1)} {}

    /// May the event happen now? If so it is counted. `now` never goes back.
    constexpr bool take(instant now) noexcept {
        const instant from = std::max(conforming_at_, now);
        if (from - now > tolerance_)
            return false;
        conforming_at_ = from + interval_;
        return true;
    }

    /// When take() will be true again; a point in the past when it is so already.
    constexpr instant available_at() const noexcept {
        return conforming_at_ == instant::min() ? conforming_at_ : conforming_at_ - tolerance_;
    }
};

} // namespace mirage::net
