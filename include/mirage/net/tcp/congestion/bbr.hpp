// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"
#include "mirage/net/tcp/congestion/delivery_rate.hpp"
#include "mirage/net/tcp/congestion/pacer.hpp"
#include <algorithm>
#include <array>

namespace mirage::tcp {

/// BBR, version 2: a model of the path, its bandwidth and its round trip, says how fast to send and how much to have under way,
/// instead of losses; losses bound the model where they are many. It fills a path that loses a per cent at random, and keeps the
/// queue of one that does not short. draft-cardwell-iccrg-bbr-congestion-control-02, whose sections are cited below.
///
/// It paces text itself. A connection's state is some 900 octets larger for it than for CUBIC. No floating point: gains are per cent.
class bbr {
    enum class phase : std::uint8_t { startup, drain, down, cruise, refill, up, probe_rtt };

    static constexpr std::uint32_t unbounded = 0x3fff'ffff;
    static constexpr std::uint32_t unknown = 0xffff'ffff;        ///< of min_rtt_, microseconds
    static constexpr duration min_rtt_lasts = std::chrono::seconds{10}, round_trip_probe_every = std::chrono::seconds{5},
                              round_trip_probe = std::chrono::milliseconds{200}; // section 4.3.4
    static constexpr std::uint32_t loss_percent = 2, beta = 70, headroom = 85; // section 2.8, in per cent

    delivery_rate rate_{};
    pacer pacer_{};

    // The model: octets, octets per second, microseconds. Sections 4.5.2 to 4.5.6
    std::array<std::uint64_t, 2> bandwidth_{}; ///< the best of the cycle before, and of this one
    std::uint64_t full_bandwidth_ = 0;         ///< what further growth is measured by
    std::uint64_t latest_bandwidth_ = 0, bandwidth_lo_ = ~std::uint64_t{};
    instant min_rtt_at_{}, probed_rtt_at_{}, probe_done_ = never;
    instant epoch_{};                          ///< of epoch_acked_
    instant cycle_began_{}, phase_began_{};    ///< of probing for bandwidth: section 4.3.3
    duration patience_ = std::chrono::seconds{2}; ///< how long a cycle lasts
    std::uint32_t min_rtt_ = unknown, probed_rtt_ = unknown;
    std::uint32_t latest_inflight_ = 0, inflight_lo_ = unbounded, inflight_hi_ = unbounded;
    std::uint32_t extra_acked_ = 0, epoch_acked_ = 0; ///< acknowledgements that come together: section 4.5.5

    std::uint32_t mss_ = 536, cwnd_ = 0, prior_cwnd_ = 0;
    /// Rounds: what is under way when one begins has arrived when it ends. Section 4.5.1
    std::uint32_t next_round_ = 0, round_began_ = 0, lost_before_round_ = 0, rounds_ = 0;
    std::uint32_t rounds_at_cycle_ = 0, up_acked_ = 0;
    std::uint8_t up_rounds_ = 0;
    std::uint8_t plateau_ = 0;       ///< rounds without growth
    phase phase_ = phase::startup;
    bool full_ = false;              ///< the pipe has been filled: section 4.3.1.2
    bool round_ = false;             ///< a round begins with what arrives now
    bool cycle_over_ = false;        ///< the next round's samples belong to the next cycle
    bool losing_ = false;            ///< in this round
    bool probing_ = false;           ///< what arrives answers a probe for bandwidth
    bool probe_round_done_ = false;  ///< of the probe for the round trip

    static constexpr std::uint32_t initial_window(std::uint32_t mss) noexcept { // RFC 6928 section 2
        return std::min(10 * mss, std::max(2 * mss, std::uint32_t{14600}));
    }
    static constexpr std::uint32_t part(std::uint64_t whole, std::uint32_t percent) noexcept {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(whole * percent / 100, unbounded));
    }

