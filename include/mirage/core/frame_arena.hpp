// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <new>

namespace mirage {

/// Where coroutine frames live: free lists of size classes, 64 octets apart, refilled in chunks from the heap.
/// A frame that was freed is the next one handed out, so a server in its steady state never asks the heap.
/// Not for several threads.
class frame_arena {
    struct node {
        node* next;
    };
    static constexpr std::size_t step = 64, classes = 32, chunk = 8;
    std::array<node*, classes> free_{};

    static constexpr std::size_t class_of(std::size_t size) noexcept { return (size + step - 1) / step - 1; }

public:
    /// At least `size` octets aligned for anything, or nullptr when memory is short.
    void* allocate(std::size_t size) noexcept {
        const std::size_t c = class_of(size);
        if (c >= classes)
            return ::operator new(size, std::nothrow);
        if (free_[c] == nullptr && !refill(c))
            return nullptr;
        node* const n = free_[c];
        free_[c] = n->next;
        return n;
    }

    /// Takes back what allocate(size) gave.
    void deallocate(void* memory, std::size_t size) noexcept {
        const std::size_t c = class_of(size);
        if (c >= classes)
            return ::operator delete(memory);
        free_[c] = new (memory) node{free_[c]};
    }

private:
    [[gnu::noinline]] bool refill(std::size_t c) noexcept {
        const std::size_t size = (c + 1) * step;
        for (std::size_t count = chunk; count > 0; count /= 2) {
            auto* const memory = static_cast<std::byte*>(::operator new(size * count, std::nothrow));
            if (memory == nullptr)
                continue;
            for (std::size_t i = count; i-- > 0;)
                deallocate(memory + i * size, size);
            return true;
        }
        return false;
    }
};

/// The arena of all coroutine frames of this image.
inline frame_arena coroutine_frames;

} // namespace mirage
