// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/wire_format.hpp"
#include <span>
#include <utility>

namespace mirage::tcp {

/// What an acknowledgement tells of text that came to `c` and is not in order, a D-SACK first, which is told once. `blocks` holds it.
/// RFC 2018 section 4, RFC 2883 section 4
template <class Connection>
std::span<const sack_block> report_of(Connection& c, sack_blocks& blocks) noexcept {
    if (!c.tcb.selective)
        return {};
    // Beside timestamps there is room for three.
    const std::size_t room = c.tcb.timestamps.on ? 3 : 4;
    std::size_t count = 0;
    if (c.tcb.rcv.twice != sack_block{})
        blocks[count++] = std::exchange(c.tcb.rcv.twice, {});
    count += c.received.early_blocks(c.tcb.rcv.latest, std::span{blocks}.subspan(count, room - count));
    return std::span{blocks}.first(count);
}

} // namespace mirage::tcp
