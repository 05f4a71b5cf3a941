// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/public.hpp"
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mirage::xen {

/// How much memory a blkfront has.
struct blkfront_sizes {
    static constexpr std::uint32_t most_ring_pages = 4;
    static constexpr std::uint32_t most_segments = 32;

    std::uint32_t ring_pages = 4;      ///< 1, 2 or 4: 32, 64 or 128 requests under way
    std::uint32_t data_pages = 256;    ///< for what goes through memory of the driver's; 11 or more
    std::uint32_t indirect_pages = 16; ///< requests of more than 11 pages under way

    /// What suits a device of a domain that has `memory` octets left for everything.
    static constexpr blkfront_sizes within(std::size_t memory) noexcept {
        const bool small = memory < std::size_t{12} << 20;
        return {.ring_pages = small ? 1u : 4u,
                .data_pages = static_cast<std::uint32_t>(
                    std::clamp<std::size_t>(memory / 16 / 4096, small ? 16 : 64, small ? 32 : 512)),
                .indirect_pages = small ? 0u : 16u};
    }
};

/// What a backend said of its disk.
struct disk_properties {
    std::uint64_t sectors = 0;       ///< of sector_size
    std::uint32_t sector_size = 512; ///< octets
    std::uint32_t segments = BLKIF_MAX_SEGMENTS_PER_REQUEST; ///< pages in a request
    bool read_only = false, removable = false;
    bool persistent = false; ///< keeps pages mapped, so that it wants to see the same ones again
    bool flushes = false, barriers = false, discards = false;
};

} // namespace mirage::xen
