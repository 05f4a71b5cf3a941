// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/ip_address.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/wire/checksum.hpp"
#include <array>
#include <span>
#include <type_traits>

namespace mirage::net {

/// An IP packet on its way up: what a transport needs to know of its header, and its text. `Address` is the stack's
/// address_type.
template <class Address>
struct received_packet {
    slice data{};                   ///< the transport's octets; the receiver may take it
    octets network_header{};        ///< what is before them of the packet, for ICMP errors about it; lives as long as `data`
    Address source{}, destination{};
    std::uint8_t protocol = 0;
    std::uint8_t ttl = 0;           ///< or hop limit
    bool unicast = true;            ///< sent to our own address; otherwise to a broadcast or multicast address
    bool may_report = true;         ///< an ICMP error about it is allowed (RFC 1122 section 3.2.2, RFC 4443 section 2.4)
    bool checksum_verified = false; ///< by the device: the transport's checksum is right

    /// For the transport's checksum. RFC 9293 section 3.1, RFC 768
    wire::partial_sum pseudo_header() const noexcept {
        return wire::pseudo_header_sum(source, destination, protocol, static_cast<std::uint16_t>(data.size()));
    }
};

/// Where the headers of one outgoing packet are written, from the inside outwards: each layer writes in front of
/// what is there already. `Network` is the longest network header of the stack, in octets.
template <std::size_t Network>
class header_room {
public:
    static constexpr std::size_t link = 14, transport_at = link + Network, largest_transport = 60;

    /// The first `n` octets of the transport header.
    mutable_octets transport(std::size_t n) noexcept { return mutable_octets{octets_}.subspan(transport_at, n); }
    /// The other two, for a network header of `own` octets.
    mutable_octets network_header(std::size_t own) noexcept {
        return mutable_octets{octets_}.subspan(transport_at - own, own);
    }
    mutable_octets link_header(std::size_t own) noexcept { return mutable_octets{octets_}.subspan(Network - own, link); }
    /// All three headers, given the length of the innermost.
    octets all(std::size_t own, std::size_t transport_length) const noexcept {
        return octets{octets_}.subspan(Network - own, link + own + transport_length);
    }

private:
    std::array<std::byte, transport_at + largest_transport> octets_;
};

/// What a transport wants sent: its header is in the header_room.
struct outgoing_packet {
    std::uint8_t protocol = 0;
    std::size_t transport_length = 0;      ///< octets of the transport header in the header_room
    std::span<const slice> payload{};
    std::uint16_t checksum_offset = 0;     ///< of the checksum in the transport header
    bool checksum_offload = false;         ///< the device completes the checksum
    std::uint8_t ecn = 0;                  ///< codepoint of RFC 3168 section 5; for stacks of which a layer uses it
    std::uint16_t gso_size = 0;            ///< see transmit_frame
    bool do_not_fragment = false;
    std::uint8_t ttl = 64;                 ///< RFC 9293 section 3.9.2.1: configurable, at least 64 by default
};

struct further_addresses;

/// Which of an IPv4 interface's addresses a packet comes from: empty, and passed for nothing, where it has but one.
struct one_of_several {
    ipv4_address address{};
    constexpr one_of_several(ipv4_address a) noexcept : address{a} {} // NOLINT: an address is meant to convert
    constexpr ipv4_address or_only(ipv4_address) const noexcept { return address; }
};
struct the_only_one {
    constexpr the_only_one(ipv4_address) noexcept {} // NOLINT: as above
    static constexpr ipv4_address or_only(ipv4_address only) noexcept { return only; }
};
template <class Stack>
using sender_of = std::conditional_t<Stack::template has<further_addresses>, one_of_several, the_only_one>;

/// A packet of ours that is known not to have arrived.
template <class Address>
struct lost_packet {
    Address source{}, destination{};
    octets transport{}; ///< at least the first 8 octets of the transport's header
    std::uint16_t length = 0; ///< of the whole packet, as its header said
    std::uint16_t mtu = 0;    ///< with errc::too_large over IPv4: what would have fitted, or 0 when nobody said
};

/// Is told of lost packets, and why, as in meaning(). Anybody on the way, and whoever guesses well, can make it be
/// called.
template <class Stack>
using loss_handler = void (*)(Stack&, const lost_packet<typename Stack::address_type>& lost, errc why) noexcept;

} // namespace mirage::net
