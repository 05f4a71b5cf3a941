// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/sequence.hpp"
#include <cstdint>
#include <span>

namespace mirage::tcp {

/// A timestamps option. RFC 7323 section 3.2
struct timestamp_pair {
    std::uint32_t value = 0; ///< TSval
    std::uint32_t echo = 0;  ///< TSecr
    friend constexpr bool operator==(const timestamp_pair&, const timestamp_pair&) noexcept = default;
};

/// Octets that came ahead of a hole: [left, right). RFC 2018 section 3
struct sack_block {
    sequence left{}, right{};
    friend constexpr bool operator==(const sack_block&, const sack_block&) noexcept = default;
};

/// What a segment's `ecn` is made of: the IP header's codepoint, and TCP's flags where they are on the wire.
/// RFC 3168 sections 5 and 6.1
namespace ecn_bits {
inline constexpr std::uint8_t ect0 = 2, ce = 3, codepoint = 3, ece = 64, cwr = 128;
}

/// One segment as the state machine sees it: header and options as values, the text only as a length.
/// RFC 9293 section 3.1
struct segment {
    sequence seq{};
    sequence ack{};          ///< meaningful with has_ack
    std::uint32_t length = 0; ///< octets of text
    std::uint16_t window = 0; ///< as on the wire, not yet scaled
    bool syn = false, fin = false, rst = false, has_ack = false, psh = false;
    std::uint8_t ecn = 0;          ///< ecn_bits; 0 where ECN is not listed

    std::uint16_t mss = 0;         ///< 0: no option. RFC 9293 section 3.7.1
    std::int8_t window_scale = -1; ///< -1: no option. RFC 7323 section 2.2
    bool has_timestamps = false;
    timestamp_pair timestamps{};
    bool sack_permitted = false;   ///< in a SYN. RFC 2018 section 2
    std::span<const sack_block> sack{}; ///< of whoever made the segment

    /// SEG.LEN: octets that the segment takes in sequence space, SYN and FIN included.
    constexpr std::uint32_t sequence_length() const noexcept {
        return length + (syn ? 1u : 0u) + (fin ? 1u : 0u);
    }
    /// The sequence number behind the last one that it takes.
    constexpr sequence end() const noexcept { return seq + sequence_length(); }
};

} // namespace mirage::tcp