    constexpr std::uint64_t best() const noexcept { return std::max(bandwidth_[0], bandwidth_[1]); }
    constexpr std::uint64_t bandwidth() const noexcept { return std::min(best(), bandwidth_lo_); }
    constexpr std::uint32_t least() const noexcept { return 4 * mss_; }
    /// The bandwidth-delay product, times `percent`. Section 4.6.4.2
    constexpr std::uint32_t product(std::uint64_t bandwidth, std::uint32_t percent = 100) const noexcept {
        if (min_rtt_ == unknown || bandwidth == 0)
            return part(initial_window(mss_), percent);
        return part(std::min<std::uint64_t>(bandwidth, 1'000'000'000'000) * min_rtt_ / 1'000'000, percent);
    }
    /// With what end hosts hold back to send and acknowledge it in bursts.
    constexpr std::uint32_t target(std::uint32_t percent) const noexcept {
        const auto burst = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(bandwidth() / 1000, std::uint64_t{2} * mss_, 65536));
        return std::max(product(bandwidth(), percent) + 3 * burst, least()) + (phase_ == phase::up ? 2 * mss_ : 0);
    }
    constexpr std::uint32_t with_headroom() const noexcept {
        return inflight_hi_ == unbounded ? unbounded : std::max(part(inflight_hi_, headroom), least());
    }
    constexpr bool probes_bandwidth() const noexcept { return phase_ >= phase::down && phase_ <= phase::up; }

    constexpr std::uint32_t pacing_gain() const noexcept {
        switch (phase_) {
        case phase::startup:
            return 277;
        case phase::drain:
            return 36;
        case phase::down:
            return 90;
        case phase::up:
            return 125;
        default:
            return 100;
        }
    }

    constexpr void enter(phase p, instant now) noexcept {
        phase_ = p;
        phase_began_ = now;
    }
    constexpr void begin_round() noexcept {
        next_round_ = round_began_ = rate_.total();
        lost_before_round_ = rate_.lost();
    }
    constexpr void forget_lower_bounds() noexcept {
        bandwidth_lo_ = ~std::uint64_t{};
        inflight_lo_ = unbounded;
        losing_ = false;
    }
    constexpr void enter_down(instant now) noexcept { // section 4.3.3.1
        enter(phase::down, now);
        cycle_began_ = now;
        rounds_at_cycle_ = rounds_;
        cycle_over_ = true;
        // Section 4.3.3.5: two to three seconds, lest flows probe all at once.
        patience_ = std::chrono::milliseconds{2000 + (delivery_rate::microseconds(now) * 2654435761u >> 22)};
        begin_round();
    }
    constexpr bool time_to_probe(instant now) const noexcept {
        // As often as Reno would lose something on this path, at most once in 63 rounds: section 4.3.3.5
        const std::uint32_t reno = std::min(std::max(product(bandwidth()), cwnd_) / mss_, 63u);
        return now - cycle_began_ > patience_ || rounds_ - rounds_at_cycle_ >= reno;
    }

    constexpr void count_rounds(const delivery_rate::sample& s) noexcept {
        round_ = s.known && static_cast<std::int32_t>(s.prior - next_round_) >= 0;
        if (!round_)
            return;
        ++rounds_;
        if (cycle_over_ && probes_bandwidth()) {
            cycle_over_ = probing_ = false;
            if (bandwidth_[1] != 0)
                bandwidth_ = {bandwidth_[1], 0};
        }
    }

    constexpr void learn(const delivery_rate::sample& s) noexcept {
        if (s.rate != 0 && (!s.limited || s.rate >= best()))
            bandwidth_[1] = std::max(bandwidth_[1], s.rate);
        latest_bandwidth_ = std::max(latest_bandwidth_, s.rate);
        latest_inflight_ = std::max(latest_inflight_, s.delivered);
    }

    /// Losses bound the short-term model, unless they were asked for. Section 4.5.6.3
    constexpr void lower_bounds() noexcept {
        if (losing_ && phase_ != phase::startup && phase_ != phase::refill && phase_ != phase::up) {
            const std::uint64_t bandwidth = bandwidth_lo_ == ~std::uint64_t{} ? best() : bandwidth_lo_;
            const std::uint32_t inflight = inflight_lo_ == unbounded ? cwnd_ : inflight_lo_;
            bandwidth_lo_ = std::max(latest_bandwidth_, bandwidth * beta / 100);
            inflight_lo_ = std::max({latest_inflight_, part(inflight, beta), least()});
        }
        losing_ = false;
        latest_bandwidth_ = 0;
        latest_inflight_ = 0;
    }

    /// More than two per cent of what was under way with it are lost. Section 4.5.6.2
    static constexpr bool too_much(const delivery_rate::sample& s) noexcept {
        return std::uint64_t{s.lost} * 100 > std::uint64_t{s.flight} * loss_percent;
    }

    /// Section 4.3.1.2 and 4.3.1.3
    constexpr void look_for_full_pipe(const delivery_rate::sample& s) noexcept {
        if (full_ || !round_)
            return;
        const std::uint32_t lost = rate_.lost() - lost_before_round_, arrived = rate_.total() - round_began_;
        if (lost >= 6 * mss_ && std::uint64_t{lost} * 100 > (std::uint64_t{lost} + arrived) * loss_percent) {
            full_ = true;
            inflight_hi_ = std::max({product(best()), latest_inflight_, least()});
        } else if (!s.limited) {
            if (best() >= full_bandwidth_ + full_bandwidth_ / 4) {
                full_bandwidth_ = best();
                plateau_ = 0;
            } else {
                full_ = ++plateau_ >= 3;
            }
        }
    }

    /// Section 4.3.3.6
    constexpr void probe_for_bandwidth(const delivery& d, const delivery_rate::sample& s) noexcept {
        if (probing_ && s.known)
            learn_upper_bound(d, s);
        switch (phase_) {
        case phase::down:
        case phase::cruise:
            if (time_to_probe(d.now)) { // section 4.3.3.3
                forget_lower_bounds();
                up_rounds_ = 0;
                up_acked_ = 0;
                enter(phase::refill, d.now);
                begin_round();
            } else if (phase_ == phase::down && d.flight <= std::min(with_headroom(), target(100))) {
                enter(phase::cruise, d.now);
            }
            break;
        case phase::refill:
            if (round_) { // section 4.3.3.4
                probing_ = true;
                full_bandwidth_ = best();
                plateau_ = 0;
                enter(phase::up, d.now);
                begin_round();
            }
            break;
        case phase::up:
            if (round_) {
                if (best() >= full_bandwidth_ + full_bandwidth_ / 4) {
                    full_bandwidth_ = best();
                    plateau_ = 0;
                } else {
                    ++plateau_;
                }
            }
            if ((d.now - phase_began_ > std::chrono::microseconds{min_rtt_} && d.flight > target(125)) || plateau_ >= 3)
                enter_down(d.now);
            break;
        default:
            break;
        }
    }

    /// Section 4.5.6.2
    constexpr void learn_upper_bound(const delivery& d, const delivery_rate::sample& s) noexcept {
        if (too_much(s)) {
            probing_ = false;
            if (!s.limited)
                inflight_hi_ = std::max({s.flight, part(std::min(product(bandwidth()), cwnd_), beta), least()});
            if (phase_ == phase::up)
                enter_down(d.now);
            return;
        }
        if (inflight_hi_ == unbounded)
            return;
        inflight_hi_ = std::max(inflight_hi_, s.flight);
        if (phase_ != phase::up || s.limited || cwnd_ < inflight_hi_)
            return;
        // One segment more in the first round, two in the next, four ...
        up_acked_ += d.octets;
        const std::uint32_t step = std::max(cwnd_ >> up_rounds_, mss_);
        if (up_acked_ >= step) {
            inflight_hi_ = std::min(inflight_hi_ + up_acked_ / step * mss_, unbounded);
            up_acked_ %= step;
        }
        if (round_)
            up_rounds_ = static_cast<std::uint8_t>(std::min(up_rounds_ + 1, 30));
    }

    /// Section 4.3.4
    constexpr void watch_round_trip(const delivery& d, const delivery_rate::sample& s) noexcept {
        const bool stale = d.now - probed_rtt_at_ > round_trip_probe_every;
        if (s.round_trip != 0 && (s.round_trip <= probed_rtt_ || stale)) {
            probed_rtt_ = s.round_trip;
            probed_rtt_at_ = d.now;
        }
        if (probed_rtt_ < min_rtt_ || d.now - min_rtt_at_ > min_rtt_lasts) {
            min_rtt_ = probed_rtt_;
            min_rtt_at_ = probed_rtt_at_;
        }
        if (phase_ != phase::probe_rtt) {
            if (stale && full_ && !s.limited) {
                prior_cwnd_ = std::max(prior_cwnd_, cwnd_);
                probe_done_ = never;
                enter(phase::probe_rtt, d.now);
            }
            return;
        }
        if (probe_done_ == never) {
            if (d.flight <= short_window()) {
                probe_done_ = d.now + round_trip_probe;
                probe_round_done_ = false;
                begin_round();
            }
            return;
        }
        probe_round_done_ |= round_;
        if (probe_round_done_ && d.now > probe_done_) {
            probed_rtt_at_ = d.now;
            cwnd_ = std::max(cwnd_, prior_cwnd_);
            prior_cwnd_ = 0;
            forget_lower_bounds();
            enter_down(d.now);
            enter(phase::cruise, d.now);
        }
    }
    constexpr std::uint32_t short_window() const noexcept { return std::max(product(bandwidth(), 50), least()); }

    /// How much more than expected acknowledgements bring at once. Section 4.5.5
    constexpr void watch_aggregation(const delivery& d) noexcept {
        if (round_ && rounds_ % 8 == 0)
            extra_acked_ -= extra_acked_ / 4;
        const auto passed = static_cast<std::uint64_t>(std::min<duration>(d.now - epoch_, std::chrono::seconds{1}).count() / 1000);
        const std::uint64_t expected = bandwidth() * passed / 1'000'000;
        if (epoch_acked_ <= expected || epoch_acked_ > unbounded / 2) {
            epoch_ = d.now;
            epoch_acked_ = 0;
            extra_acked_ = std::max(extra_acked_, std::min(d.octets, cwnd_));
        } else {
            extra_acked_ = std::max(extra_acked_, static_cast<std::uint32_t>(
                                                      std::min<std::uint64_t>(epoch_acked_ + d.octets - expected, cwnd_)));
        }
        epoch_acked_ += d.octets;
        // Not more than comes in 100 ms: section 4.5.5
        extra_acked_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(extra_acked_, bandwidth() / 10 + mss_));
    }

    /// Section 4.6.4.5 and 4.6.4.6
    constexpr void set_window(const delivery& d) noexcept {
        const std::uint32_t most = target(phase_ == phase::startup ? 289 : 200) + (full_ ? extra_acked_ : 0);
        if (full_)
            cwnd_ = std::min(cwnd_ + d.octets, most);
        else if (cwnd_ < most || rate_.total() < 2 * initial_window(mss_))
            cwnd_ += std::min(d.octets, unbounded - cwnd_);
        std::uint32_t bound = inflight_lo_;
        if (phase_ == phase::probe_rtt)
            bound = std::min({bound, short_window(), with_headroom()});
        else if (phase_ == phase::cruise)
            bound = std::min(bound, with_headroom());
        else if (probes_bandwidth())
            bound = std::min(bound, inflight_hi_);
        cwnd_ = std::max(std::min(cwnd_, bound), least());
    }

