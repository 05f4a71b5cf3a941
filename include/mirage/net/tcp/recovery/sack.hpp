// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/recovery/scoreboard.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <algorithm>
#include <optional>

namespace mirage::tcp {

/// Finds and repairs losses by selective acknowledgements: what is lost by RFC 6675, how fast it is repaired by proportional
/// rate reduction (RFC 6937), and a probe for what the end of a burst lost (RFC 8985 section 7). With a peer that knows no SACK
/// it does what NewReno does (RFC 6582), at PRR's pace.
struct sack {
    static constexpr bool selective = true;

    struct state {
        scoreboard sacked{};
        sequence recover{};          ///< RecoveryPoint: recovery lasts until this is acknowledged
        sequence high_rxt{};         ///< HighRxt: what has been sent again reaches up to here
        sequence resent_una{};       ///< the hole that was filled first ...
        sequence resent_before{};    ///< ... before this was sent: when that arrives, the hole's filling is lost, too
        sequence tail{};             ///< behind what a tail loss probe sent; meaningful with tail_probed
        std::uint32_t delivered = 0; ///< octets that the segment at hand says have arrived
        std::uint32_t prr_delivered = 0, prr_out = 0, prr_flight = 0; ///< RFC 6937 section 3.1
        std::uint32_t allowance = 0; ///< sndcnt: octets that recovery may send now
        std::uint8_t duplicates = 0;
        bool active = false;         ///< fast recovery
        bool resend = false;         ///< the hole at SND.UNA goes out next, whatever the window
        bool tail_due = false;       ///< a tail loss probe goes out next
        bool tail_probed = false;    ///< one is out
        bool tail_again = false;     ///< it was sent before
        bool tail_lost = false;      ///< it arrived, and what is missing before it had been out for two round trips
    };

    /// Takes the SACK blocks of a segment. Blocks of what was never sent, or is acknowledged, are ignored: they are a D-SACK
    /// (RFC 2883), late, or an attack.
    template <class Tcb>
    static constexpr void arrived(Tcb& tcb, const segment& seg) noexcept {
        auto& me = tcb.recovery;
        me.delivered = 0;
        if (!tcb.selective || seg.sack.empty())
            return;
        if (at_or_before(seg.sack[0].right, seg.ack)) // a D-SACK: the probe, too, was one copy too many (RFC 8985 section 7.4.2)
            me.tail_probed = false;
        for (const sack_block& b : seg.sack) {
            if (!before(b.left, b.right) || !before(tcb.snd.una, b.left) || before(b.left, seg.ack) || before(tcb.snd.max, b.right))
                continue;
            me.delivered += me.sacked.add(b);
            me.tail_lost |= me.tail_probed && b.right == me.tail;
        }
    }

    /// New data is acknowledged; `s` is of before. SND.UNA has moved.
    template <class Tcb>
    static constexpr void acknowledged(Tcb& tcb, const auto& s, instant now) noexcept {
        auto& me = tcb.recovery;
        me.delivered += s.acked - std::min(s.acked, me.sacked.acknowledged(tcb.snd.una));
        me.duplicates = 0;
        if (me.tail_probed && (before(me.tail, tcb.snd.una) || (!me.tail_again && me.tail == tcb.snd.una))) {
            // RFC 8985 section 7.4.2: no D-SACK came, so the probe repaired a loss that nobody else has seen.
            if (me.tail_again && !me.active)
                tcb.congestion.on_loss(s);
            me.tail_probed = me.tail_lost = false;
        }
        if (!me.active) {
            if (s.acked > 0)
                tcb.congestion.on_ack(s);
            look_for_loss(tcb, s);
        } else if (before(tcb.snd.una, me.recover)) {
            me.resend |= at_or_before(me.high_rxt, tcb.snd.una); // RFC 6582 section 3.2: the next hole is known
            proceed(tcb);
        } else {
            me.active = me.resend = me.tail_lost = false; // cwnd is ssthresh: RFC 6937 section 3.1
        }
        schedule_probe(tcb, now);
    }

    /// An acknowledgement that acknowledges nothing new. `duplicate`: in the sense of RFC 5681 section 2.
    template <class Tcb>
    static constexpr void repeated(Tcb& tcb, const auto& s, bool duplicate, instant, outcome& out) noexcept {
        auto& me = tcb.recovery;
        if (duplicate && me.tail == tcb.snd.una && me.delivered == 0)
            me.tail_probed = false; // RFC 8985 section 7.4.2: the peer had everything
        if (tcb.selective)
            duplicate = me.delivered > 0; // RFC 6675 section 2
        else if (duplicate)
            me.delivered = s.mss;
        if (!duplicate)
            return;
        out.window_opened = true;
        if (me.active) {
            find_lost_retransmission(tcb);
            proceed(tcb);
            return;
        }
        me.duplicates = static_cast<std::uint8_t>(std::min(me.duplicates + 1, 3));
        look_for_loss(tcb, s);
    }

