// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include <algorithm>

namespace mirage::tcp {

/// Octets of the receive window that the peer may believe in: RCV.WND.
template <class Tcb>
constexpr std::uint32_t receive_window(const Tcb& tcb) noexcept {
    const auto open = distance(tcb.rcv.nxt, tcb.rcv.advertised);
    return open > 0 ? static_cast<std::uint32_t>(open) : 0;
}

/// The right edge that may be announced now: never moved back (RFC 9293 section 3.8.6: do not shrink), and moved on
/// only by steps worth announcing (silly window avoidance, RFC 9293 section 3.8.6.2.2).
template <class Tcb>
constexpr sequence window_edge(const Tcb& tcb) noexcept {
    const std::uint32_t room = tcb.rcv.buffer - std::min(tcb.rcv.buffer, tcb.rcv.unread);
    const std::uint32_t granule = 1u << tcb.rcv.scale; // what the field cannot say is not promised
    const sequence edge = tcb.rcv.nxt + room / granule * granule;
    const auto step = distance(tcb.rcv.advertised, edge);
    const auto worthwhile = std::min<std::uint32_t>(tcb.rcv.buffer / 2, tcb.receive_mss);
    return step >= static_cast<std::int32_t>(worthwhile) ? edge : tcb.rcv.advertised;
}

/// The user took `n` octets. Whether the peer should be told of the larger window right now: when it opened by
/// half the buffer, or from less than a segment, so that a sender never waits for the delayed acknowledgement.
template <class Tcb>
constexpr bool text_consumed(Tcb& tcb, std::uint32_t n) noexcept {
    tcb.rcv.unread -= std::min(tcb.rcv.unread, n);
    if (!tcb.synchronized() || tcb.rcv.fin_known)
        return false;
    const auto step = distance(tcb.rcv.advertised, window_edge(tcb));
    const bool worth = step >= static_cast<std::int32_t>(tcb.rcv.buffer / 2)
                       || (step > 0 && receive_window(tcb) < tcb.receive_mss);
    tcb.ack.now |= worth;
    return worth;
}

} // namespace mirage::tcp
