// SPDX-License-Identifier: MIT
#pragma once
// SEGMENT ARRIVES, RFC 9293 section 3.10.7, one function per numbered step. Index:
//   3.10.7.3  SYN-SENT            arrives_in_syn_sent
//   3.10.7.4  first, sequence     check_timestamps (RFC 7323 section 5), check_sequence
//             second, RST         check_reset      (RFC 5961 section 3)
//             fourth, SYN         check_syn        (RFC 5961 section 4)
//             fifth, ACK          check_ack        (RFC 5961 section 5; RFC 5681; RFC 6582)
//             seventh, text       take_text
//             eighth, FIN         take_fin, text_arrived
// Third (security) and sixth (URG) are empty: RFC 9293 section 3.8.5 and RFC 6093 let urgent data be ordinary data.
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/receive_window.hpp"
#include "mirage/net/tcp/rtt.hpp"
#include <algorithm>

namespace mirage::tcp {

/// The RST that answers a segment for which there is no connection. Empty for a RST. RFC 9293 section 3.10.7.1
constexpr std::optional<segment> reset_for(const segment& seg) noexcept {
    if (seg.rst)
        return {};
    segment reply{.rst = true};
    if (seg.has_ack) {
        reply.seq = seg.ack;
    } else {
        reply.ack = seg.end();
        reply.has_ack = true;
    }
    return reply;
}

/// What both SYNs agree on. RFC 7323 sections 2.2 and 3.2, RFC 9293 section 3.7.1
template <class Tcb>
constexpr void take_syn_options(Tcb& tcb, const segment& seg, instant now) noexcept {
    const std::uint16_t theirs = seg.mss == 0 ? 536 : seg.mss;
    // A peer that offers a tiny MSS would make us send more header than text: 64 octets are the least we serve.
    tcb.mss = std::max<std::uint16_t>(std::min(theirs, tcb.settings.mss), 64);
    if (seg.window_scale >= 0)
        tcb.snd.scale = std::min<std::uint8_t>(static_cast<std::uint8_t>(seg.window_scale), 14);
    else
        tcb.snd.scale = tcb.rcv.scale = 0;
    tcb.timestamps.on = seg.has_timestamps;
    if (seg.has_timestamps) {
        tcb.timestamps.recent = seg.timestamps.value;
        tcb.timestamps.recent_at = now;
        tcb.mss -= 12; // the option goes with every segment (RFC 9293 section 3.7.1, RFC 6691)
    }
    tcb.selective = Tcb::recovery_policy::selective && seg.sack_permitted;
    tcb.receive_mss = static_cast<std::uint16_t>(tcb.settings.mss - (seg.has_timestamps ? 12 : 0));
    tcb.congestion.on_start({.mss = tcb.mss, .now = now});
}

/// Our SYN is acknowledged: the connection stands.
template <class Tcb>
constexpr void become_established(Tcb& tcb, instant now, outcome& out) noexcept {
    tcb.state = state::established;
    tcb.at.give_up = never;
    if (tcb.rtt.srtt == duration{}) // our SYN was lost and nothing could be timed: RFC 6298 section 5.7
        tcb.rtt.rto = std::chrono::seconds{3};
    if (tcb.settings.keep_alive)
        tcb.at.keep_alive = now + tcb.settings.keep_alive_idle;
    out.established = true;
}

template <class Tcb>
constexpr void take_window(Tcb& tcb, const segment& seg, outcome& out) noexcept {
    const std::uint32_t window = std::uint32_t{seg.window} << (seg.syn ? 0 : tcb.snd.scale);
    out.window_opened |= window > tcb.snd.wnd;
    tcb.snd.wnd = window;
    tcb.snd.max_wnd = std::max(tcb.snd.max_wnd, window);
    tcb.snd.wl1 = seg.seq;
    tcb.snd.wl2 = seg.ack;
    if (window != 0) {
        tcb.at.persist = never;
        tcb.persist_backoff = 0;
        tcb.probe = false;
    }
}

/// Passive open: a SYN for a listener makes this connection. RFC 9293 section 3.10.7.2
template <class Tcb>
constexpr void open_passive(Tcb& tcb, const segment& syn, sequence iss, instant now) noexcept {
    tcb.state = state::syn_received;
    tcb.snd.iss = tcb.snd.una = tcb.snd.nxt = tcb.snd.max = tcb.snd.limited = tcb.recovery.recover = iss; // RFC 6582 section 3.2
    tcb.snd.end = iss + 1;
    tcb.rcv.irs = syn.seq;
    tcb.rcv.nxt = tcb.rcv.advertised = syn.seq + 1;
    tcb.last_received = now;
    take_syn_options(tcb, syn, now);
    if constexpr (Tcb::ecn_policy::listed)
        Tcb::ecn_policy::negotiate(tcb, syn);
    outcome ignored;
    take_window(tcb, syn, ignored);
    tcb.snd.wl2 = iss;
}

/// RFC 9293 section 3.10.7.3
template <class Tcb>
constexpr void arrives_in_syn_sent(Tcb& tcb, const segment& seg, instant now, outcome& out) noexcept {
    const bool acceptable = seg.has_ack && before(tcb.snd.iss, seg.ack) && at_or_before(seg.ack, tcb.snd.max);
    if (seg.has_ack && !acceptable) { // first
        out.reply = reset_for(seg);
        return;
    }
    if (seg.rst) { // second; without an acceptable ACK it may come from anywhere (RFC 5961 section 3)
        if (acceptable)
            out.ended = ending::refused;
        return;
    }
    if (!seg.syn) // fifth
        return;
    tcb.rcv.irs = seg.seq; // fourth
    tcb.rcv.nxt = tcb.rcv.advertised = seg.seq + 1;
    take_syn_options(tcb, seg, now);
    take_window(tcb, seg, out);
    tcb.ack.now = true;
    if (acceptable) {
        if constexpr (Tcb::ecn_policy::listed)
            Tcb::ecn_policy::negotiate(tcb, seg);
        if (tcb.rtt.measuring)
            measured_rtt(tcb, now - tcb.rtt.measured_at);
        tcb.rtt.measuring = false;
        tcb.rtt.backoff = 0;
        tcb.snd.una = seg.ack;
        tcb.snd.nxt = later(tcb.snd.nxt, seg.ack);
        tcb.at.retransmit = never;
        become_established(tcb, now, out);
    } else { // simultaneous open (section 3.5, figure 8): SYN-RECEIVED, and the SYN goes out again, with an ACK
        tcb.state = state::syn_received;
        tcb.snd.nxt = tcb.snd.iss;
    }
    // Text and FIN on a SYN are left for the peer to send again (RFC 9293 section 3.10.7.3 lets them be queued).
}

/// PAWS: an old duplicate carries an old timestamp. RFC 7323 section 5.3, R1; false: drop
template <class Tcb>
constexpr bool check_timestamps(Tcb& tcb, const segment& seg, instant now) noexcept {
    if (!tcb.timestamps.on)
        return true;
    if (!seg.has_timestamps) // section 3.2: a segment without the option SHOULD be dropped silently, unless RST
        return seg.rst;
    const bool old = static_cast<std::int32_t>(seg.timestamps.value - tcb.timestamps.recent) < 0;
    if (old && !seg.rst && now - tcb.timestamps.recent_at < std::chrono::hours{24 * 24}) {
        tcb.ack.now = true;
        ++tcb.statistics.duplicate_segments;
        return false;
    }
    return true;
}

/// Text of the segment was there already: that is told once, so that the peer learns of needless retransmissions.
/// RFC 2883 section 4
template <class Tcb>
constexpr void came_twice(Tcb& tcb, const segment& seg) noexcept {
    if (!tcb.selective || !before(seg.seq, tcb.rcv.nxt) || seg.length == 0)
        return;
    const sequence end = seg.seq + seg.length;
    tcb.rcv.twice = {seg.seq, before(tcb.rcv.nxt, end) ? tcb.rcv.nxt : end};
}

/// First: is anything of it in the window? False: answered and dropped.
template <class Tcb>
constexpr bool check_sequence(Tcb& tcb, const segment& seg) noexcept {
    const std::uint32_t window = receive_window(tcb);
    const std::uint32_t length = seg.sequence_length();
    const auto begins = distance(tcb.rcv.nxt, seg.seq); // >= 0: at or behind RCV.NXT
    const auto ends = distance(tcb.rcv.nxt, seg.end() - 1);
    const auto size = static_cast<std::int32_t>(window);
    bool acceptable;
    if (length == 0)
        acceptable = window == 0 ? begins == 0 : begins >= 0 && begins < size;
    else if (window == 0)
        // A probe of our closed window: nothing of it is kept, but its ACK counts, like that of any segment at
        // RCV.NXT ("special allowance", section 3.10.7.4, first).
        acceptable = begins == 0;
    else
        acceptable = (begins >= 0 && begins < size) || (ends >= 0 && ends < size) || (begins < 0 && ends >= size);
    if (acceptable)
        return true;
    if (!seg.rst)
        tcb.ack.now = true;
    ++tcb.statistics.duplicate_segments;
    came_twice(tcb, seg);
    // The peer sends its FIN again: it did not hear our last ACK, so TIME-WAIT starts anew (section 3.10.7.4, eighth).
    return false;
}

/// Second: RST. Only an exact match resets; anything else in the window is challenged (RFC 5961 section 3.2).
template <class Tcb>
constexpr bool check_reset(Tcb& tcb, const segment& seg, outcome& out) noexcept {
    if (!seg.rst)
        return true;
    if (seg.seq != tcb.rcv.nxt) {
        out.challenge = true;
        return false;
    }
    if (tcb.state == state::syn_received && tcb.active_open)
        out.ended = ending::refused;
    else if (tcb.state == state::closing || tcb.state == state::last_ack || tcb.state == state::time_wait)
        out.ended = ending::finished;
    else
        out.ended = ending::reset;
    return false;
}

/// The peer did not hear our SYN-ACK: it is sent again.
template <class Tcb>
constexpr void syn_came_again(Tcb& tcb, [[maybe_unused]] const segment& seg) noexcept {
    tcb.snd.nxt = tcb.snd.iss;
    if constexpr (Tcb::ecn_policy::listed) // RFC 3168 section 6.1.1: now it does not want ECN any more
        tcb.ecn.capable &= Tcb::ecn_policy::is_setup_syn(seg);
}

/// Fourth: a SYN in a synchronized state is challenged (RFC 5961 section 4.2).
template <class Tcb>
constexpr bool check_syn(Tcb& tcb, const segment& seg, outcome& out) noexcept {
    if (!seg.syn)
        return true;
    if (tcb.state == state::syn_received && seg.seq == tcb.rcv.irs)
        syn_came_again(tcb, seg);
    else
        out.challenge = true;
    return false;
}

/// An ACK that moves SND.UNA: text, SYN and FIN leave the retransmission queue. RFC 5681, RFC 6298 section 5
template <class Tcb>
constexpr void acknowledge(Tcb& tcb, const segment& seg, instant now, outcome& out) noexcept {
    const sequence old_una = tcb.snd.una;
    const auto advance = octets_between(old_una, seg.ack);
    const std::uint32_t fin = tcb.snd.fin && seg.ack == tcb.snd.end + 1 ? 1 : 0;
    const std::uint32_t acked = advance - fin;
    out.acked += acked;
    tcb.statistics.octets_acked += acked;

    if (tcb.rtt.measuring && before(tcb.rtt.measured, seg.ack)) {
        tcb.rtt.measuring = false;
        measured_rtt(tcb, now - tcb.rtt.measured_at);
    } else if (tcb.rtt.backoff > 0 && tcb.timestamps.on && seg.timestamps.echo != 0) {
        // After a retransmission Karn's rule leaves nothing to time; the echo says which copy arrived (RFC 7323 4.1).
        const auto ms = static_cast<std::int32_t>(timestamp_at(now) - seg.timestamps.echo);
        if (ms >= 0)
            measured_rtt(tcb, std::chrono::milliseconds{ms});
    }

    auto sample = tcb.sample(acked, now);
    if constexpr (requires { tcb.congestion.observes_rtt; })
        if (tcb.timestamps.on && seg.timestamps.echo != 0)
            sample.rtt = std::chrono::milliseconds{std::max(
                static_cast<std::int32_t>(timestamp_at(now) - seg.timestamps.echo), 0)};
    tcb.snd.una = seg.ack;
    tcb.snd.nxt = later(tcb.snd.nxt, seg.ack);

    tcb.at.give_up = never;
    tcb.at.retransmit = tcb.snd.una == tcb.snd.max ? never : now + current_rto(tcb); // RFC 6298 sections 5.2, 5.3
    Tcb::recovery_policy::acknowledged(tcb, sample, now);
    out.window_opened = true;
}

/// Tells congestion control what the segment says has arrived, and what is still under way.
template <class Tcb>
constexpr void tell_delivery(Tcb& tcb, const segment& seg, std::uint32_t acked, instant now) noexcept {
    using recovery = typename Tcb::recovery_policy;
    const std::uint32_t arrived = recovery::delivered(tcb, acked);
    if (arrived == 0)
        return;
    sequence newest = seg.ack;
    for (const sack_block& b : seg.sack)
        if (at_or_before(b.right, tcb.snd.max))
            newest = later(newest, b.right);
    const std::uint32_t flight = octets_between(tcb.snd.una, tcb.snd.max) - recovery::arrived_early(tcb);
    tcb.congestion.on_delivery({.octets = arrived, .flight = flight, .mss = tcb.mss, .newest = newest,
                                .limited = before(tcb.snd.limited, newest), .now = now});
}

/// Fifth: the ACK. False: the segment is done with.
template <class Tcb>
constexpr bool check_ack(Tcb& tcb, const segment& seg, instant now, outcome& out) noexcept {
    if (!seg.has_ack)
        return false;
    if (tcb.state == state::syn_received) {
        if (!(before(tcb.snd.una, seg.ack) && at_or_before(seg.ack, tcb.snd.max))) {
            out.reply = reset_for(seg);
            return false;
        }
        if (tcb.rtt.measuring)
            measured_rtt(tcb, now - tcb.rtt.measured_at);
        tcb.rtt.measuring = false;
        tcb.rtt.backoff = 0;
        tcb.snd.una = tcb.snd.iss + 1; // what else it acknowledges is handled below
        tcb.snd.nxt = later(tcb.snd.nxt, tcb.snd.una);
        tcb.at.retransmit = tcb.snd.una == tcb.snd.max ? never : now + current_rto(tcb);
        become_established(tcb, now, out);
        if (tcb.snd.fin)
            tcb.state = state::fin_wait_1;
        take_window(tcb, seg, out);
    }
    // RFC 5961 section 5.2: the acceptable range; outside of it the peer is blind or very late.
    if (before(tcb.snd.max, seg.ack)
        || distance(seg.ack, tcb.snd.una) > static_cast<std::int32_t>(tcb.snd.max_wnd)) {
        out.challenge = true;
        return false;
    }
    const bool fresh = before(tcb.snd.una, seg.ack);
    // RFC 9293 looks at SEG.SEQ first, so that text sent again could acknowledge and yet leave SND.WND as it was, whose
    // right edge moves with SND.UNA: we would send beyond what was offered. What acknowledges more is newer.
    const bool new_window = fresh || before(tcb.snd.wl1, seg.seq)
                            || (tcb.snd.wl1 == seg.seq && at_or_before(tcb.snd.wl2, seg.ack));
    const std::uint32_t old_window = tcb.snd.wnd;
    const auto take = [&]() noexcept {
        Tcb::recovery_policy::arrived(tcb, seg, now);
        if (fresh)
            acknowledge(tcb, seg, now, out);
        if (new_window && at_or_before(tcb.snd.una, seg.ack))
            take_window(tcb, seg, out);
        if (!fresh && seg.ack == tcb.snd.una && tcb.snd.una != tcb.snd.max) {
            // In the sense of RFC 5681 section 2.
            const bool duplicate = seg.length == 0 && !seg.fin && tcb.snd.wnd == old_window && tcb.snd.wnd != 0;
            Tcb::recovery_policy::repeated(tcb, tcb.sample(0, now), duplicate, now, out);
        }
        if constexpr (measures_delivery<decltype(tcb.congestion)>)
            tell_delivery(tcb, seg, out.acked, now);
    };
    if constexpr (Tcb::ecn_policy::listed)
        Tcb::ecn_policy::around(tcb, seg, now, take);
    else
        take();

    const bool fin_acked = tcb.snd.fin && tcb.snd.una == tcb.snd.end + 1;
    if (!fin_acked)
        return true;
    switch (tcb.state) {
    case state::fin_wait_1:
        tcb.state = state::fin_wait_2;
        if (tcb.orphaned) // nobody will read what a silent peer might still send
            tcb.at.time_wait = now + 2 * tcb.settings.msl;
        break;
    case state::closing:
        tcb.state = state::time_wait;
        tcb.at.time_wait = now + 2 * tcb.settings.msl;
        out.time_wait = true;
        break;
    case state::last_ack:
        out.ended = ending::finished;
        return false;
    default:
        break;
    }
    return true;
}

/// Eighth: everything up to the peer's FIN has arrived.
template <class Tcb>
constexpr void take_fin(Tcb& tcb, instant now, outcome& out) noexcept {
    tcb.rcv.nxt += 1;
    tcb.rcv.advertised = later(tcb.rcv.advertised, tcb.rcv.nxt);
    tcb.ack.now = true;
    out.fin_received = true;
    switch (tcb.state) {
    case state::syn_received:
    case state::established:
        tcb.state = state::close_wait;
        break;
    case state::fin_wait_1: // our FIN is not acknowledged, or check_ack had moved on
        tcb.state = state::closing;
        break;
    case state::fin_wait_2:
        tcb.state = state::time_wait;
        tcb.at.time_wait = now + 2 * tcb.settings.msl;
        out.time_wait = true;
        break;
    default:
        break;
    }
}

/// `n` octets of text have come in order, from this segment or from those kept before; then, perhaps, the FIN.
template <class Tcb>
constexpr void text_arrived(Tcb& tcb, std::uint32_t n, instant now, outcome& out) noexcept {
    tcb.rcv.nxt += n;
    tcb.rcv.unread += n;
    tcb.statistics.octets_received += n;
    tcb.ack.octets += n;
    if (tcb.rcv.fin_known && tcb.rcv.nxt == tcb.rcv.fin_at && tcb.state != state::time_wait
        && tcb.state != state::closing && tcb.state != state::close_wait && tcb.state != state::last_ack)
        take_fin(tcb, now, out);
}

/// Seventh: the text, cut to the window. What is not at RCV.NXT is kept for later by the caller.
template <class Tcb>
constexpr void take_text(Tcb& tcb, const segment& seg, instant now, outcome& out) noexcept {
    const bool receiving = tcb.state == state::established || tcb.state == state::fin_wait_1
                           || tcb.state == state::fin_wait_2;
    if (!receiving) // after a FIN nothing can follow; the sequence check has kept RCV.NXT right
        return;
    if (seg.fin && !tcb.rcv.fin_known) {
        tcb.rcv.fin_known = true;
        tcb.rcv.fin_at = seg.seq + seg.length;
    }
    const auto begins = distance(tcb.rcv.nxt, seg.seq);
    const std::uint32_t skip = begins < 0 ? static_cast<std::uint32_t>(-begins) : 0;
    if (skip > 0)
        came_twice(tcb, seg);
    const std::uint32_t window = receive_window(tcb);
    std::uint32_t length = seg.length > skip ? seg.length - skip : 0;
    const std::uint32_t ahead = begins > 0 ? static_cast<std::uint32_t>(begins) : 0;
    length = std::min(length, window > ahead ? window - ahead : 0);
    if (tcb.rcv.fin_known && after(seg.seq + skip + length, tcb.rcv.fin_at)) // text behind a FIN is a lie
        length = before(seg.seq + skip, tcb.rcv.fin_at) ? octets_between(seg.seq + skip, tcb.rcv.fin_at) : 0;
    if (ahead > 0) { // a hole before it: RFC 5681 section 4.2 wants a duplicate ACK at once
        tcb.ack.now |= seg.sequence_length() > 0;
        ++tcb.statistics.out_of_order;
        if (length > 0) {
            out.text = true;
            out.text_offset = 0;
            out.text_length = length;
            out.text_at = seg.seq;
        }
        return;
    }
    if (length > 0) {
        out.text = out.text_in_order = true;
        out.text_offset = skip;
        out.text_length = length;
        out.text_at = tcb.rcv.nxt;
    }
    if (seg.length > skip + length) // cut at the window: say what was taken (also the answer to a window probe)
        tcb.ack.now = true;
    if (length > 0 || (tcb.rcv.fin_known && tcb.rcv.nxt == tcb.rcv.fin_at))
        text_arrived(tcb, length, now, out);
    if (skip > 0 && length == 0 && seg.length > 0)
        tcb.ack.now = true;
}

/// A segment for this connection. The caller carries out what the outcome says, then sends what output allows.
template <class Tcb>
constexpr outcome segment_arrives(Tcb& tcb, const segment& seg, instant now) noexcept {
    outcome out;
    if (tcb.state == state::closed || tcb.state == state::listen) {
        out.reply = reset_for(seg);
        return out;
    }
    if (tcb.state == state::syn_sent) {
        arrives_in_syn_sent(tcb, seg, now, out);
        return out;
    }
    if (!check_timestamps(tcb, seg, now))
        return out;
    if (!check_sequence(tcb, seg)) {
        if (tcb.state == state::syn_received && seg.syn && !seg.has_ack && seg.seq == tcb.rcv.irs)
            (void)check_syn(tcb, seg, out); // the SYN came again, and lies before the window
        if (tcb.state == state::time_wait && seg.fin)
            tcb.at.time_wait = now + 2 * tcb.settings.msl;
        return out;
    }
    if (tcb.timestamps.on && seg.has_timestamps && at_or_before(seg.seq, tcb.timestamps.last_ack_sent)
        && static_cast<std::int32_t>(seg.timestamps.value - tcb.timestamps.recent) >= 0) { // RFC 7323 section 4.3
        tcb.timestamps.recent = seg.timestamps.value;
        tcb.timestamps.recent_at = now;
    }
    tcb.last_received = now;
    if (tcb.keep_alive_sent != 0 || tcb.at.keep_alive != never) {
        tcb.keep_alive_sent = 0;
        tcb.at.keep_alive = now + tcb.settings.keep_alive_idle;
    }
    if (check_reset(tcb, seg, out) && check_syn(tcb, seg, out) && check_ack(tcb, seg, now, out)) {
        if constexpr (Tcb::ecn_policy::listed)
            Tcb::ecn_policy::received(tcb, seg);
        take_text(tcb, seg, now, out);
    }
    return out;
}

} // namespace mirage::tcp