    /// The retransmission timer fired: what the peer is not known to have is sent again from SND.UNA.
    template <class Tcb>
    static constexpr void timed_out(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        const scoreboard kept = tcb.rtt.backoff == 0 ? me.sacked : scoreboard{}; // RFC 2018 section 8: it may have lied
        me = {.sacked = kept, .recover = tcb.snd.max, .high_rxt = tcb.snd.una};
    }

    /// The probe timer fired. RFC 8985 section 7.3
    template <class Tcb>
    static constexpr void probe_tail(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        me.tail_due = !me.active && !me.tail_probed && tcb.rtt.backoff == 0 && tcb.snd.una != tcb.snd.max
                      && tcb.snd.nxt == tcb.snd.max;
    }

    /// What must go out before anything new.
    template <class Tcb>
    static constexpr std::optional<transmission> retransmission(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        const auto& snd = tcb.snd;
        if (me.tail_due) {
            const sequence text_end = at_or_before(snd.max, snd.end) ? snd.max : snd.end;
            const std::uint32_t fresh = at_or_before(snd.max, snd.end) ? octets_between(snd.max, snd.end) : 0;
            const std::uint32_t next = std::min<std::uint32_t>(fresh, tcb.mss);
            if (next != 0 && tcb.flight() + next <= snd.wnd)
                return piece(tcb, snd.max, next);
            const std::uint32_t text = before(snd.una, text_end) ? octets_between(snd.una, text_end) : 0;
            const std::uint32_t length = std::min<std::uint32_t>(text, tcb.mss);
            return piece(tcb, text_end - length, length);
        }
        if (me.resend)
            return hole_at(tcb, snd.una, 0);
        if (!me.active || me.allowance == 0)
            return {};
        std::size_t above = 0; // NextSeg(), RFC 6675 section 4, rule (1)
        sequence seq = later(snd.una, me.high_rxt);
        for (; above < me.sacked.size(); ++above) {
            const sack_block& b = me.sacked[above];
            if (before(seq, b.left)) {
                if (!is_lost(tcb, above))
                    return {};
                const auto t = hole_at(tcb, seq, above);
                return t.length <= me.allowance ? std::optional{t} : std::nullopt;
            }
            seq = later(seq, b.right);
        }
        return {};
    }

    template <class Tcb>
    static constexpr void transmitted(Tcb& tcb, const transmission& t) noexcept {
        auto& me = tcb.recovery;
        const sequence end = t.seq + t.length + (t.fin ? 1u : 0u);
        if (me.tail_due) {
            me.tail_due = false;
            me.tail_probed = true;
            me.tail_again = before(t.seq, tcb.snd.max);
            me.tail = later(tcb.snd.max, end);
        }
        if (!me.active)
            return;
        me.prr_out += t.length;
        me.allowance -= std::min(me.allowance, t.length);
        if (!before(t.seq, me.recover))
            return;
        if (t.seq == tcb.snd.una) {
            me.resend = false;
            me.resent_una = t.seq;
            me.resent_before = tcb.snd.max;
        }
        me.high_rxt = later(me.high_rxt, end);
    }

