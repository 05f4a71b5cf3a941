// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/receive_window.hpp"
#include "mirage/net/tcp/rtt.hpp"
#include "mirage/net/tcp/segment.hpp"
#include "mirage/net/tcp/transmission.hpp"
#include <algorithm>
#include <optional>

namespace mirage::tcp {

namespace detail {

/// Nothing can be sent because the peer's window is closed, or nearly, and no ACK is on its way that would tell of
/// its opening: probe it. RFC 9293 section 3.8.6.1
template <class Tcb>
constexpr void wait_for_window(Tcb& tcb, instant now) noexcept {
    if (tcb.flight() != 0 || tcb.at.retransmit != never)
        return;
    tcb.at.give_up = never; // a peer that answers probes may keep its window closed for ever
    if (tcb.at.persist == never)
        tcb.at.persist = now + current_rto(tcb);
}

} // namespace detail

/// The next segment that the windows allow, with at most `limit` octets of text (limit >= SMSS). Call it, send,
/// and tell transmitted(), until there is none.
template <class Tcb>
constexpr std::optional<transmission> next_transmission(Tcb& tcb, instant now, std::uint32_t limit) noexcept {
    const auto& snd = tcb.snd;
    switch (tcb.state) {
    case state::syn_sent:
    case state::syn_received:
        if (snd.nxt == snd.iss)
            return transmission{.seq = snd.iss, .syn = true};
        return {};
    case state::established:
    case state::close_wait:
    case state::fin_wait_1:
    case state::closing:
    case state::last_ack:
        break;
    default:
        return {};
    }
    const std::uint32_t mss = tcb.mss;

    using recovery = typename Tcb::recovery_policy;
    if (const auto again = recovery::retransmission(tcb, now))
        return again;
    std::uint32_t piece = recovery::run(tcb);
    if constexpr (Tcb::ecn_policy::listed)
        piece = std::min(piece, Tcb::ecn_policy::run(tcb));

    const bool fin_sent = snd.nxt == snd.end + 1;
    const std::uint32_t waiting = fin_sent ? 0 : octets_between(snd.nxt, snd.end);
    const bool fin_due = snd.fin && !fin_sent;
    if (waiting == 0) {
        if (!fin_due)
            return {};
        return transmission{.seq = snd.nxt, .offset = tcb.flight(), .fin = true};
    }
    if (tcb.probe) // one octet, whatever the window
        return transmission{.seq = snd.nxt, .offset = tcb.flight(), .length = 1, .psh = waiting == 1, .probe = true};

    if constexpr (paces<decltype(tcb.congestion)>)
        if (!tcb.congestion.may_leave(now)) {
            tcb.snd.limited = snd.max;
            return {};
        }

    const std::uint32_t flight = tcb.flight();
    if (flight == 0 && snd.una == snd.max && now - tcb.last_sent > tcb.rtt.rto)
        tcb.congestion.on_idle(tcb.sample(0, now));
    const std::uint32_t offered = snd.wnd > flight ? snd.wnd - flight : 0;
    const std::uint32_t room = recovery::room(tcb), usable = std::min(room, offered);
    // Noted here, not when acknowledgements come: of a burst of them, the later find less in flight (RFC 7661 section 4.1).
    if (room < std::min(waiting, offered))
        tcb.snd.limited = snd.max;
    std::uint32_t length = std::min({waiting, usable, limit, piece});
    if (length == 0) {
        detail::wait_for_window(tcb, now);
        return {};
    }
    if (length < waiting) {
        if (length >= mss) {
            length -= length % mss;
        } else if (length < std::min({mss, snd.max_wnd / 2, piece})) { // silly window avoidance, RFC 9293 section 3.8.6.2.1
            detail::wait_for_window(tcb, now);
            return {};
        }
    } else if (length % mss != 0 && !tcb.settings.no_delay && !snd.fin) { // Nagle, RFC 9293 section 3.7.4
        if (length > mss)
            length -= length % mss;
        else if (snd.una != snd.max && !before(snd.nxt, snd.max))
            return {};
    }
    const bool last = length == waiting;
    return transmission{.seq = snd.nxt, .offset = flight, .length = length, .fin = last && fin_due, .psh = last};
}

/// What every segment but the first SYN acknowledges and announces; moves RCV's announced edge. To be called for
/// each segment that really goes out.
template <class Tcb>
constexpr segment header_for(Tcb& tcb, const transmission& t, instant now) noexcept {
    segment seg{.seq = t.seq, .length = t.length, .syn = t.syn, .fin = t.fin, .psh = t.psh};
    seg.has_ack = tcb.state != state::syn_sent;
    if (seg.has_ack) {
        seg.ack = tcb.rcv.nxt;
        std::uint32_t window;
        if (t.syn) { // the window of a SYN is never scaled (RFC 7323 section 2.2)
            const std::uint32_t room = tcb.rcv.buffer - std::min(tcb.rcv.buffer, tcb.rcv.unread);
            window = std::min<std::uint32_t>(room, 0xffff);
            tcb.rcv.advertised = later(tcb.rcv.advertised, tcb.rcv.nxt + window);
        } else {
            tcb.rcv.advertised = window_edge(tcb);
            window = std::min<std::uint32_t>(receive_window(tcb) >> tcb.rcv.scale, 0xffff);
        }
        seg.window = static_cast<std::uint16_t>(window);
    } else {
        seg.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(tcb.rcv.buffer, 0xffff));
    }
    if (t.syn) {
        seg.mss = tcb.settings.mss;
        // RFC 2018 section 2; an answer permits only what was permitted.
        seg.sack_permitted = Tcb::recovery_policy::selective && (tcb.state == state::syn_sent || tcb.selective);
        // An answer offers only what was offered (RFC 7323 sections 2.2 and 3.2).
        if (tcb.state == state::syn_sent || tcb.rcv.scale != 0 || tcb.snd.scale != 0)
            seg.window_scale = static_cast<std::int8_t>(tcb.rcv.scale);
    }
    if (tcb.timestamps.on || tcb.state == state::syn_sent) {
        seg.has_timestamps = true;
        seg.timestamps.value = timestamp_at(now);
        seg.timestamps.echo = seg.has_ack ? tcb.timestamps.recent : 0;
    }
    if constexpr (Tcb::ecn_policy::listed)
        seg.ecn = Tcb::ecn_policy::bits_for(tcb, t);
    tcb.timestamps.last_ack_sent = tcb.rcv.nxt;
    tcb.ack = {};
    tcb.at.delayed_ack = never;
    return seg;
}

