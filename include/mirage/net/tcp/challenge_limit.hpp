// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include <cstdint>

namespace mirage::net {

/// How many challenge ACKs go out in a second: a number that is drawn anew each time, so that nobody can find out by counting them
/// what other connections do (CVE-2016-5696). RFC 5961 section 7
class challenge_limit {
    static constexpr unsigned half = 512; // at least, and up to three times as many
    instant until_ = instant::min(); ///< when the count begins anew ...
    unsigned left_ = 0;              ///< ... and how many may be sent until then

public:
    /// May one go out now? If so it is counted. `now` never goes back.
    bool take(instant now, auto& random) noexcept {
        if (now >= until_) {
            until_ = now + std::chrono::seconds{1};
            left_ = half + (random_integer<std::uint16_t>(random) & (2 * half - 1));
        }
        if (left_ == 0)
            return false;
        --left_;
        return true;
    }
};

} // namespace mirage::net
