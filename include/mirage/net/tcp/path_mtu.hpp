// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/control_block.hpp"
#include <algorithm>
#include <array>

namespace mirage::tcp {

/// The smallest path MTU over IPv4 that is believed: a forged message of less would make us send more header than text (RFC 5927
/// section 7). Like Linux; a real path below it is not served, because our segments are never fragmented.
inline constexpr std::uint16_t least_path_mtu = 552;

/// What to try when a router says that a packet of `length` octets did not fit, and not what would. RFC 1191 section 7.1
constexpr std::uint16_t lower_plateau(std::uint16_t length) noexcept {
    constexpr std::array<std::uint16_t, 8> plateaus{32'000, 17'914, 8166, 4352, 2002, 1492, 1006, least_path_mtu};
    const auto* const found = std::ranges::find_if(plateaus, [=](std::uint16_t p) { return p < length; });
    return found == plateaus.end() ? least_path_mtu : *found;
}

/// Segments of more than `mss` octets of text do not arrive: from SND.UNA on, everything is cut anew. It was not congestion that
/// lost it, so the window stays (RFC 1191 section 6.5). True: segments have become smaller.
template <class Tcb>
constexpr bool path_takes(Tcb& tcb, std::uint32_t mss) noexcept {
    if (mss >= tcb.mss)
        return false;
    tcb.mss = static_cast<std::uint16_t>(mss);
    Tcb::recovery_policy::timed_out(tcb);
    tcb.snd.nxt = tcb.snd.una;
    tcb.rtt.measuring = false; // Karn
    return true;
}

/// After the timer fired: the third time in a row for full segments, what is lost is perhaps their size, and the router that should say
/// so is silent. RFC 4821 sections 7.2 and 7.7; RFC 2923 section 2.1
template <class Tcb>
constexpr void suspect_black_hole(Tcb& tcb, std::uint32_t headers, std::uint32_t least) noexcept {
    if (tcb.synchronized() && (tcb.rtt.backoff == 3 || tcb.rtt.backoff == 5))
        tcb.mss = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(tcb.mss, std::max<std::uint32_t>(tcb.rtt.backoff == 3 ? 1024 : 0, least) - headers));
}

} // namespace mirage::tcp
