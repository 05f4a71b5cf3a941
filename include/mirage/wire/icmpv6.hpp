// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/ipv6.hpp"

namespace mirage::wire {

/// ICMPv6 message types (RFC 4443, RFC 4861, RFC 3810). Other values are legal; those below 128 are errors.
enum class icmpv6_type : std::uint8_t {
    destination_unreachable = 1,
    packet_too_big = 2,
    time_exceeded = 3,
    parameter_problem = 4,
    echo_request = 128,
    echo_reply = 129,
    listener_query = 130,
    listener_report_v1 = 131,
    listener_done = 132,
    router_solicitation = 133,
    router_advertisement = 134,
    neighbour_solicitation = 135,
    neighbour_advertisement = 136,
    redirect = 137,
    listener_report = 143,
};

/// Codes of destination_unreachable. RFC 4443 section 3.1
enum class icmpv6_unreachable : std::uint8_t {
    no_route = 0,
    prohibited = 1,
    beyond_scope = 2,
    address = 3,
    port = 4,
    source_policy = 5,
    rejected = 6,
};

namespace icmpv6_at { // RFC 4443 section 2.1
using type = field<std::uint8_t, 0>;
using code = field<std::uint8_t, 1>;
using checksum = field<std::uint16_t, 2>;
using rest = field<std::uint32_t, 4>; // meaning depends on the type: MTU, pointer, identifier and sequence
} // namespace icmpv6_at

/// An ICMPv6 message, read in place. RFC 4443 section 2.1
class icmpv6_view {
    octets octets_;
    explicit constexpr icmpv6_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

public:
    static constexpr std::size_t header_length = 8; ///< octets: every type that we know has a second word

    /// `pseudo` is the sum of the pseudo header. errc::truncated or errc::bad_checksum.
    static constexpr result<icmpv6_view> parse(octets message, partial_sum pseudo, verify whole = verify::yes) noexcept {
        if (message.size() < header_length)
            return std::unexpected(errc::truncated);
        if (whole == verify::yes && !sum(message, pseudo).intact())
            return std::unexpected(errc::bad_checksum);
        return icmpv6_view{message};
    }

    constexpr icmpv6_type type() const noexcept { return icmpv6_type{get<icmpv6_at::type>()}; }
    constexpr std::uint8_t code() const noexcept { return get<icmpv6_at::code>(); }
    /// The second word of the header, whose meaning depends on the type.
    constexpr std::uint32_t rest() const noexcept { return get<icmpv6_at::rest>(); }
    /// Whether this reports on another packet: never answered by an error. RFC 4443 section 2.1
    constexpr bool is_error() const noexcept { return get<icmpv6_at::type>() < 128; }
    /// Behind the second word: echo data, or the packet an error quotes.
    constexpr octets payload() const noexcept { return octets_.subspan(header_length); }
    constexpr octets message() const noexcept { return octets_; }
};

/// The first two words of an ICMPv6 message.
struct icmpv6_header {
    icmpv6_type type = icmpv6_type::echo_reply;
    std::uint8_t code = 0;
    std::uint32_t rest = 0; ///< the second word

    static constexpr std::size_t size = icmpv6_view::header_length; ///< octets

    /// As much of a packet as an error may quote, in octets: the error stays within the minimum MTU (RFC 4443
    /// section 2.4 (c)).
    static constexpr std::size_t max_quote = ipv6_view::min_mtu - ipv6_view::header_length - size;
    static constexpr octets quote(octets packet) noexcept { return packet.first(std::min(packet.size(), max_quote)); }

    /// Writes the header to the first `size` octets of `room`. `rest_sum` is the sum of pseudo header and payload.
    constexpr void emit(mutable_octets room, partial_sum rest_sum) const noexcept {
        check(room.size() >= size, "icmpv6_header: no room");
        auto* const p = room.data();
        const auto word = static_cast<std::uint16_t>(std::uint32_t{static_cast<std::uint8_t>(type)} << 8 | code);
        store<std::uint16_t>(p, word);
        icmpv6_at::checksum::store(p, (rest_sum + partial_sum::of(word) + partial_sum::of(rest)).finish());
        icmpv6_at::rest::store(p, rest);
    }

    friend constexpr bool operator==(const icmpv6_header&, const icmpv6_header&) noexcept = default;
};

} // namespace mirage::wire
