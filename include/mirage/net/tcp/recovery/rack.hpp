// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/recovery/prr.hpp"
#include "mirage/net/tcp/recovery/reordering.hpp"
#include "mirage/net/tcp/recovery/scoreboard.hpp"
#include "mirage/net/tcp/recovery/tail_probe.hpp"
#include "mirage/net/tcp/recovery/transmission_log.hpp"
#include "mirage/net/tcp/rtt.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <algorithm>
#include <optional>
#include <utility>

namespace mirage::tcp {

/// Finds and repairs losses by selective acknowledgements and time: what was sent before something that has arrived, and
/// is overdue by more than segments on this path overtake each other, is lost (RFC 8985 section 6). It is repaired at the
/// pace of proportional rate reduction (RFC 6937); a probe finds what the end of a burst lost (RFC 8985 section 7); a repair
/// that proves needless is undone (RFC 3522, RFC 4015). With a peer that knows no SACK it does what NewReno does (RFC 6582),
/// at PRR's pace.
struct rack {
    static constexpr bool selective = true;

    struct state {
        scoreboard sacked{};
        transmission_log log{};
        reordering order{};
        proportional_rate rate{};
        tail_probe tail{};
        sequence recover{};          ///< RecoveryPoint: recovery lasts until this is acknowledged
        std::uint32_t delivered = 0; ///< octets that the segment at hand says have arrived
        std::uint32_t prior_window = 0, prior_ssthresh = 0; ///< before the last reduction
        std::uint32_t resent_at = 0; ///< the timestamp of the first retransmission since then
        std::uint8_t duplicates = 0;
        bool active = false;         ///< fast recovery
        bool resend = false;         ///< the first segment that is lost goes out next, whatever the window
        bool waiting = false;        ///< the timer is for segments that are overdue soon, not for a tail loss probe
        bool reduced = false;        ///< nothing was sent again since the last reduction
        bool doubtful = false;       ///< something was, and nothing since shows whether that was needed
    };

    /// Takes what a segment says about arrivals. Blocks of what was never sent, or is acknowledged, are ignored: they are a
    /// D-SACK (RFC 2883), late, or an attack.
    template <class Tcb>
    static constexpr void arrived(Tcb& tcb, const segment& seg, instant now) noexcept {
        auto& me = tcb.recovery;
        me.delivered = 0;
        const send_time time = send_time::of(now);
        const auto note = [&](sequence left, sequence right) noexcept {
            if (const auto* const sent = me.log.newest_in(left, right))
                me.order.arrived(*sent, before(right, sent->right) ? right : sent->right, time);
        };
        if (before(tcb.snd.una, seg.ack)) {
            me.sacked.each_gap(tcb.snd.una, seg.ack, note);
            if (std::exchange(me.doubtful, false) && was_needless(tcb, seg))
                undo(tcb, seg.ack);
        }
        if (!tcb.selective || seg.sack.empty())
            return;
        if (is_duplicate_report(seg)) {
            me.tail.out = false; // the probe, too, was one copy too many (RFC 8985 section 7.4.2)
            me.order.arrived_twice(tcb.snd.una, tcb.snd.nxt);
        }
        for (const sack_block& b : seg.sack) {
            if (!before(b.left, b.right) || !before(tcb.snd.una, b.left) || before(b.left, seg.ack)
                || before(tcb.snd.max, b.right))
                continue;
            me.sacked.each_gap(b.left, b.right, note);
            me.delivered += me.sacked.add(b);
        }
    }

    /// New data is acknowledged; `s` is of before. SND.UNA has moved.
    template <class Tcb>
    static constexpr void acknowledged(Tcb& tcb, const auto& s, instant now) noexcept {
        auto& me = tcb.recovery;
        me.delivered += s.acked - std::min(s.acked, me.sacked.acknowledged(tcb.snd.una));
        me.log.acknowledged(tcb.snd.una);
        me.duplicates = 0;
        if (me.tail.repaired_a_loss(tcb.snd.una) && !me.active)
            tcb.congestion.on_loss(s);
        if (!me.active) {
            if (s.acked > 0)
                tcb.congestion.on_ack(s);
        } else if (!before(tcb.snd.una, me.recover)) {
            me.active = me.resend = false; // cwnd is ssthresh: RFC 6937 section 3.1
            me.order.recovered();
        } else if (!tcb.selective) {
            me.resend = true; // RFC 6582 section 3.2: the next hole is known
        }
        look_for_loss(tcb, s, now);
    }

    /// An acknowledgement that acknowledges nothing new. `duplicate`: in the sense of RFC 5681 section 2.
    template <class Tcb>
    static constexpr void repeated(Tcb& tcb, const auto& s, bool duplicate, instant now, outcome& out) noexcept {
        auto& me = tcb.recovery;
        if (duplicate && me.delivered == 0)
            me.tail.answered(tcb.snd.una);
        if (tcb.selective)
            duplicate = me.delivered > 0; // RFC 6675 section 2
        else if (duplicate)
            me.delivered = s.mss;
        if (!duplicate)
            return;
        out.window_opened = true;
        me.duplicates = static_cast<std::uint8_t>(std::min(me.duplicates + 1, 3));
        look_for_loss(tcb, s, now);
    }

