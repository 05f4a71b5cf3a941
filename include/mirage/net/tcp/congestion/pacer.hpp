// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"

namespace mirage::tcp {

/// Spreads what may leave over time: in bursts of a millisecond, since a timer for every segment would cost more than it is
/// worth. RFC 9002 section 7.7
class pacer {
    static constexpr duration burst = std::chrono::milliseconds{1};
    instant paid_{};     ///< until when what was sent lasts at this rate
    bool open_ = true;   ///< a burst is leaving

public:
    friend constexpr bool operator==(const pacer&, const pacer&) noexcept = default;

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

    /// What left is worth so much time.
    constexpr void spend(duration d) noexcept { paid_ += d; }
};

} // namespace mirage::tcp
