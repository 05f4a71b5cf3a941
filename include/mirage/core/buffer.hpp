// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/core/statistics.hpp"
#include <algorithm>
#include <new>
#include <utility>

namespace mirage {

class buffer_pool;

/// What a pool of buffers has. pool_statistics gives it names.
struct pool_counts {
    gauge free{}, size{};
    counter exhausted{}; ///< times there was no buffer
};

/// The control block of one fixed-size piece of memory of a pool. Single-threaded reference count.
struct buffer {
    std::byte* data = nullptr;
    std::uint32_t capacity = 0;   ///< octets
    std::uint32_t references = 0; ///< 0: on the pool's free list
    buffer_pool* pool = nullptr;
    buffer* next_free = nullptr;
};

class page;

/// A bounded set of equal buffers, reserved at boot. Handing out and taking back are O(1) and LIFO, so that the
/// memory handed out next is the memory most likely still in the cache.
class buffer_pool {
    buffer* free_ = nullptr;
    std::size_t buffer_size_ = 0;
    pool_counts counts_{};
    void* memory_ = nullptr;

    friend class slice;
    friend class page;

    void recycle(buffer& b) noexcept {
        b.next_free = free_;
        free_ = &b;
        counts_.free.add(1);
    }

public:
    static constexpr std::align_val_t alignment{4096};

    buffer_pool() noexcept = default;

    /// Reserves `count` buffers of `buffer_size` octets (rounded up to a multiple of 64) in one block of memory.
    /// When memory is short the pool has no buffer: see size().
    buffer_pool(std::size_t count, std::size_t buffer_size) noexcept {
        buffer_size_ = (buffer_size + 63) / 64 * 64;
        const std::size_t data = count * buffer_size_;
        memory_ = ::operator new(data + count * sizeof(buffer), alignment, std::nothrow);
        if (memory_ == nullptr)
            return;
        auto* const octet = static_cast<std::byte*>(memory_);
        counts_.size.set(static_cast<std::int64_t>(count));
        for (std::size_t i = count; i-- > 0;) {
            auto* const b = new (octet + data + i * sizeof(buffer)) buffer{};
            b->data = octet + i * buffer_size_;
            b->capacity = static_cast<std::uint32_t>(buffer_size_);
            b->pool = this;
            recycle(*b);
        }
    }
    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;
    ~buffer_pool() {
        check(available() == size(), "buffer_pool: destroyed while a slice of it lives");
        ::operator delete(memory_, alignment); // NOLINT(clang-analyzer-cplusplus.NewDelete): std::optional's union does not end it twice
    }

    /// An exclusively owned buffer, or an empty page (counted in exhausted()) when none is left.
    inline page take() noexcept;

    std::size_t available() const noexcept { return static_cast<std::size_t>(counts_.free.value()); } ///< buffers on the free list
    std::size_t size() const noexcept { return static_cast<std::size_t>(counts_.size.value()); }      ///< buffers in all
    std::size_t buffer_size() const noexcept { return buffer_size_; }  ///< octets per buffer
    std::uint64_t exhausted() const noexcept { return counts_.exhausted.value(); } ///< times take() had nothing to give
    const pool_counts& counts() const noexcept { return counts_; }
};

/// Read-only octets with a share in the memory that holds them: part of a pool's buffer, or static data, which
/// needs no owner. Move-only; share() makes the second owner visible in the code.
class slice {
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    buffer* owner_ = nullptr;

    friend class page;

    slice(const std::byte* data, std::size_t size, buffer* owner) noexcept
        : data_{data}, size_{size}, owner_{owner} {}

    void release() noexcept {
        if (owner_ != nullptr && --owner_->references == 0)
            owner_->pool->recycle(*owner_);
    }

public:
    slice() noexcept = default;
    slice(slice&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)},
          owner_{std::exchange(other.owner_, nullptr)} {}
    slice& operator=(slice&& other) noexcept {
        if (this != &other) {
            release();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
            owner_ = std::exchange(other.owner_, nullptr);
        }
        return *this;
    }
    slice(const slice&) = delete;
    slice& operator=(const slice&) = delete;
    ~slice() { release(); }

    /// A slice of octets that live as long as the program: `.rodata`, constants.
    static slice of_static(octets o) noexcept { return {o.data(), o.size(), nullptr}; }
    static slice of_static(std::string_view text) noexcept { return of_static(as_octets(text)); }

    octets view() const noexcept { return {data_, size_}; }
    const std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    /// The buffer that this keeps alive; nullptr for static data.
    const buffer* owner() const noexcept { return owner_; }
    /// Octets of memory that this slice pins, shared or not; 0 for static data.
    std::size_t pinned() const noexcept { return owner_ == nullptr ? 0 : owner_->capacity; }

    /// Another owner of the same octets.
    slice share() const noexcept { return share(0, size_); }
    /// Another owner of `count` octets from `offset`; both are cut to what is there.
    slice share(std::size_t offset, std::size_t count) const noexcept {
        offset = std::min(offset, size_);
        if (owner_ != nullptr)
            ++owner_->references;
        return {data_ + offset, std::min(count, size_ - offset), owner_};
    }

    /// Drops up to `n` octets at the front (back). The memory stays owned as long as the slice lives.
    void remove_prefix(std::size_t n) noexcept {
        n = std::min(n, size_);
        data_ += n;
        size_ -= n;
    }
    void remove_suffix(std::size_t n) noexcept { size_ -= std::min(n, size_); }

    void reset() noexcept { *this = slice{}; }
};

/// The only owner of a buffer: may write to it. Becomes slices when it is full.
class page {
    buffer* owner_ = nullptr;
    friend class buffer_pool;
    friend class page_run;
    explicit page(buffer* owner) noexcept : owner_{owner} {}

public:
    page() noexcept = default;
    page(page&& other) noexcept : owner_{std::exchange(other.owner_, nullptr)} {}
    page& operator=(page&& other) noexcept {
        std::swap(owner_, other.owner_);
        return *this;
    }
    ~page() {
        if (owner_ != nullptr)
            (void)slice{owner_->data, 0, owner_};
    }

    explicit operator bool() const noexcept { return owner_ != nullptr; }
    [[gnu::always_inline]] mutable_octets room() const noexcept { return {owner_->data, owner_->capacity}; }

    /// Gives the writable owner up for `count` read-only octets from `offset`, both within room().
    slice freeze(std::size_t offset, std::size_t count) && noexcept {
        check(offset + count <= owner_->capacity, "page::freeze: range outside the buffer");
        return {owner_->data + offset, count, std::exchange(owner_, nullptr)};
    }

    /// A slice of a part that will not be written again, while the rest of the page is still being filled.
    slice freeze_part(std::size_t offset, std::size_t count) const noexcept {
        check(offset + count <= owner_->capacity, "page::freeze_part: range outside the buffer");
        ++owner_->references;
        return {owner_->data + offset, count, owner_};
    }
};

page buffer_pool::take() noexcept {
    buffer* const b = free_;
    if (b == nullptr) [[unlikely]] {
        counts_.exhausted.add();
        return page{};
    }
    free_ = b->next_free;
    counts_.free.add(-1);
    b->references = 1;
    return page{b};
}

} // namespace mirage
