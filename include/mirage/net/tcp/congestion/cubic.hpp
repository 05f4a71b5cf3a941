// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"
#include <algorithm>
#include <bit>

namespace mirage::tcp {

/// The integer cube root: the largest r with r * r * r <= n, below 2^21.
constexpr std::uint32_t cube_root(std::uint64_t n) noexcept {
    std::uint64_t root = 0;
    for (int bit = 20; bit >= 0; --bit) {
        const std::uint64_t tried = root | std::uint64_t{1} << bit;
        if (tried * tried * tried <= n)
            root = tried;
    }
    return static_cast<std::uint32_t>(root);
}

/// CUBIC (RFC 9438): after a loss the window grows along a cubic of the time that has passed, towards the window of the loss and
/// then beyond it; never slower than Reno would. Slow start ends when round trips grow longer (HyStart++, RFC 9406).
///
/// Time is counted in milliseconds, windows in octets; no floating point.
class cubic {
    // RFC 9438 section 4.1: C = 0.4 segments per s^3, beta = 0.7
    static constexpr std::uint32_t beta_tenths = 7;

    std::uint32_t cwnd_ = 0, ssthresh_ = 0xffff'ffff;
    std::uint32_t w_max_ = 0;       ///< the window before the last reduction
    std::uint32_t w_est_ = 0;       ///< what Reno would have by now (section 4.3)
    std::uint32_t reno_acked_ = 0;  ///< towards the next increase of w_est_
    std::uint32_t k_ = 0;           ///< milliseconds from the epoch's begin to w_max_
    instant epoch_ = never;         ///< when this congestion avoidance began; never: not yet

    // RFC 9406 section 4.2
    duration round_least_ = duration::max(), last_round_least_ = duration::max(), baseline_ = duration::max();
    std::uint32_t round_left_ = 0;  ///< octets to be acknowledged until the round is over
    std::uint8_t samples_ = 0, css_rounds_ = 0;
    bool conservative_ = false;

    static constexpr std::uint32_t initial_window(std::uint32_t mss) noexcept { // RFC 6928 section 2
        return std::min(10 * mss, std::max(2 * mss, std::uint32_t{14600}));
    }

    constexpr void reduce(const congestion_sample& s) noexcept {
        // Fast convergence, section 4.7: a flow that has not got back to its old window makes room for others.
        w_max_ = cwnd_ < w_max_ ? cwnd_ / 20 * (10 + beta_tenths) : cwnd_;
        // Section 4.6. What was selectively acknowledged counts in the flight, which may be larger than the window, then.
        const std::uint64_t flight = std::min(s.flight, cwnd_);
        ssthresh_ = std::max(static_cast<std::uint32_t>(flight * beta_tenths / 10), 2 * s.mss);
        epoch_ = never;
    }

