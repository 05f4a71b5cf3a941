// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/offload_header.hpp"
#include "mirage/hvt/abi.hpp"
#include <cstddef>
#include <span>
#include <sys/uio.h>

namespace mirage::tender {

/// A frame on its way out, and what it leaves to the interface.
struct outgoing_frame {
    std::span<const std::byte> octets{};
    hvt::abi::ring_offload offload{};
};

/// A frame as the kernel wants it: in one or two parts, the first being the header that not every interface has.
/// Stays where it is while the kernel looks at it.
struct frame_parts {
    hosted::offload_header header{};
    iovec part[2]{};
    unsigned count = 0;
};

/// A frame that came in: its length, or -1 for none; what it leaves to the guest.
struct incoming_frame {
    std::int64_t length = -1;
    std::uint8_t flags = 0;
    std::uint16_t segment_size = 0;
};

} // namespace mirage::tender