    /// The retransmission timer fired: what the peer is not known to have is sent again from SND.UNA. Called before congestion
    /// control learns of it.
    template <class Tcb>
    static constexpr void timed_out(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        if (tcb.rtt.backoff == 0)
            remember_window(tcb);
        else
            me.sacked.clear(); // RFC 2018 section 8: it may have lied
        me.tail = {};
        me.active = me.resend = me.waiting = false;
        me.duplicates = 0;
        me.recover = tcb.snd.max;
    }

    /// The timer that schedule() has set fired. RFC 8985 sections 6.3 and 7.3
    template <class Tcb>
    static constexpr void overdue(Tcb& tcb, instant now) noexcept {
        auto& me = tcb.recovery;
        if (std::exchange(me.waiting, false)) {
            me.delivered = 0;
            look_for_loss(tcb, tcb.sample(0, now), now);
            return;
        }
        // What else schedule() asks for has not changed since.
        me.tail.due = tcb.snd.una != tcb.snd.max && tcb.snd.nxt == tcb.snd.max;
        tcb.at.retransmit = now + current_rto(tcb);
    }

    /// What must go out before anything new.
    template <class Tcb>
    static constexpr std::optional<transmission> retransmission(Tcb& tcb, instant now) noexcept {
        auto& me = tcb.recovery;
        if (me.tail.due)
            return tail_probe::text(tcb);
        if (!me.active || (!me.resend && me.rate.allowance == 0))
            return {};
        if (!tcb.selective)
            return me.resend ? std::optional{piece_of(tcb, tcb.snd.una, tcb.snd.max)} : std::nullopt;
        const losses found = find_losses(tcb, now);
        if (found.octets == 0) {
            me.resend = false;
            return {};
        }
        const transmission t = piece_of(tcb, found.left, found.right);
        return me.resend || t.length <= me.rate.allowance ? std::optional{t} : std::nullopt;
    }

    template <class Tcb>
    static constexpr void transmitted(Tcb& tcb, const transmission& t, instant now) noexcept {
        auto& me = tcb.recovery;
        const sequence end = t.seq + t.length + (t.syn ? 1u : 0u) + (t.fin ? 1u : 0u);
        const bool again = before(t.seq, tcb.snd.max);
        if (me.tail.due)
            me.tail = {.out = true, .again = again, .end = later(tcb.snd.max, end)};
        // What goes out within an eighth of a round trip counts as sent at once: half of what is granted to reordering. On
        // short paths more does, lest every segment take an entry of its own.
        const auto grain = static_cast<std::uint32_t>(tcb.rtt.srtt.count() >> 13);
        me.log.sent(t.seq, end, again, send_time::of(now), std::max(grain, 250u));
        // Only of the oldest segment do acknowledgements tell which copy of it arrived.
        if (again && std::exchange(me.reduced, false) && t.seq == tcb.snd.una) {
            me.doubtful = true;
            me.resent_at = timestamp_at(now);
        }
        if (me.active)
            me.rate.sent(t.length);
        me.resend &= !again;
    }

    /// Octets that congestion control lets go now.
    template <class Tcb>
    static constexpr std::uint32_t room(Tcb& tcb) noexcept {
        const auto& me = tcb.recovery;
        if (me.active)
            return me.rate.allowance;
        std::uint32_t window = tcb.congestion.window();
        if (!tcb.selective && me.duplicates < 3)
            window += me.duplicates * tcb.mss; // RFC 3042 section 2; with SACK what has arrived is not in the pipe
        const std::uint32_t in_flight = tcb.flight() - me.sacked.octets_before(tcb.snd.nxt);
        return window > in_flight ? window - in_flight : 0;
    }

    /// Moves SND.NXT over what has arrived; octets from there on that may be sent in one piece.
    template <class Tcb>
    static constexpr std::uint32_t run(Tcb& tcb) noexcept {
        for (const sack_block& b : tcb.recovery.sacked) {
            if (before(tcb.snd.nxt, b.left))
                return octets_between(tcb.snd.nxt, b.left);
            tcb.snd.nxt = later(tcb.snd.nxt, b.right);
        }
        return 0xffff'ffff;
    }

    /// Octets that the segment at hand, which acknowledges `acked` more, says have arrived.
    template <class Tcb>
    static constexpr std::uint32_t delivered(const Tcb& tcb, std::uint32_t acked) noexcept {
        return tcb.selective ? tcb.recovery.delivered : acked;
    }
    /// Octets behind SND.UNA that are known to have arrived.
    template <class Tcb>
    static constexpr std::uint32_t arrived_early(const Tcb& tcb) noexcept {
        return tcb.recovery.sacked.octets_before(tcb.snd.max);
    }

