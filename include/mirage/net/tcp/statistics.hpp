// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include <cstdint>

namespace mirage::net {

/// What the layer has seen since boot.
struct tcp_statistics {
    std::uint64_t segments_received = 0, segments_sent = 0, segments_retransmitted = 0, bad_checksum = 0, malformed = 0;
    std::uint64_t resets_sent = 0, connections_accepted = 0, connections_opened = 0, connections_closed = 0;
    std::uint64_t syn_dropped = 0;          ///< no listener's room, or no memory for one more connection
    std::uint64_t syn_refused = 0;          ///< a listener's filter did not want the peer
    std::uint64_t cookies_sent = 0, cookies_redeemed = 0; ///< where syn_cookies is listed
    std::uint64_t replies_withheld = 0;     ///< resets and challenge ACKs beyond their limits
    std::uint64_t text_dropped = 0;         ///< segments whose text was not kept because a pool ran low
    gauge connections{};                    ///< in all states

    static constexpr auto table() noexcept {
        using s = tcp_statistics;
        return statistics_table{
            "tcp_",
            statistic{&s::segments_received, "segments_received", "Segments received."},
            statistic{&s::segments_sent, "segments_sent", "Segments sent, also again."},
            statistic{&s::segments_retransmitted, "segments_retransmitted", "Segments sent again."},
            statistic{&s::bad_checksum, "bad_checksum", "Segments dropped for their checksum."},
            statistic{&s::malformed, "malformed", "Segments dropped as wrong."},
            statistic{&s::resets_sent, "resets_sent", "Resets for what belongs to no connection."},
            statistic{&s::connections_accepted, "connections_accepted", "Connections accepted."},
            statistic{&s::connections_opened, "connections_opened", "Connections begun from here."},
            statistic{&s::connections_closed, "connections_closed", "Connections that ended."},
            statistic{&s::syn_dropped, "syn_dropped", "SYNs without room or memory."},
            statistic{&s::syn_refused, "syn_refused", "SYNs that a filter refused."},
            statistic{&s::cookies_sent, "cookies_sent", "SYN cookies sent."},
            statistic{&s::cookies_redeemed, "cookies_redeemed", "SYN cookies that came back."},
            statistic{&s::replies_withheld, "replies_withheld", "Resets and challenge ACKs beyond their limits."},
            statistic{&s::text_dropped, "text_dropped", "Segments not kept: memory ran low."},
            statistic{&s::connections, "connections", "Connections now, in all states."}};
    }
};

} // namespace mirage::net
