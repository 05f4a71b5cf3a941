// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/ipv6.hpp"

namespace mirage::wire {

/// What the extension headers of a packet say is to be done with it.
enum class ipv6_verdict : std::uint8_t {
    deliver,       ///< to the protocol that was found
    reassemble,    ///< a piece of a packet: ipv6_chain::fragment_at
    discard,       ///< silently
    report,        ///< an ICMPv6 Parameter Problem, unless it was sent to a group
    report_always, ///< the same even then: RFC 8200 section 4.2, option types 10xxxxxx
};

/// The header chain of a packet, walked. Offsets are in octets from the IPv6 header's first.
struct ipv6_chain {
    ipv6_verdict verdict = ipv6_verdict::discard;
    std::uint8_t protocol = 0;            ///< of the upper layer, or what comes next after a fragment header
    std::uint8_t problem = 0;             ///< code of the Parameter Problem: RFC 4443 section 3.4, RFC 7112 section 5
    bool router_alert = false;            ///< RFC 2711
    std::uint16_t offset = 0;             ///< where the upper layer begins
    std::uint16_t named_at = 0;           ///< the Next Header field that names it
    std::uint16_t fragment_at = 0;        ///< of a Fragment header that means something; 0: none
    std::uint16_t pointer = 0;            ///< of the Parameter Problem
};

namespace detail {

/// Limits as RFC 8504 section 5.3 suggests: what honest senders never need, and what makes walking costly.
inline constexpr unsigned max_extension_headers = 8, max_header_options = 8, max_padding = 7;

/// Walks the options of the Hop-by-Hop or Destination Options header at `at`. False: the chain says what to do.
constexpr bool walk_options(octets packet, std::size_t at, std::size_t end, ipv6_chain& chain) noexcept {
    unsigned options = 0, padding = 0;
    for (std::size_t i = at + 2; i < end;) {
        const auto type = std::to_integer<std::uint8_t>(packet[i]);
        const bool pad = type <= 1;
        std::size_t size = 1;
        if (type != 0) {
            if (i + 2 > end)
                return false;
            size = 2 + std::to_integer<std::size_t>(packet[i + 1]);
        }
        if (i + size > end)
            return false;
        padding = pad ? padding + static_cast<unsigned>(size) : 0;
        if (padding > max_padding || (!pad && ++options > max_header_options))
            return false;
        if (type == 5 && size == 4) { // RFC 2711
            chain.router_alert = true;
        } else if (!pad && type >> 6 != 0) { // RFC 8200 section 4.2: unknown, and not to be skipped
            chain.verdict = type >> 6 == 1   ? ipv6_verdict::discard
                            : type >> 6 == 2 ? ipv6_verdict::report_always
                                             : ipv6_verdict::report;
            chain.problem = 2;
            chain.pointer = static_cast<std::uint16_t>(i);
            return false;
        }
        i += size;
    }
    return true;
}

} // namespace detail

/// Walks the extension headers of `packet`, from the IPv6 header on. RFC 8200 section 4. Always ends, never reads
/// outside; what goes past the end of the packet, or past the limits, is discarded.
constexpr ipv6_chain walk_extensions(const ipv6_view& view) noexcept {
    const octets packet = view.packet();
    ipv6_chain chain{.protocol = view.first_header(), .offset = ipv6_view::header_length,
                     .named_at = ipv6_at::next_header::offset};
    const auto problem = [&](std::uint8_t code, std::size_t pointer) {
        chain.verdict = ipv6_verdict::report;
        chain.problem = code;
        chain.pointer = static_cast<std::uint16_t>(pointer);
        return chain;
    };
    for (unsigned count = 0; count <= detail::max_extension_headers; ++count) {
        const std::size_t at = chain.offset;
        const auto kind = next_header{chain.protocol};
        const bool options = kind == next_header::hop_by_hop || kind == next_header::destination_options;
        if (kind == next_header::none)
            return chain;
        if (kind == next_header::hop_by_hop && count != 0) // section 4.1: directly after the IPv6 header alone
            return problem(1, chain.named_at);
        if (!options && kind != next_header::routing && kind != next_header::fragment) {
            chain.verdict = ipv6_verdict::deliver;
            return chain;
        }
        if (at + 8 > packet.size())
            return chain;
        const std::size_t size = kind == next_header::fragment ? 8 : 8 + 8 * std::to_integer<std::size_t>(packet[at + 1]);
        if (at + size > packet.size())
            return chain;
        if (options && !detail::walk_options(packet, at, at + size, chain))
            return chain;
        // Section 4.4: also type 0, which RFC 5095 has deprecated
        if (kind == next_header::routing && packet[at + 3] != std::byte{0})
            return problem(0, at + 2);
        if (kind == next_header::fragment) {
            const auto fragment = ipv6_fragment_header::load(packet.subspan(at));
            if (!fragment.is_atomic()) { // an atomic one is skipped: RFC 6946 section 4, RFC 8021
                chain.fragment_at = static_cast<std::uint16_t>(at);
                if (fragment.more && (packet.size() - at - size) % 8 != 0) // RFC 8200 section 4.5
                    return problem(0, ipv6_at::payload_length::offset);
                if (fragment.offset + packet.size() - at - size > 0xffff)
                    return problem(0, at + 2);
                chain.verdict = ipv6_verdict::reassemble;
                return chain;
            }
        }
        chain.named_at = static_cast<std::uint16_t>(at);
        chain.protocol = std::to_integer<std::uint8_t>(packet[at]);
        chain.offset = static_cast<std::uint16_t>(at + size);
    }
    return chain;
}

/// Whether a first fragment has the whole header chain, the upper layer's header included, as RFC 7112 section 5 wants.
/// `at`: where the Fragment header is.
constexpr bool has_whole_chain(const ipv6_view& view, std::size_t at) noexcept {
    const octets packet = view.packet();
    auto kind = next_header{std::to_integer<std::uint8_t>(packet[at])};
    at += ipv6_fragment_header::size;
    for (unsigned count = 0; count <= detail::max_extension_headers; ++count) {
        switch (kind) {
        case next_header::tcp: return at + 20 <= packet.size();
        case next_header::udp:
        case next_header::icmpv6: return at + 8 <= packet.size();
        case next_header::routing:
        case next_header::destination_options: break;
        default: return at < packet.size() || kind == next_header::none;
        }
        if (at + 8 > packet.size())
            return false;
        kind = next_header{std::to_integer<std::uint8_t>(packet[at])};
        at += 8 + 8 * std::to_integer<std::size_t>(packet[at + 1]);
    }
    return false;
}

/// A piece of a packet, for net::reassembly. RFC 8200 section 4.5
class ipv6_piece {
    octets packet_;
    std::size_t at_, named_at_;

public:
    /// What is before a Fragment header, at most: more never came from an honest sender.
    static constexpr std::size_t max_header = 128, min_header = ipv6_view::header_length;