public:
    friend constexpr bool operator==(const bbr&, const bbr&) noexcept = default;

    constexpr std::uint32_t window() const noexcept { return cwnd_; }
    /// Recovery sends at the pace of what arrives, but no less than the model allows.
    constexpr std::uint32_t ssthresh() const noexcept { return cwnd_; }

    constexpr void on_start(const congestion_sample& s) noexcept {
        mss_ = s.mss;
        cwnd_ = initial_window(s.mss);
        min_rtt_at_ = probed_rtt_at_ = epoch_ = phase_began_ = cycle_began_ = s.now;
    }
    constexpr void on_ack(const congestion_sample&) noexcept {} // on_delivery() hears of it
    constexpr void on_loss(const congestion_sample&) noexcept { losing_ = true; }
    constexpr void on_recovered(const congestion_sample&) noexcept {}
    constexpr void on_timeout(const congestion_sample& s) noexcept { // section 4.6.4.4
        prior_cwnd_ = std::max(prior_cwnd_, cwnd_);
        cwnd_ = s.mss;
        losing_ = true;
    }
    constexpr void on_spurious(std::uint32_t window, std::uint32_t) noexcept {
        cwnd_ = std::max(cwnd_, window);
        forget_lower_bounds();
    }
    constexpr void on_idle(const congestion_sample&) noexcept {} // section 4.4.3: the pace of before, not a burst

    constexpr void on_delivery(const delivery& d) noexcept {
        mss_ = d.mss;
        const auto s = rate_.delivered(d);
        count_rounds(s);
        learn(s);
        watch_aggregation(d);
        look_for_full_pipe(s);
        if (round_)
            lower_bounds();
        if (phase_ == phase::startup && full_)
            enter(phase::drain, d.now);
        if (phase_ == phase::drain && d.flight <= target(100))
            enter_down(d.now);
        if (probes_bandwidth())
            probe_for_bandwidth(d, s);
        watch_round_trip(d, s);
        set_window(d);
        if (round_)
            begin_round();
    }

    constexpr bool may_leave(instant now) noexcept { return pacer_.may_leave(now); }
    constexpr instant release() const noexcept { return pacer_.release(); }

    constexpr void on_departure(const departure& d) noexcept {
        rate_.departed(d);
        std::uint64_t rate = bandwidth() / 100 * 99; // a hundredth less than the model says: section 4.6.2
        if (rate == 0) {
            const auto round = d.srtt == duration{} ? std::uint64_t{1'000'000} : static_cast<std::uint64_t>(d.srtt.count());
            rate = std::uint64_t{cwnd_} * 1'000'000'000 / round;
        }
        rate = std::max<std::uint64_t>(rate * pacing_gain() / 100, mss_);
        pacer_.spend(duration{static_cast<std::int64_t>(std::uint64_t{d.octets} * 1'000'000'000 / rate)});
    }
};

static_assert(congestion_control<bbr> && paces<bbr> && measures_delivery<bbr>);

} // namespace mirage::tcp
