// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/public.hpp"
#include "boot_layout.h"
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mirage::xen {

/// A range of physical memory, in whole pages.
struct memory_range {
    std::uint64_t begin = 0, end = 0;
};

/// What is to be mapped in the pages that nobody knows but the toolstack.
struct special_frames {
    std::uint64_t console = 0, store = 0; ///< 0: there is none
};

/// Makes the final page tables of the start information's memory map, and switches to them: W^X, NX, guard pages, the
/// tables themselves not mapped. Returns the RAM that is free for the heap, in ascending order; `room` is where it does
/// so. Gives the reason instead when it cannot.
const char* map_memory(const hvm_start_info& start, const special_frames& special, std::span<memory_range>& room) noexcept;

/// What an address belongs to, for fault reports.
std::string_view region_name(std::uint64_t address) noexcept;

} // namespace mirage::xen
