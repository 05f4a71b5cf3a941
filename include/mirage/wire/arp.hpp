// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/field.hpp"

namespace mirage::wire {

/// ar$op of RFC 826. Other values (RARP, InARP) are not for a host that speaks ARP only.
enum class arp_operation : std::uint16_t { request = 1, reply = 2 };

namespace arp_at { // RFC 826, for Ethernet and IPv4
using hardware_type = field<std::uint16_t, 0>;
using protocol_type = field<std::uint16_t, 2>;
using hardware_length = field<std::uint8_t, 4>;
using protocol_length = field<std::uint8_t, 5>;
using operation = field<std::uint16_t, 6>;
using sender_hardware = field<mac_address, 8>;
using sender_protocol = field<ipv4_address, 14>;
using target_hardware = field<mac_address, 18>;
using target_protocol = field<ipv4_address, 24>;
} // namespace arp_at

/// An ARP packet for IPv4 over Ethernet, read in place. RFC 826
class arp_view {
    octets octets_;
    explicit constexpr arp_view(octets o) noexcept : octets_{o} {}

public:
    static constexpr std::size_t length = 28; ///< octets
    static constexpr std::uint16_t ethernet = 1, ipv4 = 0x0800;

    /// errc::truncated; errc::unsupported for other address families or operations; errc::malformed when the
    /// address lengths contradict the families. Octets past the packet (Ethernet padding) are left out.
    static constexpr result<arp_view> parse(octets packet) noexcept {
        if (packet.size() < length)
            return std::unexpected(errc::truncated);
        const auto* const p = packet.data();
        if (arp_at::hardware_type::load(p) != ethernet || arp_at::protocol_type::load(p) != ipv4)
            return std::unexpected(errc::unsupported);
        if (arp_at::hardware_length::load(p) != 6 || arp_at::protocol_length::load(p) != 4)
            return std::unexpected(errc::malformed);
        if (const auto op = arp_at::operation::load(p); op != 1 && op != 2)
            return std::unexpected(errc::unsupported);
        return arp_view{packet.first(length)};
    }

    constexpr arp_operation operation() const noexcept {
        return arp_operation{arp_at::operation::load(octets_.data())};
    }
    constexpr mac_address sender_hardware() const noexcept {
        return arp_at::sender_hardware::load(octets_.data());
    }
    constexpr ipv4_address sender_protocol() const noexcept {
        return arp_at::sender_protocol::load(octets_.data());
    }
    constexpr mac_address target_hardware() const noexcept {
        return arp_at::target_hardware::load(octets_.data());
    }
    constexpr ipv4_address target_protocol() const noexcept {
        return arp_at::target_protocol::load(octets_.data());
    }

    /// Asks whether somebody uses the target address, without claiming it. RFC 5227 section 1.1
    constexpr bool is_probe() const noexcept {
        return operation() == arp_operation::request && sender_protocol().is_unspecified();
    }
    /// Says that the sender now uses the address: an ARP Announcement (RFC 5227 section 1.1).
    constexpr bool is_announcement() const noexcept {
        return operation() == arp_operation::request && !sender_protocol().is_unspecified()
               && sender_protocol() == target_protocol();
    }
};

/// An ARP packet for IPv4 over Ethernet, as a value.
struct arp_packet {
    arp_operation operation = arp_operation::request;
    mac_address sender_hardware{};
    ipv4_address sender_protocol{};
    mac_address target_hardware{};
    ipv4_address target_protocol{};

    static constexpr std::size_t size = arp_view::length; ///< octets

    static constexpr arp_packet from(arp_view v) noexcept {
        return {v.operation(), v.sender_hardware(), v.sender_protocol(), v.target_hardware(),
                v.target_protocol()};
    }

    /// Who has `target`? To be broadcast.
    static constexpr arp_packet request(mac_address own, ipv4_address own_address,
                                        ipv4_address target) noexcept {
        return {arp_operation::request, own, own_address, mac_address{}, target};
    }
    /// The answer to a request for `own_address`. RFC 826: the fields are swapped, then sent to the asker.
    static constexpr arp_packet reply(mac_address own, ipv4_address own_address, arp_view to) noexcept {
        return {arp_operation::reply, own, own_address, to.sender_hardware(), to.sender_protocol()};
    }
    /// RFC 5227 section 2.1.1: the sender protocol address is zero, so that no cache is polluted.
    static constexpr arp_packet probe(mac_address own, ipv4_address candidate) noexcept {
        return {arp_operation::request, own, ipv4_address::any(), mac_address{}, candidate};
    }
    /// RFC 5227 section 2.3: a probe whose sender and target addresses are both the address now in use.
    static constexpr arp_packet announcement(mac_address own, ipv4_address address) noexcept {
        return {arp_operation::request, own, address, mac_address{}, address};
    }

    /// Writes the packet to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "arp_packet: no room");
        auto* const p = room.data();
        arp_at::hardware_type::store(p, arp_view::ethernet);
        arp_at::protocol_type::store(p, arp_view::ipv4);
        arp_at::hardware_length::store(p, 6);
        arp_at::protocol_length::store(p, 4);
        arp_at::operation::store(p, static_cast<std::uint16_t>(operation));
        arp_at::sender_hardware::store(p, sender_hardware);
        arp_at::sender_protocol::store(p, sender_protocol);
        arp_at::target_hardware::store(p, target_hardware);
        arp_at::target_protocol::store(p, target_protocol);
    }

    friend constexpr bool operator==(const arp_packet&, const arp_packet&) noexcept = default;
};

} // namespace mirage::wire
