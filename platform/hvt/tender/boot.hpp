// SPDX-License-Identifier: MIT
#pragma once
#include "elf.hpp"
#include "kvm.hpp"
#include "memory.hpp"

namespace mirage::tender {

/// What the tender keeps below LOW_END, invisible to the guest: a page each, and four page directories.
namespace low_memory {
inline constexpr std::uint64_t gdt = 0x1000, pml4 = 0x2000, pdpt = 0x3000, page_directories = 0x4000, page_table = 0x8000;
} // namespace low_memory

/// Copies the segments in, and takes the right to write to them away where the image says so.
outcome<> load(guest_memory& memory, std::span<const std::byte> file, const image& unikernel);

/// Writes boot information, manifest and command line where the guest finds them.
void write_boot_info(const guest_memory& memory, const image& unikernel, std::uint64_t tsc_frequency,
                     const std::string& arguments, bool with_ring);

/// Page tables, segments and registers as the ABI has them at the entry point.
outcome<> prepare_processor(const virtual_machine& machine, const guest_memory& memory, std::uint64_t entry);

} // namespace mirage::tender
