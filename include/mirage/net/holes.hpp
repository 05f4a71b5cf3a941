// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mirage::net {

/// What is missing of a datagram: the hole descriptor list of RFC 815, in octets.
///
/// A fragment must lie in one hole or in none at all; everything else is an overlap. That is narrower than
/// RFC 815 section 3, which lets fragments overlap, and is all that honest senders need. Bounded: a datagram
/// with more holes than `max_holes` at a time is not worth its memory.
class holes {
public:
    static constexpr std::size_t max_holes = 24; ///< every other one of 45 fragments: 64 KiB over Ethernet

    enum class outcome : std::uint8_t {
        filled,        ///< new: copy it into its place
        present,       ///< all of it was there already: a duplicate if the octets are the same
        contradiction, ///< overlaps in part, goes past the end, moves the end, or leaves too many holes
    };

    /// The octets [begin, end) have come, begin < end; `last`: the datagram ends there.
    constexpr outcome fill(std::uint32_t begin, std::uint32_t end, bool last) noexcept {
        if (total_ != unknown && (last ? end != total_ : end >= total_))
            return outcome::contradiction;
        if (last && total_ == unknown && (count_ == 0 || begin < holes_[count_ - 1].begin))
            return outcome::contradiction; // octets behind the end were there before it
        for (std::size_t i = 0; i < count_; ++i) {
            const hole h = holes_[i];
            if (end <= h.begin || begin >= h.end)
                continue;
            if (begin < h.begin || end > h.end)
                return outcome::contradiction;
            return take(i, begin, end, last) ? outcome::filled : outcome::contradiction;
        }
        return outcome::present;
    }

    constexpr bool none() const noexcept { return count_ == 0; }
    /// Octets in all; known once none() holds.
    constexpr std::uint32_t total() const noexcept { return total_; }

private:
    static constexpr std::uint32_t unknown = 0xffffffffu;

    struct hole {
        std::uint32_t begin = 0, end = 0;
    };
    std::array<hole, max_holes> holes_{hole{0, unknown}}; // in order of begin
    std::size_t count_ = 1;
    std::uint32_t total_ = unknown;

    /// Cuts [begin, end) out of hole `i`, which contains it. RFC 815 section 3 steps 4 to 6
    constexpr bool take(std::size_t i, std::uint32_t begin, std::uint32_t end, bool last) noexcept {
        const hole h = holes_[i];
        const bool before = begin > h.begin, behind = !last && end < h.end;
        if (before && behind && count_ == max_holes)
            return false;
        const auto at = holes_.begin() + static_cast<std::ptrdiff_t>(i);
        const auto stop = holes_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (before && behind) {
            std::move_backward(at, stop, stop + 1);
            ++count_;
        } else if (!before && !behind) {
            std::move(at + 1, stop, at);
            --count_;
        }
        if (before)
            holes_[i] = {h.begin, begin};
        if (behind)
            holes_[before ? i + 1 : i] = {end, h.end};
        if (last)
            total_ = end;
        return true;
    }
};

} // namespace mirage::net
