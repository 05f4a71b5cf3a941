// SPDX-License-Identifier: MIT
//
// Does the one wrong thing that its argument names. Every one of them has to end in a report that says what it was.
#include "misdeeds.hpp"
#include "mirage/platform.hpp"

using namespace mirage;
using namespace misdeeds;

template <class...>
class faults {};

MIRAGE_PLATFORM_NOTES(faults<platform::console>)

extern "C" {
extern std::byte final_pml4[], boot_pd[], gdt[];
}

namespace {

template <unsigned Port, class Value>
void out(Value value) noexcept {
    if constexpr (sizeof value == 1)
        asm volatile("outb %0, %w1" : : "a"(value), "d"(Port));
    else
        asm volatile("outl %0, %w1" : : "a"(value), "d"(Port));
}

constexpr misdeed table[] = {
    {"boot-information", [] noexcept { *hidden<>(BOOT_INFO_ADDRESS) = 1; }},
    {"gdt", [] noexcept { write_to(gdt); }},
    {"page-tables", [] noexcept { write_to(final_pml4); }},
    {"boot-page-tables", [] noexcept { write_to(boot_pd); }},
    {"past-memory", [] noexcept { *hidden<>(std::uintptr_t{1} << 32) = 1; }},
    {"halt", [] noexcept { asm volatile("hlt"); }},
    {"read-cr3", [] noexcept { asm volatile("mov %%cr3, %%rax" : : : "rax"); }},
    {"load-cr3", [] noexcept { asm volatile("mov %0, %%cr3" : : "r"(final_pml4)); }},
    {"wrmsr", [] noexcept { asm volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000080)); }},
    {"port-80", [] noexcept { out<0x80>(std::uint8_t{0}); }},
    {"port-500", [] noexcept { out<0x500>(std::uint32_t{0}); }},
    {"port-509", [] noexcept { out<0x509>(std::uint32_t{0}); }},
    {"port-604", [] noexcept { out<0x604>(std::uint32_t{0}); }},
    {"port-ffff", [] noexcept { out<0xffff>(std::uint8_t{0}); }},
    {"simd",
     [] noexcept {
         std::uint32_t unmasked = 0;
         float result = 1;
         volatile float zero = 0;
         asm volatile("ldmxcsr %2\n\tdivss %1, %0" : "+x"(result) : "m"(zero), "m"(unmasked));
     }},
    {"seal-again",
     [] noexcept {
         // What started the machine faults now: its privileged instructions are not this ring's.
         reinterpret_cast<void (*)()>(std::uintptr_t{IMAGE_BASE})();
     }},
};

} // namespace

int mirage_application(platform& here) noexcept {
    // The console gathers lines; what it has is out before any report.
    if (!here.command_line().empty())
        for (const std::string_view part : {std::string_view{"about to: "}, here.command_line(), std::string_view{"\n"}})
            platform::console{here}.write(as_octets(part));
    return commit(here.command_line(), table, [](std::string_view text) noexcept { hvt::put(text); }) ? 0 : 1;
}
