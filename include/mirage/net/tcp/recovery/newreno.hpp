// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <algorithm>
#include <optional>

namespace mirage::tcp {

/// Finds and repairs losses by cumulative acknowledgements alone: fast retransmit and fast recovery with window inflation.
/// RFC 5681 section 3.2, RFC 6582 section 3.2. The smallest there is; one loss per round trip.
struct newreno {
    static constexpr bool selective = false; ///< whether SACK is offered

    struct state {
        std::uint8_t duplicates = 0; ///< consecutive duplicate ACKs
        bool active = false;         ///< fast recovery
        bool resend = false;         ///< the segment at snd.una goes out next, whatever the window
        sequence recover{};          ///< RFC 6582 section 3.2
        std::int32_t inflation = 0;  ///< what cwnd is larger by while recovery lasts
    };

    template <class Tcb>
    static constexpr void arrived(Tcb&, const segment&, instant) noexcept {}
    template <class Tcb>
    static constexpr void overdue(Tcb&, instant) noexcept {}
    template <class Tcb>
    static constexpr void schedule(Tcb&, instant) noexcept {}

    /// New data is acknowledged; `s` is of before. SND.UNA has moved.
    template <class Tcb>
    static constexpr void acknowledged(Tcb& tcb, const auto& s, instant) noexcept {
        auto& me = tcb.recovery;
        me.duplicates = 0;
        if (!me.active) {
            if (s.acked > 0)
                tcb.congestion.on_ack(s);
        } else if (before(tcb.snd.una, me.recover)) { // partial: the next hole is known
            me.resend = true;
            const auto acked = static_cast<std::int32_t>(s.acked);
            me.inflation -= acked;
            if (s.acked >= s.mss)
                me.inflation += static_cast<std::int32_t>(s.mss);
        } else {
            me.active = false;
            me.inflation = 0;
            tcb.congestion.on_recovered(s);
        }
    }

    /// An acknowledgement that acknowledges nothing new. `duplicate`: in the sense of RFC 5681 section 2.
    template <class Tcb>
    static constexpr void repeated(Tcb& tcb, const auto& s, bool duplicate, instant, outcome& out) noexcept {
        auto& me = tcb.recovery;
        if (!duplicate)
            return;
        out.window_opened = true;
        if (me.active) {
            me.inflation += static_cast<std::int32_t>(s.mss); // section 3.2, step 4
            return;
        }
        if (++me.duplicates < 3)
            return; // limited transmit: see window()
        me.duplicates = 3;
        // RFC 6582 section 3.2, step 1: what was sent before the last timeout cannot start recovery again.
        if (before(tcb.snd.una, me.recover) || tcb.rtt.backoff > 0)
            return;
        me.active = me.resend = true;
        me.recover = tcb.snd.max;
        ++tcb.statistics.fast_recoveries;
        tcb.congestion.on_loss(s);
        me.inflation = static_cast<std::int32_t>(3 * s.mss); // RFC 5681 section 3.2, step 3
    }

    /// The retransmission timer fired: everything is sent again from SND.UNA.
    template <class Tcb>
    static constexpr void timed_out(Tcb& tcb) noexcept {
        tcb.recovery = {.recover = tcb.snd.max}; // RFC 6582 section 4
    }

    /// What must go out before anything new.
    template <class Tcb>
    static constexpr std::optional<transmission> retransmission(Tcb& tcb, instant) noexcept {
        const auto& snd = tcb.snd;
        if (!tcb.recovery.resend)
            return {};
        const std::uint32_t left = before(snd.una, snd.end) ? octets_between(snd.una, snd.end) : 0;
        const std::uint32_t length = std::min({left, std::uint32_t{tcb.mss}, octets_between(snd.una, snd.max)});
        return transmission{.seq = snd.una, .length = length, .fin = snd.fin && length == left, .psh = length == left};
    }
    template <class Tcb>
    static constexpr void transmitted(Tcb& tcb, const transmission& t, instant) noexcept {
        if (t.seq == tcb.snd.una)
            tcb.recovery.resend = false;
    }

    /// Octets that congestion control lets go now.
    template <class Tcb>
    static constexpr std::uint32_t room(Tcb& tcb) noexcept {
        const auto& me = tcb.recovery;
        std::uint32_t window = tcb.congestion.window();
        if (me.active)
            window = static_cast<std::uint32_t>(
                std::max(static_cast<std::int32_t>(std::min(window, 0x3fff'ffffu)) + me.inflation, std::int32_t{tcb.mss}));
        else if (me.duplicates < 3)
            window += me.duplicates * tcb.mss; // RFC 3042 section 2
        const std::uint32_t flight = tcb.flight();
        return window > flight ? window - flight : 0;
    }
    /// Octets that the segment at hand, which acknowledges `acked` more, says have arrived, and those behind SND.UNA that have.
    template <class Tcb>
    static constexpr std::uint32_t delivered(const Tcb&, std::uint32_t acked) noexcept {
        return acked;
    }
    template <class Tcb>
    static constexpr std::uint32_t arrived_early(const Tcb&) noexcept {
        return 0;
    }
    /// Octets from SND.NXT on that may be sent in one piece.
    template <class Tcb>
    static constexpr std::uint32_t run(Tcb&) noexcept {
        return 0xffff'ffff;
    }
};

} // namespace mirage::tcp
