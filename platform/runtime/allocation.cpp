// SPDX-License-Identifier: MIT
//
// operator new and delete over the bounded heap. The nothrow forms return nullptr when it is exhausted, the others
// end the unikernel and say so.
#include "mirage/core/check.hpp"
#include "mirage/runtime/heap.hpp"
#include <cstddef>
#include <new>

using mirage::runtime::memory;

namespace {
[[gnu::noinline]] void* or_panic(void* given) noexcept {
    if (given == nullptr) [[unlikely]]
        mirage_panic("operator new", 0, "out of memory: give the unikernel more of it (--mem)");
    return given;
}
constexpr std::size_t of(std::align_val_t a) noexcept { return static_cast<std::size_t>(a); }
} // namespace

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return memory.allocate(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return memory.allocate(n); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return memory.allocate(n, of(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return memory.allocate(n, of(a));
}
void* operator new(std::size_t n) { return or_panic(memory.allocate(n)); }
void* operator new[](std::size_t n) { return or_panic(memory.allocate(n)); }
void* operator new(std::size_t n, std::align_val_t a) { return or_panic(memory.allocate(n, of(a))); }
void* operator new[](std::size_t n, std::align_val_t a) { return or_panic(memory.allocate(n, of(a))); }

void operator delete(void* p) noexcept { memory.deallocate(p); }
void operator delete[](void* p) noexcept { memory.deallocate(p); }
void operator delete(void* p, std::size_t) noexcept { memory.deallocate(p); }
void operator delete[](void* p, std::size_t) noexcept { memory.deallocate(p); }
void operator delete(void* p, std::align_val_t) noexcept { memory.deallocate(p); }
void operator delete[](void* p, std::align_val_t) noexcept { memory.deallocate(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { memory.deallocate(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { memory.deallocate(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { memory.deallocate(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { memory.deallocate(p); }
