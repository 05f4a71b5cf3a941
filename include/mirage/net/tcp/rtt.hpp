// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include <algorithm>

namespace mirage::tcp {

/// Lower bound of the retransmission timeout. RFC 6298 section 2.4 asks for 1 s for the sake of coarse clocks of its
/// time; ours counts nanoseconds, and like Linux we wait 200 ms, which still covers every delayed acknowledgement
/// that section 4.2.3.2 of RFC 1122 allows in practice.
inline constexpr duration minimum_rto = std::chrono::milliseconds{200};
/// RFC 6298 section 2.5: an upper bound of at least 60 s.
inline constexpr duration maximum_rto = std::chrono::seconds{60};
/// Retransmission timeout before anything is known. RFC 6298 section 2.1
inline constexpr duration initial_rto = std::chrono::seconds{1};

/// Takes one measurement of the round-trip time. RFC 6298 sections 2.2 and 2.3
template <class Tcb>
constexpr void measured_rtt(Tcb& tcb, duration sample) noexcept {
    auto& rtt = tcb.rtt;
    sample = std::max(sample, duration{1});
    if (rtt.srtt == duration{}) {
        rtt.srtt = sample;
        rtt.rttvar = sample / 2;
    } else {
        const auto difference = sample > rtt.srtt ? sample - rtt.srtt : rtt.srtt - sample;
        rtt.rttvar += (difference - rtt.rttvar) / 4; // beta = 1/4, before SRTT
        rtt.srtt += (sample - rtt.srtt) / 8;         // alpha = 1/8
    }
    rtt.backoff = 0;
    rtt.rto = std::clamp(rtt.srtt + 4 * rtt.rttvar, minimum_rto, maximum_rto);
}

/// The timeout in force: doubled with each expiry. RFC 6298 section 5.5
template <class Tcb>
constexpr duration current_rto(const Tcb& tcb) noexcept {
    const auto shift = std::min<unsigned>(tcb.rtt.backoff, 9);
    return std::min(tcb.rtt.rto * (std::int64_t{1} << shift), maximum_rto);
}

/// The value of our timestamp clock: milliseconds. RFC 7323 section 5.4 allows 1 ms to 1 s. A connection's offset
/// hides the uptime of the machine (section 7.1).
constexpr std::uint32_t timestamp_at(instant now) noexcept {
    return static_cast<std::uint32_t>(now.time_since_epoch().count() / 1'000'000);
}

} // namespace mirage::tcp
