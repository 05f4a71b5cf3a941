// SPDX-License-Identifier: MIT
#pragma once
// A segment as the machine sees it, and as it is on the wire. RFC 9293 section 3.1
#include "mirage/net/tcp/ecn.hpp"
#include "mirage/net/tcp/segment.hpp"
#include "mirage/wire/tcp.hpp"
#include <array>

namespace mirage::tcp {

/// As many blocks as a segment has room for. RFC 2018 section 3
using sack_blocks = std::array<sack_block, 4>;

/// The flags of ECN among those of a segment. RFC 3168 section 6.1
inline constexpr std::uint8_t flags_of_ecn = ecn_bits::ece | ecn_bits::cwr;

/// The ECN field of an IP header: the low bits of the octet of service or traffic class. RFC 3168 section 5
inline std::uint8_t ecn_of(octets header) noexcept {
    const bool is_v4 = std::to_integer<unsigned>(header[0]) >> 4 == 4;
    const auto octet = std::to_integer<unsigned>(header[1]);
    return static_cast<std::uint8_t>((is_v4 ? octet : octet >> 4) & ecn_bits::codepoint);
}

/// What was received, its ECN bits apart. `blocks` holds those of the segment and is to live as long; without `Selective` there are none.
template <bool Selective>
segment segment_of(const wire::tcp_view& view, [[maybe_unused]] sack_blocks& blocks) noexcept {
    using wire::tcp_flags;
    segment seg{.seq = {view.sequence()}, .ack = {view.acknowledgment()}};
    seg.length = static_cast<std::uint32_t>(view.payload().size());
    seg.window = view.window();
    seg.syn = view.has(tcp_flags::syn);
    seg.fin = view.has(tcp_flags::fin);
    seg.rst = view.has(tcp_flags::rst);
    seg.has_ack = view.has(tcp_flags::ack);
    seg.psh = view.has(tcp_flags::psh);
    const auto options = view.options();
    if (options.timestamps) {
        seg.has_timestamps = true;
        seg.timestamps = {options.timestamps->value, options.timestamps->echo};
    }
    if constexpr (Selective) {
        seg.sack_permitted = options.sack_permitted;
        for (std::size_t i = 0; i < options.sack_count; ++i)
            blocks[i] = {{options.sack[i].left}, {options.sack[i].right}};
        seg.sack = std::span{blocks}.first(options.sack_count);
    }
    if (seg.syn) {
        seg.mss = options.maximum_segment_size.value_or(0);
        if (options.window_scale)
            seg.window_scale = static_cast<std::int8_t>(*options.window_scale);
    }
    return seg;
}

/// The header that `seg` is sent with.
template <bool Selective, bool Ecn>
wire::tcp_header header_of(const segment& seg, std::uint16_t source_port, std::uint16_t destination_port) noexcept {
    using wire::tcp_flags;
    const auto flag = [](bool on, tcp_flags f) { return on ? f : tcp_flags::none; };
    wire::tcp_header header{.source_port = source_port,
                            .destination_port = destination_port,
                            .sequence = seg.seq.value,
                            .acknowledgment = seg.ack.value,
                            .flags = flag(seg.syn, tcp_flags::syn) | flag(seg.fin, tcp_flags::fin)
                                     | flag(seg.rst, tcp_flags::rst) | flag(seg.psh, tcp_flags::psh)
                                     | flag(seg.has_ack, tcp_flags::ack),
                            .window = seg.window};
    if constexpr (Ecn)
        header.flags |= tcp_flags(seg.ecn & flags_of_ecn);
    if (seg.mss != 0)
        header.options.maximum_segment_size = seg.mss;
    if (seg.window_scale >= 0)
        header.options.window_scale = static_cast<std::uint8_t>(seg.window_scale);
    if (seg.has_timestamps)
        header.options.timestamps.emplace(seg.timestamps.value, seg.timestamps.echo);
    if constexpr (Selective) {
        header.options.sack_permitted = seg.sack_permitted;
        for (const sack_block& b : seg.sack)
            header.options.sack[header.options.sack_count++] = {b.left.value, b.right.value};
    }
    return header;
}

} // namespace mirage::tcp
