// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include <algorithm>

namespace mirage::host {

/// How long to look for input before going to sleep. Falling asleep and being woken costs this process and
/// its peer several microseconds, so when input is about to come it is cheaper to stay awake for it. But
/// whoever is to send it may need this very core: looking then only keeps it from coming. Hence this learns
/// from how past waits went, and is wrong seldom: after looking in vain it sleeps at once for a number of
/// waits that doubles each time.
class spin_policy {
    static constexpr duration limit = std::chrono::microseconds{50};
    static constexpr duration slack = std::chrono::microseconds{2};
    static constexpr unsigned shortest_pause = 4, longest_pause = 4096;

    duration typical_ = limit; ///< from the start of a wait to its input, a moving average
    unsigned pause_ = 0;       ///< waits that have yet to sleep at once
    unsigned next_pause_ = shortest_pause;

    void learn(duration waited) noexcept { typical_ += (std::min(waited, 4 * limit) - typical_) / 8; }

public:
    /// How long to look in the wait that begins now; zero: sleep at once.
    duration budget() noexcept {
        if (pause_ > 0) {
            --pause_;
            return duration::zero();
        }
        // Times asleep contain the waking up, which looking saves: hence twice the limit.
        return typical_ >= 2 * limit ? duration::zero() : std::min(limit, 3 * typical_ + slack);
    }

    /// Input came after `waited`, while looking.
    void found(duration waited) noexcept {
        learn(waited);
        next_pause_ = std::max(next_pause_ / 2, shortest_pause);
    }

    /// Input came `waited` after the start of the wait, asleep; before that, this long was spent on looking.
    void woken(duration waited, duration looked) noexcept {
        learn(waited - looked);
        if (looked > duration::zero()) {
            pause_ = next_pause_;
            next_pause_ = std::min(next_pause_ * 2, longest_pause);
        }
    }
};

} // namespace mirage::host
