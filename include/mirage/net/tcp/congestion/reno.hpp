// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"
#include <algorithm>

namespace mirage::tcp {

/// Slow start, congestion avoidance, and half the window after a loss. RFC 5681 section 3.1, RFC 6582 section 3.2
class reno {
    std::uint32_t cwnd_ = 0, ssthresh_ = 0xffff'ffff;
    std::uint32_t acked_ = 0; ///< towards the next increase in congestion avoidance (RFC 3465, L = 1 window)

    /// RFC 6928 section 2: ten segments, at most 14600 octets unless two segments are more.
    static constexpr std::uint32_t initial_window(std::uint32_t mss) noexcept {
        return std::min(10 * mss, std::max(2 * mss, std::uint32_t{14600}));
    }
    /// RFC 5681 section 3.1, equation (4). What limited transmit sent, or was selectively acknowledged, does not count.
    constexpr std::uint32_t half(const congestion_sample& s) const noexcept {
        return std::max(std::min(s.flight, cwnd_) / 2, 2 * s.mss);
    }

public:
    friend constexpr bool operator==(const reno&, const reno&) noexcept = default;

    constexpr std::uint32_t window() const noexcept { return cwnd_; }
    constexpr std::uint32_t ssthresh() const noexcept { return ssthresh_; }

    constexpr void on_start(const congestion_sample& s) noexcept { cwnd_ = initial_window(s.mss); }

    constexpr void on_ack(const congestion_sample& s) noexcept {
        if (!s.limited && s.flight + s.mss < cwnd_) // RFC 5681 section 3.1 with RFC 7661: a window that was not used does not grow
            return;
        if (cwnd_ < ssthresh_) {
            // Equation (2) with byte counting: an acknowledgement of a whole burst counts for all of it, because
            // our receivers and modern offloads acknowledge bursts (RFC 3465 section 2.3 warns of L > 2 only
            // where the sender bursts unpaced into a small buffer).
            cwnd_ = std::min(cwnd_ + s.acked, std::max(ssthresh_, cwnd_ + s.mss));
            return;
        }
        acked_ += s.acked;
        if (acked_ >= cwnd_) { // one segment per round trip
            acked_ -= cwnd_;
            cwnd_ += s.mss;
        }
    }
    constexpr void on_loss(const congestion_sample& s) noexcept {
        ssthresh_ = half(s);
        cwnd_ = ssthresh_;
        acked_ = 0;
    }
    constexpr void on_recovered(const congestion_sample& s) noexcept {
        const std::uint32_t left = s.flight > s.acked ? s.flight - s.acked : 0;
        cwnd_ = std::min(ssthresh_, std::max(left, s.mss) + s.mss); // RFC 6582 section 3.2, full ACK, option (1)
    }
    constexpr void on_timeout(const congestion_sample& s) noexcept {
        ssthresh_ = half(s);
        cwnd_ = s.mss; // the loss window, RFC 5681 section 3.1
        acked_ = 0;
    }
    constexpr void on_spurious(std::uint32_t window, std::uint32_t threshold) noexcept { // RFC 4015 section 3
        cwnd_ = std::max(cwnd_, window);
        ssthresh_ = threshold;
    }
    constexpr void on_idle(const congestion_sample& s) noexcept {
        cwnd_ = std::min(cwnd_, initial_window(s.mss)); // RFC 5681 section 4.1
    }
};

static_assert(congestion_control<reno>);

} // namespace mirage::tcp
