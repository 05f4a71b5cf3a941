// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/abi.hpp"
#include "boot_layout.h"
#include <cstddef>
#include <cstdint>

namespace mirage::hvt {

/// What trap_entry (boot.S) leaves on the trap stack.
struct trap_frame {
    std::uint64_t vector;
    std::uint64_t general[15]; ///< in the order of abi::fault_report
    abi::trap_registers registers;
};
static_assert(sizeof(trap_frame) == TRAP_FRAME_SIZE);

/// One line of the memory map in boot.S; each region begins where the one before ends.
struct memory_region {
    std::uint32_t end, flags, no_execute;
    std::uint32_t name; ///< address of a NUL-terminated text
};
static_assert(offsetof(memory_region, end) == REGION_END && offsetof(memory_region, flags) == REGION_FLAGS);
static_assert(offsetof(memory_region, no_execute) == REGION_NO_EXECUTE && sizeof(memory_region) == REGION_SIZE);

} // namespace mirage::hvt
