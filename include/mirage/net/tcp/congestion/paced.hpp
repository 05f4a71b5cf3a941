// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/concept.hpp"
#include "mirage/net/tcp/congestion/pacer.hpp"

namespace mirage::tcp {

/// A congestion control whose window leaves spread over the round trip: a window that is acknowledged at once would leave at
/// once, too, and a large one overflows the first short queue on its way. Text leaves at twice the window's rate in slow start
/// and at six fifths of it later, so that the window stays the limit. Short paths and small windows are left alone: there a
/// burst is small, and a timer dear. RFC 9406 section 4.2 wants it for slow start, RFC 9002 section 7.7 says how.
template <congestion_control Policy>
class paced : public Policy {
    static constexpr duration shortest_path = std::chrono::milliseconds{4};
    static constexpr std::uint32_t least_segments = 16;

    pacer pacer_{};

public:
    friend constexpr bool operator==(const paced&, const paced&) noexcept = default;

    constexpr bool may_leave(instant now) noexcept { return pacer_.may_leave(now); }
    constexpr instant release() const noexcept { return pacer_.release(); }

    constexpr void on_departure(const departure& d) noexcept {
        const std::uint32_t window = this->window();
        if (d.srtt < shortest_path || window < least_segments * d.mss)
            return;
        const auto round = static_cast<std::uint64_t>(d.srtt.count());
        const std::uint64_t spread = window < this->ssthresh() ? round / 2 : round / 6 * 5;
        pacer_.spend(duration{static_cast<std::int64_t>(d.octets * spread / window)});
    }
};

} // namespace mirage::tcp