    constexpr void begin_epoch(const congestion_sample& s) noexcept {
        epoch_ = s.now;
        w_est_ = cwnd_;
        reno_acked_ = 0;
        if (w_max_ < cwnd_)
            w_max_ = cwnd_;
        // K = cbrt((W_max - cwnd) / C): in ms, (W_max - cwnd) / mss / 0.4 * 10^9
        k_ = cube_root(std::uint64_t{w_max_ - cwnd_} * 2'500'000'000 / s.mss);
    }

    /// W_cubic(t) of section 4.2, t in milliseconds since the epoch began.
    constexpr std::uint32_t curve(std::uint64_t t, std::uint32_t mss) const noexcept {
        const std::uint64_t off = std::min<std::uint64_t>(t < k_ ? k_ - t : t - k_, 100'000);
        // C * off^3 segments: 0.4 * off^3 / 10^9 * mss
        const std::uint64_t delta = off * off * off / 1'000'000 * mss / 2500;
        if (t < k_)
            return delta < w_max_ ? static_cast<std::uint32_t>(w_max_ - delta) : 0;
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(w_max_ + delta, 0x3fff'ffff));
    }

    constexpr void avoid_congestion(const congestion_sample& s) noexcept {
        if (epoch_ == never)
            begin_epoch(s);
        // Reno's window, section 4.3: alpha = 3 * (1 - beta) / (1 + beta) segments per window until it is back at W_max
        reno_acked_ += s.acked;
        const std::uint32_t per_segment = w_est_ < w_max_ ? cwnd_ / 9 * 17 : cwnd_;
        if (reno_acked_ >= per_segment) {
            reno_acked_ -= per_segment;
            w_est_ += s.mss;
        }
        const auto t = static_cast<std::uint64_t>((s.now - epoch_ + s.srtt).count()) / 1'000'000;
        const std::uint32_t target = std::clamp(curve(t, s.mss), cwnd_, cwnd_ + cwnd_ / 2); // section 4.2
        // (target - cwnd) / cwnd for each segment that is acknowledged, section 4.4
        const std::uint64_t step = std::uint64_t{target - cwnd_} * std::min(s.acked, cwnd_) / std::max(cwnd_, 1u);
        cwnd_ = std::max(cwnd_ + static_cast<std::uint32_t>(step), std::min(w_est_, cwnd_ + s.acked));
    }

    /// RFC 9406 section 4.2: one sample of the round-trip time; whether slow start is over.
    constexpr bool observe(const congestion_sample& s) noexcept {
        constexpr duration least = std::chrono::milliseconds{4}, most = std::chrono::milliseconds{16};
        if (round_left_ <= s.acked) { // a round is over
            if (conservative_ && ++css_rounds_ >= 5)
                return true;
            last_round_least_ = round_least_;
            round_least_ = duration::max();
            samples_ = 0;
            round_left_ = s.flight;
        } else {
            round_left_ -= s.acked;
        }
        if (s.rtt == duration{})
            return false;
        round_least_ = std::min(round_least_, s.rtt);
        samples_ = static_cast<std::uint8_t>(std::min(samples_ + 1, 8));
        if (samples_ < 8 || last_round_least_ == duration::max())
            return false;
        if (conservative_) {
            if (round_least_ < baseline_) { // it was a burst: slow start goes on
                baseline_ = duration::max();
                conservative_ = false;
            }
        } else if (round_least_ >= last_round_least_ + std::clamp(last_round_least_ / 8, least, most)) {
            baseline_ = round_least_;
            conservative_ = true;
            css_rounds_ = 0;
        }
        return false;
    }

public:
    static constexpr bool observes_rtt = true; ///< wants congestion_sample::rtt

    friend constexpr bool operator==(const cubic&, const cubic&) noexcept = default;

    constexpr std::uint32_t window() const noexcept { return cwnd_; }
    constexpr std::uint32_t ssthresh() const noexcept { return ssthresh_; }

    constexpr void on_start(const congestion_sample& s) noexcept { cwnd_ = initial_window(s.mss); }

    constexpr void on_ack(const congestion_sample& s) noexcept {
        if (!s.limited && s.flight + s.mss < cwnd_) { // a window that was not used does not grow: RFC 9438 section 5.8, RFC 7661
            epoch_ = never;
            return;
        }
        if (cwnd_ >= ssthresh_)
            return avoid_congestion(s);
        if (ssthresh_ == 0xffff'ffff && observe(s)) { // only before the first loss: RFC 9406 section 4.3
            ssthresh_ = cwnd_;
            return;
        }
        cwnd_ = std::min(cwnd_ + (conservative_ ? s.acked / 4 : s.acked), std::max(ssthresh_, cwnd_ + s.mss));
    }
    constexpr void on_loss(const congestion_sample& s) noexcept {
        reduce(s);
        cwnd_ = ssthresh_;
    }
    constexpr void on_recovered(const congestion_sample& s) noexcept {
        const std::uint32_t left = s.flight > s.acked ? s.flight - s.acked : 0;
        cwnd_ = std::min(ssthresh_, std::max(left, s.mss) + s.mss); // no burst: RFC 6582 section 3.2, option (1)
    }
    constexpr void on_timeout(const congestion_sample& s) noexcept { // section 4.8
        reduce(s);
        cwnd_ = s.mss;
    }
    constexpr void on_spurious(std::uint32_t window, std::uint32_t threshold) noexcept { // section 4.9
        cwnd_ = std::max(cwnd_, window);
        w_max_ = std::max(w_max_, window);
        ssthresh_ = threshold;
        epoch_ = never;
    }
    constexpr void on_idle(const congestion_sample& s) noexcept {
        cwnd_ = std::min(cwnd_, initial_window(s.mss)); // RFC 5681 section 4.1
        epoch_ = never;
    }
};

static_assert(congestion_control<cubic>);

} // namespace mirage::tcp
