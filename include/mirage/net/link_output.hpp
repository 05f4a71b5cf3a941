// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/netif.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/wire/ethernet.hpp"

namespace mirage::net {

/// Hands a frame to the device of `stack`: the network header of `own` octets and the transport header are in `room`, and
/// the Ethernet header is written before them. Errors are the device's; `sent` counts what it took.
template <class Stack>
result<> send_on_link(Stack& stack, typename Stack::header_room& room, std::size_t own, mac_address to,
                      wire::ethertype type, const outgoing_packet& packet, std::uint64_t& sent) noexcept {
    wire::ethernet_header{to, stack.device().mac(), type}.emit(room.link_header(own));
    transmit_frame frame{.headers = room.all(own, packet.transport_length), .payload = packet.payload};
    if (packet.checksum_offload) {
        frame.checksum_start = static_cast<std::uint16_t>(Stack::header_room::link + own);
        frame.checksum_offset = packet.checksum_offset;
        frame.gso_size = packet.gso_size;
    }
    const auto taken = stack.device().transmit(frame);
    if (taken)
        ++sent;
    return taken;
}

} // namespace mirage::net
