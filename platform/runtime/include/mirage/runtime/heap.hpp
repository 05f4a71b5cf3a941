// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace mirage::runtime {

/// One bounded range of memory behind `operator new`. Allocating and freeing take constant time: free blocks hang
/// on lists by size (powers of two, cut in eight), two bitmaps find the first list that surely fits, and a freed
/// block joins its free neighbours at once. (Masmano et al., "TLSF: a New Dynamic Memory Allocator for Real-Time
/// Systems", ECRTS 2004.) Memory that was never handed out is never touched. Not for several threads.
class heap {
    /// In front of every block, used or free. Blocks lie without gaps from begin_ to end_.
    struct block {
        block* below = nullptr;      ///< the physical neighbour before; nullptr for the first
        std::size_t size_and_use = 0; ///< octets behind this header, a multiple of 16; bit 0: in use

        std::size_t size() const noexcept { return size_and_use & ~std::size_t{1}; }
        bool used() const noexcept { return (size_and_use & 1) != 0; }
        std::byte* memory() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
        block* above() noexcept { return reinterpret_cast<block*>(memory() + size()); }
    };
    /// A free block keeps its place on its list in its own memory.
    struct free_block : block {
        free_block* next = nullptr;
        free_block* previous = nullptr;
    };
    static constexpr std::size_t granule = 16, least = sizeof(free_block) - sizeof(block);
    static constexpr unsigned cut_bits = 3, cuts = 1u << cut_bits, rows = 32;
    static_assert(sizeof(block) == granule && least == granule);

    struct place {
        unsigned row, cut;
    };

    std::array<std::array<free_block*, cuts>, rows> free_{};
    std::array<std::uint8_t, rows> cuts_in_use_{};
    std::uint32_t rows_in_use_ = 0;
    std::byte *begin_ = nullptr, *end_ = nullptr;
    std::size_t used_ = 0, peak_ = 0;
    std::size_t between_ = 0; ///< octets between begin_ and end_ that are not the heap's
    bool in_use_ = false;     ///< whether the first block has been written

    /// The list on which a free block of `size` octets (>= 16) hangs. Row r holds 2^(r+4) and more.
    static place place_of(std::size_t size) noexcept {
        const auto width = static_cast<unsigned>(std::bit_width(size)) - 1;
        const unsigned cut = static_cast<unsigned>(size >> (width - cut_bits)) & (cuts - 1);
        return {width - 4, cut};
    }

    void hang(block* b) noexcept {
        const auto [row, cut] = place_of(b->size());
        auto* const f = static_cast<free_block*>(b);
        f->previous = nullptr;
        f->next = free_[row][cut];
        if (f->next != nullptr)
            f->next->previous = f;
        free_[row][cut] = f;
        cuts_in_use_[row] = static_cast<std::uint8_t>(cuts_in_use_[row] | 1u << cut);
        rows_in_use_ |= 1u << row;
    }

    void unhang(block* b) noexcept {
        const auto [row, cut] = place_of(b->size());
        auto* const f = static_cast<free_block*>(b);
        if (f->next != nullptr)
            f->next->previous = f->previous;
        if (f->previous != nullptr) {
            f->previous->next = f->next;
            return;
        }
        free_[row][cut] = f->next;
        if (f->next != nullptr)
            return;
        cuts_in_use_[row] = static_cast<std::uint8_t>(cuts_in_use_[row] & ~(1u << cut));
        if (cuts_in_use_[row] == 0)
            rows_in_use_ &= ~(1u << row);
    }

    /// A free block of at least `size` octets, still on its list; nullptr when there is none.
    block* find(std::size_t size) noexcept {
        // Rounded up to where the next list begins, any block of that list and the ones above fits.
        const std::size_t step = (std::bit_floor(size) >> cut_bits) - 1;
        const auto [row, cut] = place_of(size + step);
        if (row < rows) {
            if (const unsigned here = cuts_in_use_[row] & (~0u << cut); here != 0)
                return free_[row][static_cast<unsigned>(std::countr_zero(here))];
            const std::uint32_t above = row + 1 < rows ? rows_in_use_ & (~std::uint32_t{0} << (row + 1)) : 0;
            if (above != 0) {
                const auto r = static_cast<unsigned>(std::countr_zero(above));
                return free_[r][static_cast<unsigned>(std::countr_zero(cuts_in_use_[r]))];
            }
        }
        // Short of memory: the list that the size itself belongs to may hold one that is just large enough.
        const auto [own_row, own_cut] = place_of(size);
        if (own_row < rows)
            for (free_block* f = free_[own_row][own_cut]; f != nullptr; f = f->next)
                if (f->size() >= size)
                    return f;
        return nullptr;
    }

    /// Makes all of the memory one free block; false when that has been done before.
    [[gnu::cold]] bool begin_use() noexcept {
        if (in_use_)
            return false;
        in_use_ = true;
        auto* const all = new (begin_) free_block;
        all->size_and_use = capacity() - sizeof(block);
        hang(all);
        return true;
    }

