// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"
#include "mirage/hvt/abi.hpp"
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mirage::tender {

/// A PT_LOAD with file content. Addresses are guest-physical.
struct segment {
    std::uint64_t address = 0, file_size = 0, memory_size = 0;
    std::uint64_t file_offset = 0;
    std::uint64_t start = 0, end = 0; ///< rounded to the alignment: whole pages
    bool writable = false;
};

/// A unikernel that has passed every check of the hvt ABI (version 2) and the manifest (version 1).
struct image {
    std::uint64_t entry = 0;
    std::vector<segment> segments{};
    std::uint64_t kernel_end = 0;
    bool is_solo5s = false; ///< linked with Solo5's own bindings, as its PT_INTERP says: they stay in ring 0
    std::vector<hvt::abi::manifest_entry>
        devices{}; ///< the manifest's entries; index = handle; [0] is reserved

    /// Reads and checks `file`. Nothing in it is believed: every offset is checked before it is followed.
    /// `memory` is the guest's, in octets.
    static outcome<image> parse(std::span<const std::byte> file, std::uint64_t memory);
};

} // namespace mirage::tender
