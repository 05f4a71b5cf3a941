// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"
#include <algorithm>

namespace mirage::wire {

/// Values of a Next Header field that IPv6 itself defines or needs. RFC 8200 section 4, RFC 4443
enum class next_header : std::uint8_t {
    hop_by_hop = 0,
    tcp = 6,
    udp = 17,
    routing = 43,
    fragment = 44,
    icmpv6 = 58,
    none = 59,
    destination_options = 60,
};

namespace ipv6_at { // RFC 8200 section 3
using version_class_flow = field<std::uint32_t, 0>;
using payload_length = field<std::uint16_t, 4>;
using next_header = field<std::uint8_t, 6>;
using hop_limit = field<std::uint8_t, 7>;
using source = field<ipv6_address, 8>;
using destination = field<ipv6_address, 24>;
} // namespace ipv6_at

/// An IPv6 packet, read in place. RFC 8200 section 3. Extension headers are part of payload(): see walk_extensions().
class ipv6_view {
    octets octets_;
    explicit constexpr ipv6_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

public:
    static constexpr std::size_t header_length = 40; ///< octets
    static constexpr std::size_t min_mtu = 1280;     ///< RFC 8200 section 5

    /// errc::truncated or errc::malformed. Octets past the payload length (Ethernet padding) are left out. A jumbogram
    /// (RFC 2675) does not fit Ethernet and parses as a packet without payload.
    static constexpr result<ipv6_view> parse(octets packet) noexcept {
        if (packet.size() < header_length)
            return std::unexpected(errc::truncated);
        const ipv6_view all{packet};
        if (all.version() != 6)
            return std::unexpected(errc::malformed);
        const std::size_t total = header_length + all.payload_length();
        if (packet.size() < total)
            return std::unexpected(errc::truncated);
        return ipv6_view{packet.first(total)};
    }

    /// A packet quoted by an ICMPv6 error, perhaps cut: payload() may be shorter than payload_length() says.
    /// errc::truncated, errc::malformed.
    static constexpr result<ipv6_view> parse_quote(octets quote) noexcept {
        if (quote.size() < header_length)
            return std::unexpected(errc::truncated);
        const ipv6_view all{quote};
        if (all.version() != 6)
            return std::unexpected(errc::malformed);
        return ipv6_view{quote.first(std::min<std::size_t>(quote.size(), header_length + all.payload_length()))};
    }

    constexpr unsigned version() const noexcept { return get<ipv6_at::version_class_flow>() >> 28; }
    constexpr std::uint8_t traffic_class() const noexcept {
        return static_cast<std::uint8_t>(get<ipv6_at::version_class_flow>() >> 20);
    }
    constexpr std::uint32_t flow_label() const noexcept { return get<ipv6_at::version_class_flow>() & 0xfffffu; }
    constexpr std::uint16_t payload_length() const noexcept { return get<ipv6_at::payload_length>(); } ///< octets
    constexpr std::uint8_t first_header() const noexcept { return get<ipv6_at::next_header>(); }
    constexpr std::uint8_t hop_limit() const noexcept { return get<ipv6_at::hop_limit>(); }
    constexpr ipv6_address source() const noexcept { return get<ipv6_at::source>(); }
    constexpr ipv6_address destination() const noexcept { return get<ipv6_at::destination>(); }

    constexpr octets header() const noexcept { return octets_.first(header_length); }
    constexpr octets payload() const noexcept { return octets_.subspan(header_length); }
    /// The whole packet, without padding: what an ICMPv6 error quotes.
    constexpr octets packet() const noexcept { return octets_; }
};

/// An IPv6 header.
struct ipv6_header {
    ipv6_address source{}, destination{};
    wire::next_header next = next_header::none;
    std::uint8_t hop_limit = 64;
    std::uint8_t traffic_class = 0;
    std::uint32_t flow_label = 0;     ///< 20 bits
    std::uint16_t payload_length = 0; ///< octets, all that follows

    static constexpr std::size_t size = ipv6_view::header_length; ///< octets

    /// Writes the header to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "ipv6_header: no room");
        auto* const p = room.data();
        ipv6_at::version_class_flow::store(p, 0x60000000u | std::uint32_t{traffic_class} << 20 | (flow_label & 0xfffffu));
        store<std::uint32_t>(p + 4, std::uint32_t{payload_length} << 16
                                        | std::uint32_t{static_cast<std::uint8_t>(next)} << 8 | hop_limit);
        ipv6_at::source::store(p, source);
        ipv6_at::destination::store(p, destination);
    }

    friend constexpr bool operator==(const ipv6_header&, const ipv6_header&) noexcept = default;
};

/// The Fragment header, 8 octets. RFC 8200 section 4.5
struct ipv6_fragment_header {
    std::uint8_t next = 0;     ///< of the fragmentable part
    bool more = false;
    std::uint16_t offset = 0;  ///< octets, a multiple of 8
    std::uint32_t identification = 0;

    static constexpr std::size_t size = 8; ///< octets

    /// `from` has `size` octets at least.
    static constexpr ipv6_fragment_header load(octets from) noexcept {
        const auto word = wire::load<std::uint16_t>(from.data() + 2);
        return {std::to_integer<std::uint8_t>(from[0]), (word & 1) != 0, static_cast<std::uint16_t>(word & 0xfff8u),
                wire::load<std::uint32_t>(from.data() + 4)};
    }
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "ipv6_fragment_header: no room");
        store<std::uint16_t>(room.data(), static_cast<std::uint16_t>(next << 8));
        store<std::uint16_t>(room.data() + 2, static_cast<std::uint16_t>((offset & 0xfff8u) | (more ? 1u : 0u)));
        store<std::uint32_t>(room.data() + 4, identification);
    }
    /// All of a packet in one "fragment": nothing to put together. RFC 6946
    constexpr bool is_atomic() const noexcept { return offset == 0 && !more; }

    friend constexpr bool operator==(const ipv6_fragment_header&, const ipv6_fragment_header&) noexcept = default;
};

} // namespace mirage::wire