    /// Octets that congestion control lets go now.
    template <class Tcb>
    static constexpr std::uint32_t room(Tcb& tcb) noexcept {
        const auto& me = tcb.recovery;
        if (me.active)
            return me.allowance;
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

    /// When the tail loss probe is due, after something was sent or acknowledged. RFC 8985 section 7.2
    template <class Tcb>
    static constexpr void schedule_probe(Tcb& tcb, instant now) noexcept {
        const auto& me = tcb.recovery;
        tcb.at.loss_probe = never;
        if (!tcb.selective || me.active || me.tail_probed || tcb.rtt.backoff != 0 || tcb.rtt.srtt == duration{}
            || !tcb.synchronized() || tcb.snd.una == tcb.snd.max || !me.sacked.empty())
            return;
        // A single segment may be acknowledged late: section 7.2, TLP.max_ack_delay. On a fast network the probe's timer is
        // not to be armed anew for every answer, and 10 ms are nothing beside the 200 of the RTO.
        const bool single = octets_between(tcb.snd.una, tcb.snd.max) <= tcb.mss;
        const instant due = now + 2 * tcb.rtt.srtt + (single ? std::chrono::milliseconds{200} : std::chrono::milliseconds{10});
        if (due < tcb.at.retransmit)
            tcb.at.loss_probe = due;
    }

private:
    /// IsLost() of the hole below block `above`: enough has arrived behind it. RFC 6675 section 4
    template <class Tcb>
    static constexpr bool is_lost(const Tcb& tcb, std::size_t above) noexcept {
        const auto& me = tcb.recovery;
        if (me.sacked.size() >= above + 3 || me.tail_lost)
            return true;
        std::uint32_t octets = 0;
        for (std::size_t i = above; i < me.sacked.size(); ++i)
            octets += octets_between(me.sacked[i].left, me.sacked[i].right);
        return octets > 2u * tcb.mss;
    }

    /// SetPipe(): octets that are on their way, as far as anybody can tell. RFC 6675 section 4
    template <class Tcb>
    static constexpr std::uint32_t pipe(const Tcb& tcb) noexcept {
        const auto& me = tcb.recovery;
        std::uint32_t sum = 0;
        sequence from = tcb.snd.una;
        const auto count = [&](sequence to, bool lost) {
            if (!lost)
                sum += octets_between(from, to);
            if (before(from, me.high_rxt))
                sum += octets_between(from, before(to, me.high_rxt) ? to : me.high_rxt);
        };
        for (std::size_t i = 0; i < me.sacked.size(); ++i) {
            count(me.sacked[i].left, is_lost(tcb, i));
            from = me.sacked[i].right;
        }
        // Without SACK only the first segment is known to be lost.
        count(tcb.snd.max, false);
        return sum;
    }

    template <class Tcb>
    static constexpr void look_for_loss(Tcb& tcb, const auto& s) noexcept {
        auto& me = tcb.recovery;
        const bool lost = !me.sacked.empty() && is_lost(tcb, 0);
        if ((me.duplicates < 3 && !lost) || tcb.snd.una == tcb.snd.max)
            return;
        // RFC 6675 section 5.1: what was sent before the last timeout cannot start recovery again.
        if (before(tcb.snd.una, me.recover) || tcb.rtt.backoff > 0)
            return;
        me.active = me.resend = true;
        me.tail_probed = me.tail_due = false;
        tcb.at.loss_probe = never;
        me.recover = tcb.snd.max;
        me.high_rxt = tcb.snd.una;
        me.prr_flight = std::max(octets_between(tcb.snd.una, tcb.snd.max), std::uint32_t{tcb.mss});
        me.prr_delivered = me.prr_out = 0;
        ++tcb.statistics.fast_recoveries;
        tcb.congestion.on_loss(s);
        proceed(tcb);
    }

    /// What may be sent after an acknowledgement in recovery. RFC 6937 section 3.1, with PRR-SSRB
    template <class Tcb>
    static constexpr void proceed(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        const std::uint32_t in_flight = pipe(tcb), threshold = tcb.congestion.ssthresh();
        me.prr_delivered += me.delivered;
        if (in_flight > threshold) {
            const std::uint64_t due = (std::uint64_t{me.prr_delivered} * threshold + me.prr_flight - 1) / me.prr_flight;
            me.allowance = due > me.prr_out ? static_cast<std::uint32_t>(due - me.prr_out) : 0;
        } else {
            const std::uint32_t behind = me.prr_delivered > me.prr_out ? me.prr_delivered - me.prr_out : 0;
            me.allowance = std::min(threshold - in_flight, std::max(behind, me.delivered) + tcb.mss);
        }
    }

    /// Three segments arrived that were sent after the first hole was filled, and the hole is still there: its filling was lost.
    template <class Tcb>
    static constexpr void find_lost_retransmission(Tcb& tcb) noexcept {
        auto& me = tcb.recovery;
        if (me.resend || me.resent_una != tcb.snd.una || me.sacked.empty())
            return;
        const sequence highest = me.sacked[me.sacked.size() - 1].right;
        if (distance(me.resent_before, highest) >= static_cast<std::int32_t>(3u * tcb.mss)) {
            me.resend = true;
            me.high_rxt = tcb.snd.una;
        }
    }

    template <class Tcb>
    static constexpr transmission piece(const Tcb& tcb, sequence seq, std::uint32_t length) noexcept {
        const auto& snd = tcb.snd;
        const bool last = seq + length == snd.end;
        return {.seq = seq, .offset = octets_between(snd.una, seq), .length = length, .fin = last && snd.fin, .psh = last};
    }

    /// As much of the hole at `seq`, below block `above`, as a segment holds.
    template <class Tcb>
    static constexpr transmission hole_at(const Tcb& tcb, sequence seq, std::size_t above) noexcept {
        const auto& snd = tcb.snd;
        sequence end = above < tcb.recovery.sacked.size() ? tcb.recovery.sacked[above].left : snd.max;
        if (after(end, snd.end))
            end = snd.end; // the FIN has no text
        const std::uint32_t left = before(seq, end) ? octets_between(seq, end) : 0;
        return piece(tcb, seq, std::min<std::uint32_t>(left, tcb.mss));
    }
};

} // namespace mirage::tcp
