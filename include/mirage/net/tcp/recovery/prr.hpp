// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cstdint>

namespace mirage::tcp {

/// How fast recovery sends: in proportion to what arrives, until the window is what congestion control made of it. RFC 6937
struct proportional_rate {
    std::uint32_t delivered = 0, out = 0, flight = 0; ///< section 3.1: prr_delivered, prr_out, RecoverFS
    std::uint32_t allowance = 0;                      ///< sndcnt: octets that may be sent now

    /// Recovery begins, with `in_flight` octets, not none, on their way.
    constexpr void begin(std::uint32_t in_flight) noexcept { *this = {.flight = in_flight}; }

    /// An acknowledgement in recovery says that `arrived` octets more have arrived, and `pipe` are on their way. With PRR-SSRB.
    constexpr void proceed(std::uint32_t arrived, std::uint32_t pipe, std::uint32_t ssthresh, std::uint32_t mss) noexcept {
        delivered += arrived;
        if (pipe > ssthresh) {
            const std::uint64_t due = (std::uint64_t{delivered} * ssthresh + flight - 1) / flight;
            allowance = due > out ? static_cast<std::uint32_t>(due - out) : 0;
        } else {
            const std::uint32_t behind = delivered > out ? delivered - out : 0;
            allowance = std::min(ssthresh - pipe, std::max(behind, arrived) + mss);
        }
    }

    constexpr void sent(std::uint32_t octets) noexcept {
        out += octets;
        allowance -= std::min(allowance, octets);
    }
};

} // namespace mirage::tcp
