// SPDX-License-Identifier: MIT
//
// Does the one wrong thing that its argument names. Every one of them has to end in a report that says what it was
// (faults.expected), and in a crash as the toolstack sees it.
#include "mirage/core/check.hpp"
#include "mirage/platform.hpp"
#include <cstdint>
#include <cstring>
#include <new>

using namespace mirage;
using namespace mirage::xen;

template <class...>
class faults {};

MIRAGE_PLATFORM_NOTES(faults<platform::console>)

extern "C" {
extern std::byte idt[], tss[], trap_stack[], trap_stack_end[], _end[];
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

/// The first page table: behind the start information, which is behind the image.
std::uintptr_t tables() noexcept {
    std::uintptr_t cr3;
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    return cr3;
}

struct fault {
    std::string_view name;
    void (*cause)() noexcept;
};

constexpr fault table[] = {
    {"null-read", [] noexcept { (void)*hidden<>(8); }},
    {"null-write", [] noexcept { *hidden<>(8) = 1; }},
    {"null-call", [] noexcept { call(nullptr); }},
    {"low-memory", [] noexcept { (void)*hidden<>(0x2000); }},
    {"below-image", [] noexcept { (void)*hidden<>(IMAGE_BASE - 8); }},
    {"boot-information",
     [] noexcept { write_to(const_cast<hvm_start_info*>(&this_machine.start())); }},
    {"text", [] noexcept { write_to(reinterpret_cast<void*>(&write_to)); }},
    {"hypercall", [] noexcept { write_to(reinterpret_cast<void*>(&mirage_xen_hypercall)); }},
    {"constant", [] noexcept { write_to(const_cast<std::uint32_t*>(&constant)); }},
    {"idt", [] noexcept { write_to(idt); }},
    {"tss", [] noexcept { write_to(tss); }},
    {"page-tables", [] noexcept { *hidden<>(tables()) = 1; }},
    {"execute-data", [] noexcept { call(code_in_data); }},
    {"execute-stack",
     [] noexcept {
         unsigned char code[] = {0xc3};
         call(hidden(&code[0]));
     }},
    {"execute-heap", [] noexcept { call(new unsigned char{0xc3}); }},
    {"execute-constant", [] noexcept { call(const_cast<std::uint32_t*>(&constant)); }},
    {"execute-shared", [] noexcept { call(hidden<void>(SHARED_INFO_ADDRESS)); }},
    {"past-memory", [] noexcept { *hidden<>(std::uintptr_t{1} << 38) = 1; }},
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
    {"wrmsr", [] noexcept { asm volatile("wrmsr" : : "a"(~0u), "d"(~0u), "c"(0xc0000080)); }},
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
    for (const fault& f : table)
        if (f.name == here.command_line()) {
            f.cause();
            this_machine.console().write("nothing happened\n");
            return 0;
        }
    // Asked for nothing: say what there is.
    for (const fault& f : table) {
        this_machine.console().write(f.name);
        this_machine.console().write("\n");
    }
    return 0;
}