/// Notes that `t` is on its way.
template <class Tcb>
constexpr void transmitted(Tcb& tcb, const transmission& t, instant now) noexcept {
    auto& snd = tcb.snd;
    const sequence end = t.seq + t.length + (t.syn ? 1u : 0u) + (t.fin ? 1u : 0u);
    const bool again = before(t.seq, snd.max);
    Tcb::recovery_policy::transmitted(tcb, t, now);
    if constexpr (Tcb::ecn_policy::listed)
        Tcb::ecn_policy::transmitted(tcb, t);
    snd.max = later(snd.max, end);
    tcb.last_sent = now;
    tcb.statistics.octets_sent += t.length;
    if (t.probe) {
        tcb.probe = false;
        return;
    }
    if (before(snd.nxt, end))
        snd.nxt = end;
    if constexpr (paces<decltype(tcb.congestion)>)
        tcb.congestion.on_departure({.end = end, .octets = t.length, .flight = octets_between(snd.una, snd.max), .mss = tcb.mss,
                                     .again = again, .now = now, .srtt = tcb.rtt.srtt});
    if (again) {
        ++tcb.statistics.retransmits;
        if (tcb.rtt.measuring && at_or_before(t.seq, tcb.rtt.measured))
            tcb.rtt.measuring = false; // Karn: RFC 6298 section 3
    } else if (!tcb.rtt.measuring) {
        tcb.rtt.measuring = true;
        tcb.rtt.measured = t.seq;
        tcb.rtt.measured_at = now;
    }
    if (tcb.at.retransmit == never) // RFC 6298 section 5.1
        tcb.at.retransmit = now + current_rto(tcb);
    if (tcb.at.loss_probe == never)
        Tcb::recovery_policy::schedule(tcb, now);
}

/// A segment that says nothing but where we are. RFC 9293 section 3.10.7.4
template <class Tcb>
constexpr segment acknowledgement(Tcb& tcb, instant now) noexcept {
    return header_for(tcb, {.seq = tcb.snd.max}, now);
}

/// How long an acknowledgement may wait for text to travel with. RFC 9293 section 3.8.6.3 wants less than 500 ms.
inline constexpr duration ack_delay = std::chrono::milliseconds{40};

/// At the end of a burst: is an acknowledgement due now? Two full segments are answered at once (RFC 9293
/// section 3.8.6.3), however many came in this burst are answered by one; less waits for ack_delay.
template <class Tcb>
constexpr bool acknowledgement_due(Tcb& tcb, instant now) noexcept {
    if (tcb.ack.now || tcb.ack.octets >= 2u * tcb.receive_mss)
        return true;
    if (tcb.ack.octets > 0 && tcb.at.delayed_ack == never)
        tcb.at.delayed_ack = now + ack_delay;
    return false;
}

} // namespace mirage::tcp
