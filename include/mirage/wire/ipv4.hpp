// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/wire/options.hpp"
#include <algorithm>

namespace mirage::wire {

/// Assigned Internet protocol numbers (RFC 5237). Other values are legal.
enum class ip_protocol : std::uint8_t { icmp = 1, igmp = 2, tcp = 6, udp = 17 };

namespace ipv4_at { // RFC 791 section 3.1
using version_ihl = field<std::uint8_t, 0>;
using dscp_ecn = field<std::uint8_t, 1>; // RFC 2474, RFC 3168
using total_length = field<std::uint16_t, 2>;
using identification = field<std::uint16_t, 4>;
using fragment = field<std::uint16_t, 6>; // flags (3 bits), offset in 8-octet units (13 bits)
using ttl = field<std::uint8_t, 8>;
using protocol = field<std::uint8_t, 9>;
using checksum = field<std::uint16_t, 10>;
using source = field<ipv4_address, 12>;
using destination = field<ipv4_address, 16>;
} // namespace ipv4_at

/// An IPv4 packet, read in place. RFC 791 section 3.1
///
/// A value of this type is a proof: parse() has checked that every accessor stays in bounds, so none of them
/// checks again, and none of them fails.
class ipv4_view {
    octets octets_;
    explicit constexpr ipv4_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

    static constexpr partial_sum header_sum(octets header) noexcept {
        if (header.size() == min_header) [[likely]]
            return sum(header.first<min_header>()); // a length the compiler knows: no loop, no call
        return sum(header);
    }

    /// Whether what the first 20 octets say about lengths makes sense.
    constexpr bool is_well_formed() const noexcept {
        return version() == 4 && header_length() >= min_header && total_length() >= header_length();
    }

public:
    static constexpr std::size_t min_header = 20; ///< octets, without options
    static constexpr std::size_t max_header = 60; ///< octets, with options

    /// errc::truncated, errc::malformed (also a fragment that would end past 65,535 octets) or
    /// errc::bad_checksum (RFC 1122 section 3.2.1.2: "verify the IP header checksum"). Octets past the total
    /// length (Ethernet padding) are left out. Options are not looked into: find_option() walks them safely.
    static constexpr result<ipv4_view> parse(octets packet, verify header = verify::yes) noexcept {
        if (packet.size() < min_header)
            return std::unexpected(errc::truncated);
        const ipv4_view all{packet};
        if (!all.is_well_formed())
            return std::unexpected(errc::malformed);
        const std::size_t total = all.total_length(), header_size = all.header_length();
        if (packet.size() < total)
            return std::unexpected(errc::truncated);
        if (all.fragment_offset() + total - header_size > 0xffff - min_header)
            return std::unexpected(errc::malformed);
        if (header == verify::yes && !header_sum(packet.first(header_size)).intact())
            return std::unexpected(errc::bad_checksum);
        return ipv4_view{packet.first(total)};
    }

    /// A packet quoted by an ICMP error: its header and at least 8 octets more (RFC 792), usually cut there,
    /// so that payload() may be shorter than total_length() says. The checksum is not looked at: the packet
    /// was under way when it was quoted. errc::truncated, errc::malformed.
    static constexpr result<ipv4_view> parse_quote(octets quote) noexcept {
        if (quote.size() < min_header)
            return std::unexpected(errc::truncated);
        const ipv4_view all{quote};
        if (!all.is_well_formed())
            return std::unexpected(errc::malformed);
        const auto size = std::min<std::size_t>(quote.size(), all.total_length());
        if (size < all.header_length() + 8)
            return std::unexpected(errc::truncated);
        return ipv4_view{quote.first(size)};
    }

