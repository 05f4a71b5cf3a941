// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include <algorithm>
#include <cstdint>

namespace mirage::net {

/// How much memory TCP may use and how connections behave. Sizes in octets. 0: chosen from the device's memory.
struct tcp_options {
    std::uint32_t receive_buffer = 0;       ///< largest window that a connection announces
    std::uint32_t send_buffer = 0;          ///< octets that a connection keeps for retransmission, at first
    std::uint32_t send_buffer_most = 0;     ///< and at most: it grows with the congestion window. 0: a given send_buffer stays
    std::uint32_t max_connections = 0;      ///< in all states; a SYN beyond it is dropped
    std::uint16_t mss_most = 65535;         ///< largest segment that is offered and sent, whatever the MTU: for tunnels on the way
    bool keep_alive = false;                ///< RFC 9293 section 3.8.4
};

/// What is not chosen, by the size of the device's `pool`.
inline tcp_options with_defaults(tcp_options o, const buffer_pool& pool) noexcept {
    const std::size_t memory = pool.size() * pool.buffer_size();
    const auto share = [memory](std::size_t part, std::uint32_t least, std::uint32_t most) {
        return static_cast<std::uint32_t>(std::clamp<std::size_t>(memory / part, least, most));
    };
    // One connection may pin a quarter of the frames that the device has.
    if (o.receive_buffer == 0)
        o.receive_buffer = share(4, 8 * 1024, 4 * 1024 * 1024);
    if (o.send_buffer_most == 0)
        o.send_buffer_most = o.send_buffer != 0 ? o.send_buffer : share(4, 16 * 1024, 4 * 1024 * 1024);
    if (o.send_buffer == 0)
        o.send_buffer = std::min<std::uint32_t>(o.send_buffer_most, 256 * 1024); // the product of 1 Gbit/s and 2 ms
    if (o.max_connections == 0)
        o.max_connections = share(2048, 128, 16 * 1024);
    return o;
}

} // namespace mirage::net
