// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/outcome.hpp"
#include "mirage/net/tcp/output.hpp"
#include "mirage/net/tcp/rtt.hpp"
#include <algorithm>

namespace mirage::tcp {

/// When on_time() is next needed; `never` while nothing is pending.
template <class Tcb>
constexpr instant next_deadline(const Tcb& tcb) noexcept {
    const auto& at = tcb.at;
    const instant next =
        std::min({at.retransmit, at.loss_probe, at.persist, at.delayed_ack, at.keep_alive, at.time_wait, at.give_up});
    if constexpr (paces<decltype(tcb.congestion)>)
        return std::min(next, tcb.congestion.release());
    else
        return next;
}

namespace detail {

/// RFC 6298 section 5.4 to 5.7, RFC 5681 section 3.1
template <class Tcb>
constexpr void retransmission_timeout(Tcb& tcb, instant now, outcome& out) noexcept {
    const bool opening = tcb.state == state::syn_sent || tcb.state == state::syn_received;
    if (opening && tcb.rtt.backoff >= tcb.settings.syn_retries) {
        out.ended = ending::timed_out;
        return;
    }
    if (!opening && tcb.at.give_up == never)
        tcb.at.give_up = now + tcb.settings.user_timeout;
    Tcb::recovery_policy::timed_out(tcb);
    if (tcb.rtt.backoff == 0)
        tcb.congestion.on_timeout(tcb.sample(0, now));
    if constexpr (Tcb::ecn_policy::listed)
        Tcb::ecn_policy::reduced(tcb);
    tcb.rtt.backoff = static_cast<std::uint8_t>(std::min(tcb.rtt.backoff + 1, 63));
    tcb.rtt.measuring = false;
    tcb.at.loss_probe = never;
    tcb.snd.nxt = tcb.snd.una;          // everything is sent again, as the window opens
    tcb.at.retransmit = never;          // armed again by the retransmission
    ++tcb.statistics.timeouts;
    out.window_opened = true;
}

/// RFC 9293 section 3.8.6.1: probes go on, further and further apart, as long as the peer answers them.
template <class Tcb>
constexpr void persist_timeout(Tcb& tcb, instant now, outcome& out) noexcept {
    if (now - tcb.last_received > tcb.settings.user_timeout) {
        out.ended = ending::timed_out;
        return;
    }
    tcb.persist_backoff = static_cast<std::uint8_t>(std::min(tcb.persist_backoff + 1, 9));
    tcb.at.persist = now + std::min(tcb.rtt.rto * (std::int64_t{1} << tcb.persist_backoff), maximum_rto);
    tcb.probe = true;
    out.window_opened = true;
}

/// RFC 9293 section 3.8.4
template <class Tcb>
constexpr void keep_alive_timeout(Tcb& tcb, instant now, outcome& out) noexcept {
    if (tcb.keep_alive_sent >= tcb.settings.keep_alive_probes) {
        out.ended = ending::timed_out;
        return;
    }
    ++tcb.keep_alive_sent;
    tcb.keep_alive_due = true;
    tcb.at.keep_alive = now + tcb.settings.keep_alive_interval;
}

} // namespace detail

/// Time has passed. The caller carries out what the outcome says, then sends what output allows.
template <class Tcb>
constexpr outcome on_time(Tcb& tcb, instant now) noexcept {
    outcome out;
    auto& at = tcb.at;
    if (at.give_up <= now)
        out.ended = ending::timed_out;
    if (at.time_wait <= now)
        out.ended = ending::finished;
    if (out.ended == ending::none && at.retransmit <= now)
        detail::retransmission_timeout(tcb, now, out);
    if (out.ended == ending::none && at.loss_probe <= now) { // RFC 8985 sections 6.3 and 7.3
        at.loss_probe = never;
        Tcb::recovery_policy::overdue(tcb, now);
        out.window_opened = true;
    }
    if (out.ended == ending::none && at.persist <= now)
        detail::persist_timeout(tcb, now, out);
    if (out.ended == ending::none && at.keep_alive <= now)
        detail::keep_alive_timeout(tcb, now, out);
    if constexpr (paces<decltype(tcb.congestion)>)
        (void)tcb.congestion.may_leave(now);
    if (at.delayed_ack <= now) {
        at.delayed_ack = never;
        tcb.ack.now = true;
    }
    return out;
}

} // namespace mirage::tcp