    /// When the tail loss probe is due, after something was sent or acknowledged. RFC 8985 section 7.2
    template <class Tcb>
    static constexpr void schedule(Tcb& tcb, instant now) noexcept {
        const auto& me = tcb.recovery;
        if (me.waiting)
            return;
        tcb.at.loss_probe = never;
        if (tcb.selective && !me.active && !me.tail.out && me.sacked.empty() && tcb.rtt.backoff == 0 && tcb.synchronized())
            tail_probe::schedule(tcb, now);
    }

private:
    struct losses {
        std::uint32_t octets = 0;
        std::uint32_t wait = 0;      ///< microseconds until all that is overdue by then is lost; 0: nothing is
        sequence left{}, right{};    ///< the first
    };

    /// RFC 2883 section 4: the first block is below the acknowledgement, or within the second.
    static constexpr bool is_duplicate_report(const segment& seg) noexcept {
        const sack_block& first = seg.sack[0];
        return at_or_before(first.right, seg.ack)
               || (seg.sack.size() > 1 && at_or_before(seg.sack[1].left, first.left)
                   && at_or_before(first.right, seg.sack[1].right));
    }

    /// The Eifel detection algorithm: the peer answers what was sent before anything was sent again. RFC 3522 section 3.2
    template <class Tcb>
    static constexpr bool was_needless(const Tcb& tcb, const segment& seg) noexcept {
        return tcb.timestamps.on && seg.timestamps.echo != 0
               && static_cast<std::int32_t>(seg.timestamps.echo - tcb.recovery.resent_at) < 0;
    }

    /// Nothing was lost: the window is what it was before. RFC 4015 section 3
    template <class Tcb>
    static constexpr void undo(Tcb& tcb, sequence ack) noexcept {
        auto& me = tcb.recovery;
        me.order.seen |= me.active;
        me.active = me.resend = false;
        me.recover = ack;
        tcb.snd.nxt = tcb.snd.max; // nor must what a timeout sent back be sent again
        tcb.congestion.on_spurious(me.prior_window, me.prior_ssthresh);
        ++tcb.statistics.needless_reductions;
    }

    template <class Tcb>
    static constexpr void remember_window(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        me.prior_window = tcb.congestion.window();
        me.prior_ssthresh = tcb.congestion.ssthresh();
        me.reduced = true;
        me.doubtful = false;
    }

    /// RACK_detect_loss(), RFC 8985 section 6.2, step 5
    template <class Tcb>
    static constexpr losses find_losses(const Tcb& tcb, instant now) noexcept {
        const auto& me = tcb.recovery;
        const send_time time = send_time::of(now);
        const std::uint32_t sacked = me.sacked.octets_before(tcb.snd.max);
        const bool many = me.active || me.sacked.size() >= 3 || sacked > 2u * tcb.mss; // DupThresh
        const std::uint32_t patience = me.order.patience(many, tcb.rtt.srtt);
        losses found;
        me.sacked.each_gap(tcb.snd.una, tcb.snd.max, [&](sequence left, sequence right) noexcept {
            while (before(left, right)) {
                const auto [end, sent] = me.log.last_sent(left, right);
                if (me.order.overtaken(*sent, end, time)) {
                    const std::uint32_t age = sent->at().age(time);
                    if (age < patience) {
                        found.wait = std::max(found.wait, patience - age);
                    } else {
                        if (found.octets == 0) {
                            found.left = left;
                            found.right = end;
                        }
                        found.octets += octets_between(left, end);
                    }
                }
                left = end;
            }
        });
        return found;
    }

    template <class Tcb>
    static constexpr void look_for_loss(Tcb& tcb, const auto& s, instant now) noexcept {
        auto& me = tcb.recovery;
        me.waiting = false;
        // RFC 6675 section 5.1: what was sent before the last timeout cannot start recovery again.
        const bool may_begin = !before(tcb.snd.una, me.recover) && tcb.rtt.backoff == 0;
        if (me.active || (may_begin && (me.duplicates >= 3 || !me.sacked.empty()))) {
            const losses found = tcb.selective ? find_losses(tcb, now) : losses{};
            if (!me.active && (found.octets != 0 || !tcb.selective))
                begin(tcb, s);
            if (me.active) {
                const std::uint32_t gone = me.sacked.octets_before(tcb.snd.max) + found.octets;
                const std::uint32_t pipe = octets_between(tcb.snd.una, tcb.snd.max) - gone; // RFC 6675 section 4
                me.rate.proceed(me.delivered, pipe, tcb.congestion.ssthresh(), tcb.mss);
            }
            if (found.wait != 0) {
                me.waiting = true;
                tcb.at.loss_probe = now + std::chrono::microseconds{found.wait};
            }
        }
        schedule(tcb, now);
    }

    template <class Tcb>
    static constexpr void begin(Tcb& tcb, const auto& s) noexcept {
        auto& me = tcb.recovery;
        remember_window(tcb);
        me.active = me.resend = true;
        me.tail = {};
        me.recover = tcb.snd.max;
        me.rate.begin(std::min(octets_between(tcb.snd.una, tcb.snd.max), tcb.congestion.window()));
        ++tcb.statistics.fast_recoveries;
        tcb.congestion.on_loss(s);
    }
};

} // namespace mirage::tcp
