// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/wire/tcp_options.hpp"

namespace mirage::wire {

/// The control bits of RFC 9293 section 3.1: a set.
enum class tcp_flags : std::uint8_t {
    none = 0,
    fin = 1,
    syn = 2,
    rst = 4,
    psh = 8,
    ack = 16,
    urg = 32,
    ece = 64,
    cwr = 128,
};
constexpr tcp_flags operator|(tcp_flags a, tcp_flags b) noexcept {
    return tcp_flags(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
constexpr tcp_flags operator&(tcp_flags a, tcp_flags b) noexcept {
    return tcp_flags(static_cast<std::uint8_t>(a) & static_cast<std::uint8_t>(b));
}
constexpr tcp_flags& operator|=(tcp_flags& a, tcp_flags b) noexcept {
    return a = a | b;
}
/// Whether all of `wanted` are in `set`.
constexpr bool has(tcp_flags set, tcp_flags wanted) noexcept {
    return (set & wanted) == wanted;
}

namespace tcp_at { // RFC 9293 section 3.1
using source_port = field<std::uint16_t, 0>;
using destination_port = field<std::uint16_t, 2>;
using sequence = field<std::uint32_t, 4>;
using acknowledgment = field<std::uint32_t, 8>;
using data_offset = field<std::uint8_t, 12>; // upper 4 bits, in 4-octet units; the rest reserved
using flags = field<std::uint8_t, 13>;
using window = field<std::uint16_t, 14>;
using checksum = field<std::uint16_t, 16>;
using urgent_pointer = field<std::uint16_t, 18>;
} // namespace tcp_at

/// A TCP segment, read in place. RFC 9293 section 3.1
class tcp_view {
    octets octets_;
    explicit constexpr tcp_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

public:
    static constexpr std::size_t min_header = 20; ///< octets, without options
    static constexpr std::size_t max_header = 60; ///< octets, with options

    /// `pseudo` is the sum of the pseudo header (ipv4_view::pseudo_header()). errc::truncated,
    /// errc::malformed (data offset) or errc::bad_checksum (MUST-3 of RFC 9293 section 3.1). Options are not
    /// judged here.
    static constexpr result<tcp_view> parse(octets segment, partial_sum pseudo,
                                            verify whole = verify::yes) noexcept {
        if (segment.size() < min_header)
            return std::unexpected(errc::truncated);
        const tcp_view view{segment};
        if (view.header_length() < min_header)
            return std::unexpected(errc::malformed);
        if (view.header_length() > segment.size())
            return std::unexpected(errc::truncated);
        if (whole == verify::yes && !sum(segment, pseudo).intact())
            return std::unexpected(errc::bad_checksum);
        return view;
    }

    constexpr std::uint16_t source_port() const noexcept { return get<tcp_at::source_port>(); }
    constexpr std::uint16_t destination_port() const noexcept { return get<tcp_at::destination_port>(); }
    constexpr std::uint32_t sequence() const noexcept { return get<tcp_at::sequence>(); }
    constexpr std::uint32_t acknowledgment() const noexcept { return get<tcp_at::acknowledgment>(); }
    constexpr std::size_t header_length() const noexcept {
        return static_cast<std::size_t>(get<tcp_at::data_offset>() >> 4) * 4;
    } ///< octets
    constexpr tcp_flags flags() const noexcept { return tcp_flags{get<tcp_at::flags>()}; }
    constexpr bool has(tcp_flags wanted) const noexcept { return wire::has(flags(), wanted); }
    constexpr std::uint16_t window() const noexcept { return get<tcp_at::window>(); } ///< not scaled
    constexpr std::uint16_t urgent_pointer() const noexcept { return get<tcp_at::urgent_pointer>(); }

    constexpr octets header() const noexcept { return octets_.first(header_length()); }
    constexpr octets option_octets() const noexcept { return header().subspan(min_header); }
    /// Total: an illegal length ends the list and is reported in the value.
    constexpr tcp_options options() const noexcept { return tcp_options::parse(option_octets()); }
    constexpr octets payload() const noexcept { return octets_.subspan(header_length()); }
};

/// A TCP header with options. RFC 9293 section 3.1
struct tcp_header {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgment = 0;
    tcp_flags flags = tcp_flags::none;
    std::uint16_t window = 0; ///< as sent: already scaled down
    std::uint16_t urgent_pointer = 0;
    tcp_options options{};

    /// Octets that emit() writes: 20 to 60, a multiple of 4.
    constexpr std::size_t size() const noexcept { return tcp_view::min_header + options.size(); }

    /// Writes the header to the first size() octets of `room`. `rest` is the sum of pseudo header and
    /// payload.
    constexpr void emit(mutable_octets room, partial_sum rest) const noexcept {
        const auto own = write(room);
        tcp_at::checksum::store(room.data(), (own + rest).finish());
    }

    /// The same for a device that completes the checksum: the field holds the folded sum of the pseudo
    /// header.
    constexpr void emit_for_offload(mutable_octets room, partial_sum pseudo) const noexcept {
        (void)write(room);
        tcp_at::checksum::store(room.data(), pseudo.fold());
    }

    friend constexpr bool operator==(const tcp_header&, const tcp_header&) noexcept = default;

private:
    /// Writes all but the checksum, and returns the sum of what it wrote, from registers.
    constexpr partial_sum write(mutable_octets room) const noexcept {
        const std::size_t length = size();
        check(room.size() >= length, "tcp_header: no room");
        auto* const p = room.data();
        const std::uint32_t ports = std::uint32_t{source_port} << 16 | destination_port;
        const std::uint32_t offset_flags_window = static_cast<std::uint32_t>(length / 4) << 28
                                                  | std::uint32_t{static_cast<std::uint8_t>(flags)} << 16
                                                  | window;
        store<std::uint32_t>(p, ports);
        tcp_at::sequence::store(p, sequence);
        tcp_at::acknowledgment::store(p, acknowledgment);
        store<std::uint32_t>(p + tcp_at::data_offset::offset, offset_flags_window);
        tcp_at::urgent_pointer::store(p, urgent_pointer);
        const std::uint64_t words =
            std::uint64_t{ports} + sequence + acknowledgment + offset_flags_window + urgent_pointer;
        return options.emit(room.subspan(tcp_view::min_header)) + partial_sum::of(words);
    }
};

} // namespace mirage::wire
