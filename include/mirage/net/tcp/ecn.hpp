// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/segment.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <cstdint>

namespace mirage::tcp {

/// Routers mark packets instead of dropping them when queues grow, and the window shrinks without a loss: RFC 3168. Text
/// that is sent for the first time says that it may be marked; nothing else does (RFC 3168 sections 6.1.1, 6.1.4, 6.1.5 and 6.1.6).
///
/// What is answered with a SYN cookie has no ECN: nobody remembers that it was asked for.
struct ecn {
    using tcp_feature = void;
    static constexpr bool listed = true;

    struct state {
        bool asked = false;   ///< our last SYN was an ECN-setup SYN
        bool capable = false; ///< both SYNs agreed
        bool echo = false;    ///< a mark came: every acknowledgement says so until the peer has reduced its window
        bool tell = false;    ///< our window was reduced: the next new text says so
        sequence recover{};   ///< SND.MAX when it was: one reduction per window
        std::uint32_t marked = 0, reductions = 0;
    };

    /// Whether it is an ECN-setup SYN. RFC 3168 section 6.1.1
    static constexpr bool is_setup_syn(const segment& s) noexcept { return (s.ecn & flags) == flags; }

    /// A SYN makes the connection, or answers ours: an ECN-setup SYN-ACK has ECE alone, so that a peer that reflects what it
    /// does not know sends none.
    template <class Tcb>
    static constexpr void negotiate(Tcb& tcb, const segment& syn) noexcept {
        auto& me = tcb.ecn;
        me.capable = syn.has_ack ? me.asked && (syn.ecn & flags) == ecn_bits::ece : is_setup_syn(syn);
        me.recover = tcb.snd.una;
    }

    /// A segment that is acceptable, with what it says of the way here. RFC 3168 sections 6.1.3 and 6.1.5: marks on what
    /// is outside of the window do not count.
    template <class Tcb>
    static constexpr void received(Tcb& tcb, const segment& seg) noexcept {
        auto& me = tcb.ecn;
        if (!me.capable || seg.length == 0)
            return;
        if ((seg.ecn & ecn_bits::cwr) != 0)
            me.echo = false;
        if ((seg.ecn & ecn_bits::codepoint) == ecn_bits::ce) {
            tcb.ack.now |= !me.echo;
            me.echo = true;
            ++me.marked;
        }
    }

    /// The window is reduced, by whomever. RFC 3168 section 6.1.2
    template <class Tcb>
    static constexpr void reduced(Tcb& tcb) noexcept {
        tcb.ecn.tell = tcb.ecn.capable;
        tcb.ecn.recover = tcb.snd.max;
    }

    /// Does `acknowledge`, the rest of what an acknowledgement does, and sees that the window is reduced once per window of
    /// text for what was marked or lost in it, and does not grow by an acknowledgement that tells of a mark.
    /// RFC 3168 section 6.1.2
    template <class Tcb>
    static constexpr void around(Tcb& tcb, const segment& seg, instant now, auto acknowledge) noexcept {
        auto& me = tcb.ecn;
        if (!me.capable)
            return acknowledge();
        const bool was_active = tcb.recovery.active, marked = (seg.ecn & ecn_bits::ece) != 0;
        const bool reduced_already = before(tcb.snd.una, me.recover);
        if (marked && !was_active && !reduced_already && tcb.rtt.backoff == 0 && tcb.snd.una != tcb.snd.max) {
            tcb.congestion.on_loss(tcb.sample(0, now));
            reduced(tcb);
            ++me.reductions;
        }
        const auto reduced_window = tcb.congestion;
        acknowledge();
        const bool begun = tcb.recovery.active && !was_active;
        if (begun && !before(tcb.snd.una, me.recover))
            reduced(tcb);
        else if (begun || (marked && tcb.congestion.window() > reduced_window.window()))
            tcb.congestion = reduced_window;
    }

    /// What a segment says that is about to be sent.
    template <class Tcb>
    static constexpr std::uint8_t bits_for(Tcb& tcb, const transmission& t) noexcept {
        auto& me = tcb.ecn;
        if (t.syn) {
            if (tcb.state != decltype(tcb.state)::syn_sent) // RFC 3168 section 6.1.1: ECE alone
                return me.capable ? ecn_bits::ece : std::uint8_t{0};
            // Somebody on the way may throw such a SYN away: the next is without (RFC 3168 section 6.1.1.1).
            me.asked = tcb.rtt.backoff == 0;
            return me.asked ? flags : std::uint8_t{0};
        }
        if (!me.capable)
            return 0;
        std::uint8_t bits = me.echo ? ecn_bits::ece : std::uint8_t{0};
        if (is_new_text(tcb, t))
            bits |= me.tell ? ecn_bits::ect0 | ecn_bits::cwr : ecn_bits::ect0;
        return bits;
    }
    /// It was: before SND.MAX moves.
    template <class Tcb>
    static constexpr void transmitted(Tcb& tcb, const transmission& t) noexcept {
        tcb.ecn.tell &= !is_new_text(tcb, t);
    }
    /// How much may go out in one piece: what says CWR is not cut apart, because every part of it would say so.
    template <class Tcb>
    static constexpr std::uint32_t run(const Tcb& tcb) noexcept {
        return tcb.ecn.tell ? tcb.mss : 0xffff'ffff;
    }

private:
    static constexpr std::uint8_t flags = ecn_bits::ece | ecn_bits::cwr;

    template <class Tcb>
    static constexpr bool is_new_text(const Tcb& tcb, const transmission& t) noexcept {
        return t.length > 0 && !t.probe && !before(t.seq, tcb.snd.max);
    }
};

/// ECN is not listed: nothing of it is in the image.
struct no_ecn {
    static constexpr bool listed = false;
    struct state {};
};

} // namespace mirage::tcp
