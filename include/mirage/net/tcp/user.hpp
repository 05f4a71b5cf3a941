// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/segment.hpp"
#include <optional>

namespace mirage::tcp {

/// The smallest scale that can announce the whole of a buffer. RFC 7323 section 2.3
constexpr std::uint8_t window_scale(std::uint32_t buffer) noexcept {
    std::uint8_t scale = 0;
    while (scale < 14 && (buffer >> scale) > 0xffff)
        ++scale;
    return scale;
}

/// Prepares a control block: what both kinds of OPEN share.
template <class Tcb>
constexpr void prepare(Tcb& tcb, const parameters& settings) noexcept {
    tcb.settings = settings;
    tcb.rcv.buffer = settings.receive_buffer;
    tcb.rcv.scale = window_scale(settings.receive_buffer);
}

/// Active OPEN. RFC 9293 section 3.10.1
template <class Tcb>
constexpr void open_active(Tcb& tcb, sequence iss) noexcept {
    tcb.state = state::syn_sent;
    tcb.active_open = true;
    tcb.snd.iss = tcb.snd.una = tcb.snd.nxt = tcb.snd.max = tcb.snd.limited = tcb.recovery.recover = iss; // RFC 6582 section 3.2
    tcb.snd.end = iss + 1;
}

/// SEND: `n` more octets are in the send queue. RFC 9293 section 3.10.2
template <class Tcb>
constexpr void text_queued(Tcb& tcb, std::uint32_t n) noexcept {
    tcb.snd.end += n;
}

/// Whether SEND is still possible.
template <class Tcb>
constexpr bool may_send(const Tcb& tcb) noexcept {
    return !tcb.snd.fin && (tcb.state == state::established || tcb.state == state::close_wait);
}

/// CLOSE: a FIN follows what is queued. RFC 9293 section 3.10.4. False: nothing was ever exchanged, the block may go.
template <class Tcb>
constexpr bool close(Tcb& tcb) noexcept {
    switch (tcb.state) {
    case state::closed:
    case state::listen:
    case state::syn_sent:
        return false;
    case state::syn_received: // becomes FIN-WAIT-1 with the ACK of our SYN
        tcb.snd.fin = true;
        return true;
    case state::established:
        tcb.snd.fin = true;
        tcb.state = state::fin_wait_1;
        return true;
    case state::close_wait:
        tcb.snd.fin = true;
        tcb.state = state::last_ack;
        return true;
    default:
        return true;
    }
}

/// ABORT: the RST to send, if the state has a peer. RFC 9293 section 3.10.5
template <class Tcb>
constexpr std::optional<segment> abort(const Tcb& tcb) noexcept {
    switch (tcb.state) {
    case state::syn_received:
    case state::established:
    case state::fin_wait_1:
    case state::fin_wait_2:
    case state::close_wait:
        return segment{.seq = tcb.snd.max, .ack = tcb.rcv.nxt, .rst = true, .has_ack = true};
    default:
        return {};
    }
}

} // namespace mirage::tcp
