// SPDX-License-Identifier: MIT
// The heap of the test program, which a test can switch off: every form, so that sanitizers see matching pairs.
#include "support.hpp"
#include <cstdlib>
#include <new>

using mirage::test::memory_is_short;

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return memory_is_short::active ? nullptr : std::malloc(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return memory_is_short::active ? nullptr : std::malloc(size);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    const auto a = static_cast<std::size_t>(alignment);
    return memory_is_short::active ? nullptr : std::aligned_alloc(a, (size + a - 1) / a * a);
}
void* operator new(std::size_t size) {
    if (void* const memory = std::malloc(size))
        return memory;
    std::abort();
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
