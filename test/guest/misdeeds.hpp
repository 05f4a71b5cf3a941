// SPDX-License-Identifier: MIT
#pragma once
// What a guest can do wrong on any platform, each thing under a name.
#include "mirage/core/check.hpp"
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

namespace misdeeds {

using namespace mirage;

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
inline void write_to(void* p) noexcept { *hidden(static_cast<volatile std::uint32_t*>(p)) = 1; }
inline void call(void* p) noexcept { hidden(reinterpret_cast<void (*)()>(p))(); }

[[gnu::noinline]] inline unsigned recurse(unsigned n) noexcept {
    volatile unsigned room[64];
    room[n % 64] = n;
    if (room[n % 64] == ~0u) // never
        return 0;
    return recurse(n + 1) + room[(n + 1) % 64];
}
[[gnu::noinline]] inline unsigned large_frame() noexcept {
    volatile unsigned room[1 << 18];
    asm volatile("" : : "r"(room) : "memory");
    return room[0];
}
[[gnu::noinline]] inline void smash(std::size_t n) noexcept {
    char text[16];
    std::memset(hidden(&text[0]), 'x', n);
    asm volatile("" : : "r"(&text) : "memory");
}

inline constexpr std::uint32_t constant = 7;
inline std::uint32_t variable = 7;
inline unsigned char code_in_data[] = {0xc3};

extern "C" {
extern std::byte idt[], tss[], trap_stack[];
}

struct misdeed {
    std::string_view name;
    void (*commit)() noexcept;
};

inline constexpr misdeed everywhere[] = {
    {"null-read", [] noexcept { (void)*hidden<>(8); }},
    {"null-write", [] noexcept { *hidden<>(8) = 1; }},
    {"null-call", [] noexcept { call(nullptr); }},
    {"low-memory", [] noexcept { (void)*hidden<>(0x2000); }},
    {"text", [] noexcept { write_to(reinterpret_cast<void*>(&write_to)); }},
    {"constant", [] noexcept { write_to(const_cast<std::uint32_t*>(&constant)); }},
    {"idt", [] noexcept { write_to(idt); }},
    {"tss", [] noexcept { write_to(tss); }},
    {"execute-data", [] noexcept { call(code_in_data); }},
    {"execute-stack",
     [] noexcept {
         unsigned char code[] = {0xc3};
         call(hidden(&code[0]));
     }},
    {"execute-heap", [] noexcept { call(new unsigned char{0xc3}); }},
    {"execute-constant", [] noexcept { call(const_cast<std::uint32_t*>(&constant)); }},
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
};

/// Does what is asked for, of these and of the platform's own; lists them all when nothing is. False: it was survived.
template <std::size_t N>
bool commit(std::string_view asked, const misdeed (&own)[N], void (*say)(std::string_view) noexcept) noexcept {
    const auto each = [&](const auto& f) {
        for (const misdeed& m : everywhere)
            f(m);
        for (const misdeed& m : own)
            f(m);
    };
    bool survived = false;
    each([&](const misdeed& m) {
        if (asked.empty()) {
            say(m.name);
            say("\n");
        } else if (m.name == asked) {
            m.commit();
            survived = true;
        }
    });
    if (survived)
        say("nothing happened\n");
    return !survived;
}

} // namespace misdeeds
