// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/wire/options.hpp"
#include <algorithm>

namespace mirage::wire {

/// TSval and TSecr. RFC 7323 section 3.2
struct tcp_timestamps {
    std::uint32_t value = 0;
    std::uint32_t echo = 0; ///< meaningful in a segment with ACK
    friend constexpr bool operator==(const tcp_timestamps&, const tcp_timestamps&) noexcept = default;
};

/// Octets received above a hole: [left, right). RFC 2018 section 3
struct sack_block {
    std::uint32_t left = 0;
    std::uint32_t right = 0; ///< the sequence number behind the last octet
    friend constexpr bool operator==(const sack_block&, const sack_block&) noexcept = default;
};

/// The options of a TCP header, as values. What is legal in a SYN only is for the reader to know.
struct tcp_options {
    std::optional<std::uint16_t> maximum_segment_size{}; ///< octets; in a SYN. RFC 9293 section 3.7.1
    std::optional<std::uint8_t> window_scale{};          ///< shift, 0-14; in a SYN. RFC 7323 section 2
    bool sack_permitted = false;                         ///< in a SYN. RFC 2018 section 2
    bool malformed =
        false; ///< from parse(): the list ended at an illegal length, or a known option had a wrong one
    std::uint8_t sack_count = 0; ///< how many of `sack` hold something, 0-4
    std::optional<tcp_timestamps> timestamps{};
    std::array<sack_block, 4> sack{};

    static constexpr std::size_t max_size = 40;          ///< octets
    static constexpr std::uint8_t max_window_scale = 14; ///< RFC 7323 section 2.3

    /// Reads the option part of a header. Never fails: unknown kinds are skipped (MUST-6), known kinds with a
    /// wrong length too, and an illegal length ends the list (MUST-7 of RFC 9293 section 3.1). A window scale
    /// above 14 is read as 14 (RFC 7323 section 2.3).
    static constexpr tcp_options parse(octets list) noexcept {
        // What nearly every segment of a connection carries: RFC 7323 appendix A.
        if (list.size() == 12 && load<std::uint32_t>(list.data()) == nop_nop_timestamps) [[likely]]
            return {.timestamps = tcp_timestamps{load<std::uint32_t>(list.data() + 4),
                                                 load<std::uint32_t>(list.data() + 8)}};
        if (list.empty())
            return {};
        return parse_any(list);
    }

    /// Octets that emit() writes, a multiple of 4. At most max_size: SACK blocks that find no room are left
    /// out.
    constexpr std::size_t size() const noexcept {
        const auto blocks = fitting_blocks();
        return fixed_size() + (blocks == 0 ? 0 : 4 + 8 * blocks);
    }

    /// Writes the options, aligned with NOPs, to the first size() octets of `room`, and returns their sum.
    constexpr partial_sum emit(mutable_octets room) const noexcept {
        const std::size_t length = size();
        if (length == 0)
            return {};
        check(room.size() >= length, "tcp_options: no room");
        auto* p = room.data();
        std::uint64_t words = 0; // summed here: reading them back at once would wait for the stores
        const auto word = [&](std::uint32_t value) {
            store<std::uint32_t>(p, value);
            p += 4;
            words += value;
        };
        if (maximum_segment_size)
            word(0x02040000u | *maximum_segment_size);
        if (timestamps) {
            word(sack_permitted ? sack_permitted_timestamps : nop_nop_timestamps);
            word(timestamps->value);
            word(timestamps->echo);
        } else if (sack_permitted) {
            word(0x01010402u);
        }
        if (window_scale)
            word(0x01030300u | std::min(*window_scale, max_window_scale));
        if (const auto blocks = fitting_blocks(); blocks != 0) {
            word(0x01010502u + static_cast<std::uint32_t>(8 * blocks));
            for (std::size_t i = 0; i < blocks; ++i) {
                word(sack[i].left);
                word(sack[i].right);
            }
        }
        return partial_sum::of(words);
    }

    friend constexpr bool operator==(const tcp_options&, const tcp_options&) noexcept = default;

private:
    static constexpr std::uint32_t nop_nop_timestamps = 0x0101080a;
    static constexpr std::uint32_t sack_permitted_timestamps = 0x0402080a;

    // Apart, so that the short cut above is small enough to be part of its caller.
    [[gnu::noinline]] static constexpr tcp_options parse_any(octets list) noexcept {
        tcp_options found;
        option_walk walk{list};
        while (const auto option = walk.next())
            found.take(*option);
        found.malformed |= walk.malformed();
        return found;
    }

    constexpr std::size_t fixed_size() const noexcept {
        // SACK-permitted takes the place of the two NOPs before the timestamps, when both are there.
        const std::size_t mixed = timestamps ? 12 : sack_permitted ? 4 : 0;
        return mixed + (maximum_segment_size ? 4u : 0u) + (window_scale ? 4u : 0u);
    }
    constexpr std::size_t fitting_blocks() const noexcept {
        if (sack_count == 0)
            return 0;
        return std::min<std::size_t>({sack_count, sack.size(), (max_size - 4 - fixed_size()) / 8});
    }

    constexpr void take(header_option option) noexcept {
        const auto* const p = option.data.data();
        const auto length = option.data.size();
        switch (option.kind) {
        case 2:
            if (length == 2)
                maximum_segment_size = load<std::uint16_t>(p);
            malformed |= length != 2;
            break;
        case 3:
            if (length == 1)
                window_scale = std::min(std::to_integer<std::uint8_t>(*p), max_window_scale);
            malformed |= length != 1;
            break;
        case 4:
            sack_permitted |= length == 0;
            malformed |= length != 0;
            break;
        case 5:
            if (length % 8 != 0 || length == 0) {
                malformed = true;
                break;
            }
            for (std::size_t i = 0; i + 8 <= length && sack_count < sack.size(); i += 8)
                sack[sack_count++] = {load<std::uint32_t>(p + i), load<std::uint32_t>(p + i + 4)};
            break;
        case 8:
            if (length == 8)
                timestamps.emplace(load<std::uint32_t>(p), load<std::uint32_t>(p + 4));
            malformed |= length != 8;
            break;
        default: break;
        }
    }
};

} // namespace mirage::wire
