// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"
#include <algorithm>

namespace mirage::wire {

/// ICMP message types (RFC 792). Other values are legal.
enum class icmpv4_type : std::uint8_t {
    echo_reply = 0,
    destination_unreachable = 3,
    redirect = 5,
    echo_request = 8,
    time_exceeded = 11,
    parameter_problem = 12,
};

/// Codes of destination_unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
enum class unreachable_code : std::uint8_t {
    network = 0,
    host = 1,
    protocol = 2,
    port = 3,
    fragmentation_needed = 4, ///< next_hop_mtu() says what would fit (RFC 1191 section 4)
    source_route_failed = 5,
    network_unknown = 6,
    host_unknown = 7,
    network_prohibited = 9,
    host_prohibited = 10,
    prohibited = 13,
};

/// Codes of time_exceeded.
enum class exceeded_code : std::uint8_t { transit = 0, reassembly = 1 };

namespace icmpv4_at { // RFC 792
using type = field<std::uint8_t, 0>;
using code = field<std::uint8_t, 1>;
using checksum = field<std::uint16_t, 2>;
using rest = field<std::uint32_t, 4>;         // meaning depends on the type; the next ones are parts of it
using identifier = field<std::uint16_t, 4>;   // echo
using sequence = field<std::uint16_t, 6>;     // echo
using pointer = field<std::uint8_t, 4>;       // parameter problem
using next_hop_mtu = field<std::uint16_t, 6>; // destination unreachable, code 4: RFC 1191 section 4
} // namespace icmpv4_at

/// An ICMP message, read in place. RFC 792
class icmpv4_view {
    octets octets_;
    explicit constexpr icmpv4_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

public:
    static constexpr std::size_t header_length = 8; ///< octets

    /// errc::truncated or errc::bad_checksum. Unknown types parse: RFC 1122 section 3.2.2 wants them
    /// discarded silently, which is the caller's part.
    static constexpr result<icmpv4_view> parse(octets message, verify whole = verify::yes) noexcept {
        if (message.size() < header_length)
            return std::unexpected(errc::truncated);
        if (whole == verify::yes && !sum(message).intact())
            return std::unexpected(errc::bad_checksum);
        return icmpv4_view{message};
    }

    constexpr icmpv4_type type() const noexcept { return icmpv4_type{get<icmpv4_at::type>()}; }
    constexpr std::uint8_t code() const noexcept { return get<icmpv4_at::code>(); }

    /// The second word of the header, whose meaning depends on the type.
    constexpr std::uint32_t rest() const noexcept { return get<icmpv4_at::rest>(); }
    constexpr std::uint16_t identifier() const noexcept { return get<icmpv4_at::identifier>(); } ///< echo
    constexpr std::uint16_t sequence() const noexcept { return get<icmpv4_at::sequence>(); }     ///< echo
    /// Parameter problem: the octet of the quoted packet that is wrong.
    constexpr std::uint8_t pointer() const noexcept { return get<icmpv4_at::pointer>(); }
    /// Octets that would have passed (code 4); 0 from a router older than RFC 1191.
    constexpr std::uint16_t next_hop_mtu() const noexcept { return get<icmpv4_at::next_hop_mtu>(); }

    /// Whether this reports on another packet, quoted in payload(): never answered by an error (RFC 1122
    /// section 3.2.2).
    constexpr bool is_error() const noexcept {
        switch (get<icmpv4_at::type>()) {
        case 3:  // destination unreachable
        case 4:  // source quench, deprecated by RFC 6633
        case 5:  // redirect
        case 11: // time exceeded
        case 12: // parameter problem
            return true;
        default: return false;
        }
    }

    /// Echo data; or the packet an error quotes, for ipv4_view::parse_quote().
    constexpr octets payload() const noexcept { return octets_.subspan(header_length); }
};

/// The header of an ICMP message. RFC 792
struct icmpv4_header {
    icmpv4_type type = icmpv4_type::echo_reply;
    std::uint8_t code = 0;
    std::uint32_t rest = 0; ///< the second word

    static constexpr std::size_t size = icmpv4_view::header_length; ///< octets

    /// As much of a packet as an error should quote, in octets: the error itself stays within 576 (RFC 1812
    /// section 4.3.2.3).
    static constexpr std::size_t max_quote = 576 - 20 - size;
    static constexpr octets quote(octets packet) noexcept {
        return packet.first(std::min(packet.size(), max_quote));
    }

    static constexpr icmpv4_header echo_request(std::uint16_t identifier, std::uint16_t sequence) noexcept {
        return {icmpv4_type::echo_request, 0, std::uint32_t{identifier} << 16 | sequence};
    }
    /// RFC 1122 section 3.2.2.6: the data of the request follows, unchanged.
    static constexpr icmpv4_header echo_reply(icmpv4_view request) noexcept {
        return {icmpv4_type::echo_reply, 0, request.rest()};
    }
    /// `mtu`, in octets, matters for fragmentation_needed only.
    static constexpr icmpv4_header unreachable(unreachable_code code, std::uint16_t mtu = 0) noexcept {
        return {icmpv4_type::destination_unreachable, static_cast<std::uint8_t>(code), mtu};
    }
    static constexpr icmpv4_header exceeded(exceeded_code code) noexcept {
        return {icmpv4_type::time_exceeded, static_cast<std::uint8_t>(code), 0};
    }
    /// `pointer`: the octet of the quoted packet where the problem is.
    static constexpr icmpv4_header problem(std::uint8_t pointer) noexcept {
        return {icmpv4_type::parameter_problem, 0, std::uint32_t{pointer} << 24};
    }

    /// Writes the header to the first `size` octets of `room`, with the checksum of it and a payload of this
    /// sum.
    constexpr void emit(mutable_octets room, partial_sum payload = {}) const noexcept {
        check(room.size() >= size, "icmpv4_header: no room");
        auto* const p = room.data();
        const auto word =
            static_cast<std::uint16_t>(std::uint32_t{static_cast<std::uint8_t>(type)} << 8 | code);
        store<std::uint16_t>(p, word);
        icmpv4_at::checksum::store(p, (payload + partial_sum::of(word) + partial_sum::of(rest)).finish());
        icmpv4_at::rest::store(p, rest);
    }

    friend constexpr bool operator==(const icmpv4_header&, const icmpv4_header&) noexcept = default;
};

} // namespace mirage::wire
