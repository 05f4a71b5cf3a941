// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/sequence.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <algorithm>

namespace mirage::tcp {

/// As much of [seq, end) as a segment holds. The FIN has no text.
template <class Tcb>
constexpr transmission piece_of(const Tcb& tcb, sequence seq, sequence end) noexcept {
    const auto& snd = tcb.snd;
    if (after(end, snd.end))
        end = snd.end;
    const std::uint32_t left = before(seq, end) ? octets_between(seq, end) : 0, length = std::min<std::uint32_t>(left, tcb.mss);
    const bool last = seq + length == snd.end;
    return {.seq = seq, .offset = octets_between(snd.una, seq), .length = length, .fin = last && snd.fin, .psh = last};
}

/// The end of a burst that nobody acknowledges is probed before the retransmission timer fires. RFC 8985 section 7
struct tail_probe {
    bool due = false;   ///< it goes out next
    bool out = false;   ///< it is on its way
    bool again = false; ///< it was sent before
    sequence end{};     ///< behind it; meaningful while it is out

    /// An acknowledgement of everything before `una` came. True: the probe repaired a loss that nobody else has seen, because no
    /// D-SACK came. Section 7.4.2
    constexpr bool repaired_a_loss(sequence una) noexcept {
        if (!out || !(before(end, una) || (!again && end == una)))
            return false;
        out = false;
        return again;
    }
    /// A duplicate acknowledgement: the peer had everything. Section 7.4.2
    constexpr void answered(sequence una) noexcept { out &= end != una; }

    /// New text if there is some, or else the last that was sent. Section 7.3
    template <class Tcb>
    static constexpr transmission text(const Tcb& tcb) noexcept {
        const auto& snd = tcb.snd;
        if (before(snd.max, snd.end)) {
            const transmission fresh = piece_of(tcb, snd.max, snd.end);
            if (tcb.flight() + fresh.length <= snd.wnd)
                return fresh;
        }
        const sequence text_end = at_or_before(snd.max, snd.end) ? snd.max : snd.end;
        const std::uint32_t sent = before(snd.una, text_end) ? octets_between(snd.una, text_end) : 0;
        return piece_of(tcb, text_end - std::min<std::uint32_t>(sent, tcb.mss), text_end);
    }

    /// After two round trips, when that is before the retransmission timeout. Section 7.2
    template <class Tcb>
    static constexpr void schedule(Tcb& tcb, instant now) noexcept {
        if (tcb.rtt.srtt == duration{})
            return;
        // A single segment may be acknowledged late: TLP.max_ack_delay. On a fast network the probe's timer is not to be armed
        // anew for every answer, and 10 ms are nothing beside the 200 of the RTO.
        const bool single = octets_between(tcb.snd.una, tcb.snd.max) <= tcb.mss;
        const instant due = now + 2 * tcb.rtt.srtt + (single ? std::chrono::milliseconds{200} : std::chrono::milliseconds{10});
        if (tcb.snd.una != tcb.snd.max && due < tcb.at.retransmit)
            tcb.at.loss_probe = due;
    }
};

} // namespace mirage::tcp
