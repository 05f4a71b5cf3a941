// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/segment.hpp"
#include <algorithm>
#include <array>

namespace mirage::tcp {

/// What the peer has selectively acknowledged: blocks in order, apart from each other, in bounded memory. A block that finds no
/// place is forgotten, which costs a retransmission and nothing else. RFC 2018 section 5, RFC 6675 section 3
class scoreboard {
    static constexpr std::size_t most = 16;
    std::array<sack_block, most> blocks_{};
    std::uint8_t count_ = 0;

public:
    constexpr bool empty() const noexcept { return count_ == 0; }
    constexpr std::size_t size() const noexcept { return count_; }
    constexpr const sack_block& operator[](std::size_t i) const noexcept { return blocks_[i]; }
    constexpr const sack_block* begin() const noexcept { return blocks_.data(); }
    constexpr const sack_block* end() const noexcept { return blocks_.data() + count_; }
    constexpr void clear() noexcept { count_ = 0; }

    /// Adds a block, which is not empty. Returns how many octets of it are news.
    constexpr std::uint32_t add(sack_block added) noexcept {
        std::size_t first = 0; // of those that touch it
        while (first < count_ && before(blocks_[first].right, added.left))
            ++first;
        std::size_t last = first;
        std::uint32_t known = 0;
        for (; last < count_ && at_or_before(blocks_[last].left, added.right); ++last) {
            known += octets_between(blocks_[last].left, blocks_[last].right);
            added.right = later(added.right, blocks_[last].right);
            if (before(blocks_[last].left, added.left))
                added.left = blocks_[last].left;
        }
        if (first == last) {
            if (count_ == most)
                return 0;
            std::copy_backward(blocks_.begin() + first, blocks_.begin() + count_, blocks_.begin() + count_ + 1);
            ++count_;
        } else {
            std::copy(blocks_.begin() + last, blocks_.begin() + count_, blocks_.begin() + first + 1);
            count_ = static_cast<std::uint8_t>(count_ - (last - first - 1));
        }
        blocks_[first] = added;
        return octets_between(added.left, added.right) - known;
    }

    /// Everything before `una` is acknowledged. Returns how many octets of that had been known here. A block that would begin
    /// there shows that the peer has thrown away what it had (RFC 2018 section 8): nothing here can be trusted then.
    constexpr std::uint32_t acknowledged(sequence una) noexcept {
        std::uint32_t known = 0;
        std::size_t gone = 0;
        while (gone < count_ && at_or_before(blocks_[gone].right, una)) {
            known += octets_between(blocks_[gone].left, blocks_[gone].right);
            ++gone;
        }
        std::copy(blocks_.begin() + gone, blocks_.begin() + count_, blocks_.begin());
        count_ = static_cast<std::uint8_t>(count_ - gone);
        if (count_ != 0 && at_or_before(blocks_[0].left, una))
            count_ = 0;
        return known;
    }

    /// Calls f(left, right) for each piece of [left, right) that is not known to have arrived, in order.
    constexpr void each_gap(sequence left, sequence right, auto f) const noexcept {
        for (const sack_block& b : *this) {
            if (at_or_before(right, b.left))
                break;
            if (before(left, b.left))
                f(left, b.left);
            left = later(left, b.right);
        }
        if (before(left, right))
            f(left, right);
    }

    /// Octets below `end` that are known to have arrived.
    constexpr std::uint32_t octets_before(sequence end) const noexcept {
        std::uint32_t sum = 0;
        for (const sack_block& b : *this)
            if (before(b.left, end))
                sum += octets_between(b.left, before(end, b.right) ? end : b.right);
        return sum;
    }
};

} // namespace mirage::tcp
