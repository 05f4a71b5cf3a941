// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/segment.hpp"
#include <cstdint>
#include <optional>

namespace mirage::tcp {

/// The end of a connection, as the user learns of it.
enum class ending : std::uint8_t {
    none,
    refused,   ///< RST in SYN-SENT
    reset,     ///< RST later
    timed_out, ///< R2 exceeded
    finished,  ///< both directions closed and acknowledged, or TIME-WAIT is over
};

/// What one event does beyond changing the control block: to be carried out by whoever holds the queues.
struct outcome {
    bool established = false;       ///< the connection has just become ESTABLISHED (or CLOSE-WAIT at once)
    bool fin_received = false;      ///< the peer's FIN has been reached in order
    bool time_wait = false;         ///< the connection has just entered TIME-WAIT
    ending ended = ending::none;    ///< the control block may go
    std::uint32_t acked = 0;        ///< octets of text to drop from the front of the send queue
    bool window_opened = false;     ///< the peer's window or ours changed: see whether something may be sent

    bool text = false;              ///< keep text_length octets of the segment's text, from text_offset on ...
    bool text_in_order = false;     ///< ... it begins at the old RCV.NXT; otherwise at text_at
    std::uint32_t text_offset = 0, text_length = 0;
    sequence text_at{};

    std::optional<segment> reply{}; ///< to be sent as it is: a RST
    bool challenge = false;         ///< an acknowledgement is due, unless too many of this kind were sent (RFC 5961 section 7)
};

} // namespace mirage::tcp
