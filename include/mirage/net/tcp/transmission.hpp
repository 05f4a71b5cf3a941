// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/sequence.hpp"

namespace mirage::tcp {

/// Something to send now.
struct transmission {
    sequence seq{};
    std::uint32_t offset = 0; ///< of the text, in the send queue, whose first octet is SND.UNA
    std::uint32_t length = 0; ///< octets of text; more than an MSS only where the device segments
    bool syn = false, fin = false, psh = false;
    bool probe = false;       ///< of a closed window: neither moves SND.NXT nor starts the retransmission timer
};

} // namespace mirage::tcp