    block* above(block* b) const noexcept {
        block* const next = b->above();
        return reinterpret_cast<std::byte*>(next) < end_ ? next : nullptr;
    }

    /// Cuts `b` behind `size` octets and gives what is left, if it can be a block, back to the lists.
    void cut_behind(block* b, std::size_t size) noexcept {
        if (b->size() < size + sizeof(block) + least)
            return;
        auto* const rest = new (b->memory() + size) free_block;
        rest->below = b;
        rest->size_and_use = b->size() - size - sizeof(block);
        b->size_and_use = size | (b->size_and_use & 1);
        if (block* const next = above(rest); next != nullptr)
            next->below = rest;
        hang(rest);
    }

public:
    constexpr heap() noexcept = default;
    heap(const heap&) = delete;
    heap& operator=(const heap&) = delete;

    /// Takes [begin, end), aligned to 16 octets, once. Nothing of it is touched before something is allocated: an
    /// image that allocates nothing pays for no page.
    void open(std::byte* begin, std::byte* end) noexcept {
        begin_ = begin;
        end_ = end;
    }

    /// Takes [begin, end) as well, above all it has, aligned to 16 octets; before anything has been allocated. What is
    /// between becomes a block that is never freed.
    void add(std::byte* begin, std::byte* end) noexcept {
        (void)begin_use();
        auto* last = reinterpret_cast<block*>(begin_);
        while (block* const next = above(last))
            last = next;
        unhang(last);
        last->size_and_use -= sizeof(block);
        hang(last);
        auto* const bridge = new (last->memory() + last->size()) block;
        bridge->below = last;
        bridge->size_and_use = static_cast<std::size_t>(begin - bridge->memory()) | 1;
        between_ += bridge->size();
        end_ = end;
        auto* const rest = new (begin) free_block;
        rest->below = bridge;
        rest->size_and_use = static_cast<std::size_t>(end - begin) - sizeof(block);
        hang(rest);
    }

    /// The most that one range may have: what a block's size can be.
    static constexpr std::size_t largest_range = std::size_t{1} << (rows + 3);

    /// At least `size` octets, aligned to `alignment` (a power of two) or 16; nullptr when there are none.
    void* allocate(std::size_t size, std::size_t alignment = granule) noexcept {
        if (size > capacity() || alignment > capacity())
            return nullptr;
        size = std::max(least, (size + granule - 1) & ~(granule - 1));
        const bool wide = alignment > granule;
        const std::size_t needed = wide ? size + alignment + sizeof(block) + least : size;
        block* b = find(needed);
        if (b == nullptr && begin_use())
            b = find(needed);
        if (b == nullptr)
            return nullptr;
        unhang(b);
        if (wide) {
            // The octets in front become a block of their own; there is room for one or there are none.
            const auto at = reinterpret_cast<std::uintptr_t>(b->memory());
            std::uintptr_t aligned = (at + alignment - 1) & ~(alignment - 1);
            if (aligned != at && aligned - at < sizeof(block) + least)
                aligned += alignment;
            if (aligned != at) {
                auto* const moved = new (b->memory() + (aligned - at) - sizeof(block)) free_block;
                moved->below = b;
                moved->size_and_use = b->size() - (aligned - at);
                b->size_and_use = aligned - at - sizeof(block);
                if (block* const next = above(moved); next != nullptr)
                    next->below = moved;
                hang(b);
                b = moved;
            }
        }
        b->size_and_use |= 1;
        cut_behind(b, size);
        used_ += b->size() + sizeof(block);
        peak_ = std::max(peak_, used_);
        return b->memory();
    }

    /// Takes back what allocate() gave; nullptr is ignored. Panics on anything else that it can tell.
    void deallocate(void* memory) noexcept {
        if (memory == nullptr)
            return;
        auto* const octet = static_cast<std::byte*>(memory);
        check(octet > begin_ && octet < end_, "heap: freed an address that is not of the heap");
        block* b = reinterpret_cast<block*>(octet) - 1;
        check(b->used(), "heap: freed twice, or overwritten");
        used_ -= b->size() + sizeof(block);
        b->size_and_use = b->size();
        if (block* const next = above(b); next != nullptr && !next->used()) {
            unhang(next);
            b->size_and_use += next->size() + sizeof(block);
        }
        if (block* const before = b->below; before != nullptr && !before->used()) {
            unhang(before);
            before->size_and_use += b->size() + sizeof(block);
            b = before;
        }
        if (block* const next = above(b); next != nullptr)
            next->below = b;
        hang(b);
    }

    /// Octets in all.
    std::size_t capacity() const noexcept { return static_cast<std::size_t>(end_ - begin_) - between_; }
    std::size_t used() const noexcept { return used_; } ///< octets handed out, headers included
    std::size_t peak() const noexcept { return peak_; } ///< the most that used() has been
};

/// The heap of this image: what `operator new` gives from. The platform opens it before anything else runs.
inline constinit heap memory;

} // namespace mirage::runtime
