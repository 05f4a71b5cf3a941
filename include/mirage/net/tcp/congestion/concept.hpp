// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/sequence.hpp"
#include <concepts>
#include <cstdint>

namespace mirage::tcp {

/// What a congestion control policy is told with each event. All sizes in octets.
struct congestion_sample {
    std::uint32_t acked = 0;  ///< newly acknowledged
    std::uint32_t flight = 0; ///< sent and not acknowledged, before this event
    std::uint32_t mss = 0;    ///< SMSS
    instant now{};
    duration srtt{};          ///< smoothed round-trip time; 0 while unknown
    bool limited = false;     ///< what is acknowledged was sent until the window held text back: it was used
    duration rtt{};           ///< what the acknowledgement's timestamp says, in whole milliseconds; 0: nothing
};

/// How much may be in flight: the policy half of RFC 5681; detecting loss is done elsewhere.
template <class C>
concept congestion_control = std::regular<C> && requires(C c, const C k, const congestion_sample& s) {
    { k.window() } noexcept -> std::same_as<std::uint32_t>; ///< cwnd
    { k.ssthresh() } noexcept -> std::same_as<std::uint32_t>;
    { c.on_start(s) } noexcept;          ///< the connection is established, s.mss is known
    { c.on_ack(s) } noexcept;            ///< new data acknowledged outside of recovery
    { c.on_loss(s) } noexcept;           ///< fast recovery begins
    { c.on_recovered(s) } noexcept;      ///< fast recovery ends
    { c.on_timeout(s) } noexcept;        ///< the retransmission timer fired for the first time for this loss
    { c.on_spurious(std::uint32_t{}, std::uint32_t{}) } noexcept; ///< no loss, after all: window() and ssthresh() before it
    { c.on_idle(s) } noexcept;           ///< nothing was sent for more than one RTO
};

/// Text has left.
struct departure {
    sequence end{};           ///< behind it
    std::uint32_t octets = 0;
    std::uint32_t flight = 0; ///< with it
    std::uint32_t mss = 0;
    bool again = false;       ///< it had been sent before: that was lost
    instant now{};
    duration srtt{};          ///< 0 while unknown
};

/// A policy that also says when text may leave: pacer.hpp.
template <class C>
concept paces = requires(C c, const C k, const departure& d) {
    { c.may_leave(d.now) } noexcept -> std::same_as<bool>; ///< if not: at release(), or when the window changes
    { k.release() } noexcept -> std::same_as<instant>;     ///< `never`: nothing is held back
    { c.on_departure(d) } noexcept;
};

/// Text has arrived, acknowledged or selectively acknowledged.
struct delivery {
    std::uint32_t octets = 0;
    std::uint32_t flight = 0; ///< what is still under way
    std::uint32_t mss = 0;
    sequence newest{};        ///< behind the newest of what has arrived
    bool limited = false;     ///< there was less text than the window would have let go: it says little of the path
    instant now{};
};

/// A policy that hears of whatever arrives, in recovery and outside: bbr.hpp.
template <class C>
concept measures_delivery = requires(C c, const delivery& d) {
    { c.on_delivery(d) } noexcept;
};

} // namespace mirage::tcp
