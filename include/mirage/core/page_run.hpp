// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include <span>

namespace mirage {

/// Neighbouring buffers of one pool, given out as a single slice. Its owner asks reclaim() before it takes from the pool
/// again: until then the pool does not count the buffers as available that the slice has let go.
class page_run {
    buffer* head_ = nullptr; ///< the others' control blocks follow its own, as their memory does
    std::uint32_t count_ = 0;

public:
    page_run() noexcept = default;
    page_run(page_run&& other) noexcept : head_{std::exchange(other.head_, nullptr)}, count_{other.count_} {}
    page_run& operator=(page_run&& other) noexcept {
        std::swap(head_, other.head_);
        std::swap(count_, other.count_);
        return *this;
    }
    ~page_run() { check(head_ == nullptr, "page_run: dropped while its slice lives"); }

    /// Whether the memory of `second` begins where that of `first` ends.
    static bool neighbours(const page& first, const page& second) noexcept {
        return second.owner_ == first.owner_ + 1 && second.owner_->pool == first.owner_->pool;
    }

    /// `count` octets from `offset` of the memory of `pages`, each the next one's neighbour, as one slice. Takes them.
    template <class Pages>
    slice join(Pages&& pages, std::size_t offset, std::size_t count) noexcept {
        check(head_ == nullptr, "page_run: in use");
        head_ = pages[0].owner_;
        count_ = static_cast<std::uint32_t>(pages.size());
        for (std::size_t i = 1; i < pages.size(); ++i)
            pages[i].owner_ = nullptr;
        head_->capacity *= count_;
        return std::move(pages[0]).freeze(offset, count);
    }

    /// Gives the buffers back to the pool when the slice and all its shares are gone. Whether they are.
    bool reclaim() noexcept {
        if (head_ == nullptr)
            return true;
        if (head_->references != 0)
            return false;
        head_->capacity /= count_;
        for (std::uint32_t i = count_; i-- > 1;)
            (void)page{head_ + i};
        head_ = nullptr;
        return true;
    }
};

} // namespace mirage
