// SPDX-License-Identifier: MIT
//
// Does the one wrong thing that its argument names. Every one of them has to end in a report that says what it was.
#include "mirage/core/check.hpp"
#include "mirage/platform.hpp"
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

using namespace mirage;

template <class...>
class faults {};

MIRAGE_PLATFORM_NOTES(faults<platform::console>)

extern "C" {
extern std::byte final_pml4[], boot_pd[], gdt[], idt[], tss[], trap_stack[];
}

namespace {

/// Hides from the compiler what a pointer points to, and so that it is wrong.
template <class T = volatile std::uint32_t>
T* hidden(std::uintptr_t address) noexcept {
    asm volatile("" : "+r"(address));
    return reinterpret_cast<T*>(address);
}
template <class T>
T* hidden(T* p) noexcept {
    asm volatile("" : "+r"(p));
    return p;
}
void write_to(void* p) noexcept { *hidden(static_cast<volatile std::uint32_t*>(p)) = 1; }
void call(void* p) noexcept { hidden(reinterpret_cast<void (*)()>(p))(); }

template <unsigned Port, class Value>
void out(Value value) noexcept {
    if constexpr (sizeof value == 1)
        asm volatile("outb %0, %w1" : : "a"(value), "d"(Port));
    else
        asm volatile("outl %0, %w1" : : "a"(value), "d"(Port));
}

[[gnu::noinline]] unsigned recurse(unsigned n) noexcept {
    volatile unsigned room[64];
    room[n % 64] = n;
    if (room[n % 64] == ~0u) // never
        return 0;
    return recurse(n + 1) + room[(n + 1) % 64];
}
[[gnu::noinline]] unsigned large_frame() noexcept {
    volatile unsigned room[1 << 18];
    asm volatile("" : : "r"(room) : "memory");
    return room[0];
}
[[gnu::noinline]] void smash(std::size_t n) noexcept {
    char text[16];
    std::memset(hidden(&text[0]), 'x', n);
    asm volatile("" : : "r"(&text) : "memory");
}

const std::uint32_t constant = 7;
std::uint32_t variable = 7;
unsigned char code_in_data[] = {0xc3};

struct fault {
    std::string_view name;
    void (*cause)() noexcept;
};

constexpr fault table[] = {
    {"null-read", [] noexcept { (void)*hidden<>(8); }},
    {"null-write", [] noexcept { *hidden<>(8) = 1; }},
    {"null-call", [] noexcept { call(nullptr); }},
    {"low-memory", [] noexcept { (void)*hidden<>(0x2000); }},
    {"boot-information", [] noexcept { *hidden<>(BOOT_INFO_ADDRESS) = 1; }},
    {"text", [] noexcept { write_to(reinterpret_cast<void*>(&write_to)); }},
    {"constant", [] noexcept { write_to(const_cast<std::uint32_t*>(&constant)); }},
    {"idt", [] noexcept { write_to(idt); }},
    {"tss", [] noexcept { write_to(tss); }},
    {"gdt", [] noexcept { write_to(gdt); }},
    {"page-tables", [] noexcept { write_to(final_pml4); }},
    {"boot-page-tables", [] noexcept { write_to(boot_pd); }},
    {"execute-data", [] noexcept { call(code_in_data); }},
    {"execute-stack",
     [] noexcept {
         unsigned char code[] = {0xc3};
         call(hidden(&code[0]));
     }},
    {"execute-heap", [] noexcept { call(new unsigned char{0xc3}); }},
    {"execute-constant", [] noexcept { call(const_cast<std::uint32_t*>(&constant)); }},
    {"past-memory", [] noexcept { *hidden<>(std::uintptr_t{1} << 32) = 1; }},
    {"non-canonical", [] noexcept { *hidden<>(std::uintptr_t{1} << 63) = 1; }},
    {"stack-overflow", [] noexcept { variable = recurse(0); }},
    {"stack-overflow-at-once", [] noexcept { variable = large_frame(); }},
    {"below-trap-stack", [] noexcept { write_to(hidden(&trap_stack[0]) - 8); }},
    {"smash", [] noexcept { smash(64); }},
    {"ud2", [] noexcept { asm volatile("ud2"); }},
    {"divide",
     [] noexcept {
         volatile unsigned zero = 0;
         asm volatile("divl %0" : : "m"(zero), "a"(1), "d"(0));
     }},
    {"breakpoint", [] noexcept { asm volatile("int3"); }},
    {"int", [] noexcept { asm volatile("int $0x80"); }},
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
    {"panic", [] noexcept { panic("for the test"); }},
    {"check", [] noexcept { check(variable == 8, "variable is eight"); }},
    {"out-of-memory", [] noexcept { (void)hidden(::operator new(std::size_t{1} << 40)); }},
    {"free-twice",
     [] noexcept {
         void* const p = ::operator new(8);
         void* const same = hidden(p);
         ::operator delete(p);
         ::operator delete(same);
     }},
    {"free-elsewhere", [] noexcept { ::operator delete(hidden(static_cast<void*>(&variable))); }},
    {"seal-again",
     [] noexcept {
         // What started the machine faults now: its privileged instructions are not this ring's.
         reinterpret_cast<void (*)()>(std::uintptr_t{IMAGE_BASE})();
     }},
};

} // namespace

int mirage_application(platform& here) noexcept {
    for (const fault& f : table)
        if (f.name == here.command_line()) {
            f.cause();
            hvt::put("nothing happened\n");
            return 1;
        }
    // Asked for nothing: say what there is.
    for (const fault& f : table) {
        hvt::put(f.name);
        hvt::put("\n");
    }
    return 0;
}
