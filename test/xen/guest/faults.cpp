// SPDX-License-Identifier: MIT
//
// Does the one wrong thing that its argument names. Every one of them has to end in a report that says what it was
// (faults.expected), and in a crash as the toolstack sees it.
#include "misdeeds.hpp"
#include "mirage/platform.hpp"

using namespace mirage;
using namespace mirage::xen;
using namespace misdeeds;

template <class...>
class faults {};

MIRAGE_PLATFORM_NOTES(faults<platform::console>)

namespace {

/// The first page table: behind the start information, which is behind the image.
std::uintptr_t tables() noexcept {
    std::uintptr_t cr3;
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    return cr3;
}

constexpr misdeed table[] = {
    {"below-image", [] noexcept { (void)*hidden<>(IMAGE_BASE - 8); }},
    {"boot-information",
     [] noexcept { write_to(const_cast<hvm_start_info*>(&this_machine.start())); }},
    {"hypercall", [] noexcept { write_to(reinterpret_cast<void*>(&mirage_xen_hypercall)); }},
    {"page-tables", [] noexcept { *hidden<>(tables()) = 1; }},
    {"execute-shared", [] noexcept { call(hidden<void>(SHARED_INFO_ADDRESS)); }},
    {"past-memory", [] noexcept { *hidden<>(std::uintptr_t{1} << 38) = 1; }},
    {"wrmsr", [] noexcept { asm volatile("wrmsr" : : "a"(~0u), "d"(~0u), "c"(0xc0000080)); }},
    {"long-last-words",
     [] noexcept {
         // Eight times what the console's ring holds, and then the panic: all of it has to be there.
         for (int i = 0; i < 256; ++i)
             this_machine.console().write("a line of sixty-four octets, its end included, before the panic\n");
         panic("after many words");
     }},
};

} // namespace

int mirage_application(platform& here) noexcept {
    (void)commit(here.command_line(), table, [](std::string_view text) noexcept { this_machine.console().write(text); });
    return 0;
}
