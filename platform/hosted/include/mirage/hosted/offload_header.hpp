// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>

namespace mirage::hosted {

/// What precedes each frame on a TAP interface that was attached with IFF_VNET_HDR: the legacy header of
/// VIRTIO 1.1 section 5.1.6.1, in this machine's octet order. (The kernel's linux/virtio_net.h cannot be
/// included in C++: a member of it is named `class`.)
struct offload_header {
    static constexpr std::uint8_t needs_checksum = 1, data_valid = 2;        // flags
    static constexpr std::uint8_t no_segments = 0, tcp_ipv4 = 1, tcp_ipv6 = 4, ecn = 0x80; // segmentation

    std::uint8_t flags = 0;
    std::uint8_t segmentation = 0;
    std::uint16_t header_length = 0;
    std::uint16_t segment_size = 0;
    std::uint16_t checksum_start = 0;  ///< from the start of the frame
    std::uint16_t checksum_offset = 0; ///< from checksum_start
};
static_assert(sizeof(offload_header) == 10);

} // namespace mirage::hosted
