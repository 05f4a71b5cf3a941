// SPDX-License-Identifier: MIT
//
// The first line of C++. Ring 3, the final page tables, the main stack; nothing else is set up.
#include "mirage/hvt/machine.hpp"
#include "mirage/hvt/platform.hpp"
#include "mirage/runtime/entropy.hpp"
#include "mirage/runtime/heap.hpp"
#include <cstddef>
#include <cstdint>

/// The application: MIRAGE_UNIKERNEL defines it.
int mirage_application(mirage::hvt::platform& p) noexcept;

extern "C" {
extern std::byte _end[];
extern void (*const init_array_begin[])() noexcept;
extern void (*const init_array_end[])() noexcept;
extern std::uintptr_t __stack_chk_guard;
[[noreturn]] void mirage_hvt_start(const mirage::hvt::abi::boot_info& info, std::uint32_t cpuid_1_ecx) noexcept;
}

[[gnu::no_stack_protector]] void mirage_hvt_start(const mirage::hvt::abi::boot_info& info,
                                                  std::uint32_t cpuid_1_ecx) noexcept {
    using namespace mirage::hvt;
    this_machine.open(info);
    __stack_chk_guard = mirage::runtime::stack_guard(mirage::runtime::has_rdrand(cpuid_1_ecx));
    // The tender refuses buffers that end exactly where memory ends.
    constexpr std::size_t unused = 64;
    mirage::runtime::memory.open(_end, reinterpret_cast<std::byte*>(info.mem_size - unused));
    for (auto* f = init_array_begin; f != init_array_end; ++f)
        (*f)();
    platform here;
    here.exit(mirage_application(here));
}
