// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace mirage::net {

/// Room for `Size` elements in all, shared by any number of first-in first-out queues. No allocation.
template <std::move_constructible T, std::size_t Size>
    requires(Size > 0 && Size < 0xffff)
class queue_pool {
    using index = std::uint16_t;
    static constexpr index none = 0xffff;

    struct slot {
        std::optional<T> element{};
        index next = none;
    };
    std::array<slot, Size> slots_{};
    index free_ = 0;
    std::size_t used_ = 0;

public:
    /// One queue. Plain data: whoever drops one empties it with pop() before.
    struct queue {
        index first = none, last = none;
        std::uint16_t length = 0;
        constexpr bool empty() const noexcept { return length == 0; }
    };

    queue_pool() noexcept {
        for (std::size_t i = 0; i + 1 < Size; ++i)
            slots_[i].next = static_cast<index>(i + 1);
    }

    bool full() const noexcept { return used_ == Size; }
    std::size_t used() const noexcept { return used_; } ///< elements in all queues

    /// Appends; the pool must not be full().
    void push(queue& q, T element) noexcept {
        check(!full(), "queue_pool: full");
        const index at = free_;
        free_ = std::exchange(slots_[at].next, none);
        slots_[at].element.emplace(std::move(element));
        (q.empty() ? q.first : slots_[q.last].next) = at;
        q.last = at;
        ++q.length;
        ++used_;
    }

    /// Takes the oldest element of `q`, which must not be empty.
    T pop(queue& q) noexcept {
        check(!q.empty(), "queue_pool: pop from an empty queue");
        const index at = q.first;
        T element = std::move(*slots_[at].element);
        slots_[at].element.reset();
        q.first = std::exchange(slots_[at].next, free_);
        free_ = at;
        --q.length;
        --used_;
        return element;
    }
};

} // namespace mirage::net