    /// `chain` is that of `view` and says ipv6_verdict::reassemble. errc::malformed: too much before the piece.
    static constexpr result<ipv6_piece> make(const ipv6_view& view, const ipv6_chain& chain) noexcept {
        if (chain.fragment_at > max_header)
            return std::unexpected(errc::malformed);
        return ipv6_piece{view.packet(), chain.fragment_at, chain.named_at};
    }

    constexpr ipv6_fragment_header fragment() const noexcept { return ipv6_fragment_header::load(packet_.subspan(at_)); }
    constexpr std::size_t fragment_offset() const noexcept { return fragment().offset; }
    constexpr bool more_fragments() const noexcept { return fragment().more; }
    constexpr bool is_fragment() const noexcept { return !fragment().is_atomic(); }
    constexpr octets payload() const noexcept { return packet_.subspan(at_ + ipv6_fragment_header::size); }
    constexpr octets header() const noexcept { return packet_.first(at_); }
    constexpr std::size_t header_length() const noexcept { return at_; }

    /// What tells the pieces of one packet from others. The next header of the first piece alone counts.
    struct key {
        ipv6_address source{}, destination{};
        std::uint32_t identification = 0;
        friend constexpr bool operator==(const key&, const key&) noexcept = default;
    };
    constexpr key id() const noexcept {
        return {ipv6_at::source::load(packet_.data()), ipv6_at::destination::load(packet_.data()),
                fragment().identification};
    }

    /// Makes `copy`, of header(), name what the fragments carry instead of a Fragment header.
    constexpr void unlink(mutable_octets copy) const noexcept { copy[named_at_] = packet_[at_]; }

private:
    constexpr ipv6_piece(octets packet, std::size_t at, std::size_t named_at) noexcept
        : packet_{packet}, at_{at}, named_at_{named_at} {}
};

} // namespace mirage::wire