    constexpr unsigned version() const noexcept { return get<ipv4_at::version_ihl>() >> 4; }
    constexpr std::size_t header_length() const noexcept {
        return (get<ipv4_at::version_ihl>() & 15u) * std::size_t{4};
    } ///< octets
    constexpr std::uint8_t dscp_ecn() const noexcept { return get<ipv4_at::dscp_ecn>(); }
    constexpr std::uint16_t total_length() const noexcept { return get<ipv4_at::total_length>(); } ///< octets
    constexpr std::uint16_t identification() const noexcept { return get<ipv4_at::identification>(); }
    constexpr bool dont_fragment() const noexcept { return (get<ipv4_at::fragment>() & 0x4000u) != 0; }
    constexpr bool more_fragments() const noexcept { return (get<ipv4_at::fragment>() & 0x2000u) != 0; }
    /// Where payload() belongs in the whole datagram, in octets.
    constexpr std::size_t fragment_offset() const noexcept {
        return (get<ipv4_at::fragment>() & 0x1fffu) * std::size_t{8};
    }
    /// Whether this is a piece of a datagram, not all of it.
    constexpr bool is_fragment() const noexcept { return (get<ipv4_at::fragment>() & 0x3fffu) != 0; }
    constexpr std::uint8_t ttl() const noexcept { return get<ipv4_at::ttl>(); }
    constexpr ip_protocol protocol() const noexcept { return ip_protocol{get<ipv4_at::protocol>()}; }
    constexpr ipv4_address source() const noexcept { return get<ipv4_at::source>(); }
    constexpr ipv4_address destination() const noexcept { return get<ipv4_at::destination>(); }

    /// The header with its options.
    constexpr octets header() const noexcept { return octets_.first(header_length()); }
    constexpr octets options() const noexcept { return header().subspan(min_header); }
    constexpr octets payload() const noexcept { return octets_.subspan(header_length()); }
    /// The whole packet, without padding: what an ICMP error quotes.
    constexpr octets packet() const noexcept { return octets_; }

    /// The first option of this type (the whole octet: copied flag, class and number), if there is one before
    /// the end of the list or an illegal length.
    constexpr std::optional<octets> find_option(std::uint8_t type) const noexcept {
        option_walk walk{options()};
        while (const auto option = walk.next())
            if (option->kind == type)
                return option->data;
        return std::nullopt;
    }

    /// Whether the sender prescribes the route: loose (131) or strict (137), RFC 791 section 3.1. A host that
    /// does not forward drops such a packet unless it is the last hop.
    constexpr bool has_source_route() const noexcept {
        return header_length() > min_header && (find_option(131) || find_option(137));
    }

    /// For the checksum of the transport segment in payload().
    constexpr partial_sum pseudo_header() const noexcept {
        return pseudo_header_sum(source(), destination(), get<ipv4_at::protocol>(),
                                 static_cast<std::uint16_t>(payload().size()));
    }
};

/// An IPv4 header without options.
struct ipv4_header {
    ipv4_address source{};
    ipv4_address destination{};
    ip_protocol protocol = ip_protocol::tcp;
    std::uint8_t ttl = 64; ///< RFC 1340's recommended default, as RFC 1122 section 3.2.1.7 asks
    std::uint8_t dscp_ecn = 0;
    bool dont_fragment = true;
    bool more_fragments = false;
    std::uint16_t identification = 0;  ///< may be 0 for an atomic datagram (RFC 6864 section 4.1)
    std::uint16_t fragment_offset = 0; ///< octets, a multiple of 8
    std::uint16_t total_length = 20;   ///< octets, header and payload

    static constexpr std::size_t size = ipv4_view::min_header; ///< octets

    /// Writes the header with its checksum to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "ipv4_header: no room");
        // Five words in registers: the checksum costs a few additions and no load.
        const std::uint32_t flags = (dont_fragment ? 0x4000u : 0u) | (more_fragments ? 0x2000u : 0u);
        const std::uint32_t word0 = 0x45000000u | std::uint32_t{dscp_ecn} << 16 | total_length;
        const std::uint32_t word1 = std::uint32_t{identification} << 16 | flags | fragment_offset / 8u;
        const std::uint32_t word2 =
            std::uint32_t{ttl} << 24 | std::uint32_t{static_cast<std::uint8_t>(protocol)} << 16;
        const std::uint16_t folded =
            detail::fold(std::uint64_t{word0} + word1 + word2 + source.value() + destination.value());
        auto* const p = room.data();
        store<std::uint32_t>(p, word0);
        store<std::uint32_t>(p + 4, word1);
        store<std::uint32_t>(p + 8, word2 | (folded ^ 0xffffu));
        ipv4_at::source::store(p, source);
        ipv4_at::destination::store(p, destination);
    }

    /// For the checksum of the segment that follows this header, which is not a fragment.
    constexpr partial_sum pseudo_header() const noexcept {
        return pseudo_header_sum(source, destination, static_cast<std::uint8_t>(protocol),
                                 static_cast<std::uint16_t>(total_length - size));
    }

    friend constexpr bool operator==(const ipv4_header&, const ipv4_header&) noexcept = default;
};

} // namespace mirage::wire
