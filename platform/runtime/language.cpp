// SPDX-License-Identifier: MIT
//
// What the language itself calls. There is no __cxa_atexit and no __cxa_guard_*: an object with static storage and a
// destructor that does something does not link, because nothing would ever run it.
#include "mirage/core/check.hpp"
#include <cstdint>
#include <cstdlib>

using mirage::panic;

extern "C" {
/// What -fstack-protector compares; the platform draws it at random before the first function that does.
std::uintptr_t __stack_chk_guard = 0;
[[noreturn]] void __stack_chk_fail() noexcept;
[[noreturn]] void __cxa_pure_virtual() noexcept;
[[gnu::noreturn]] void abort() noexcept;

void __stack_chk_fail() noexcept { panic("stack smashed: a local array was written past its end"); }
void __cxa_pure_virtual() noexcept { panic("pure virtual function called"); }
void abort() noexcept { panic("abort() called"); }
}
