// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/field.hpp"

namespace mirage::wire {

/// Protocol numbers of the Ethernet type field (RFC 9542 appendix B.1). Other values are legal.
enum class ethertype : std::uint16_t {
    ipv4 = 0x0800,
    arp = 0x0806,
    vlan = 0x8100,         ///< IEEE 802.1Q, customer tag
    ipv6 = 0x86dd,
    service_vlan = 0x88a8, ///< IEEE 802.1Q, service tag (once IEEE 802.1ad)
};

namespace ethernet_at { // RFC 894; IEEE 802.3 section 3.1.1
using destination = field<mac_address, 0>;
using source = field<mac_address, 6>;
using type = field<std::uint16_t, 12>;
} // namespace ethernet_at

/// An Ethernet II frame without its FCS, read in place.
class ethernet_view {
    octets octets_;
    explicit constexpr ethernet_view(octets o) noexcept : octets_{o} {}

public:
    static constexpr std::size_t header_length = 14;  ///< octets
    static constexpr std::size_t min_frame = 60;      ///< octets: shorter frames are padded by the sender
    static constexpr std::uint16_t min_type = 0x0600; ///< below it the field is an IEEE 802.3 length

    /// errc::truncated, or errc::unsupported for an IEEE 802.3 frame, whose third field is a length (RFC 1042
    /// encapsulation, which RFC 1122 section 2.3.3 does not require).
    static constexpr result<ethernet_view> parse(octets frame) noexcept {
        if (frame.size() < header_length)
            return std::unexpected(errc::truncated);
        if (ethernet_at::type::load(frame.data()) < min_type)
            return std::unexpected(errc::unsupported);
        return ethernet_view{frame};
    }

    constexpr mac_address destination() const noexcept {
        return ethernet_at::destination::load(octets_.data());
    }
    constexpr mac_address source() const noexcept { return ethernet_at::source::load(octets_.data()); }
    constexpr ethertype type() const noexcept { return ethertype{ethernet_at::type::load(octets_.data())}; }

    /// What follows the header, with any padding.
    constexpr octets payload() const noexcept { return octets_.subspan(header_length); }
};

/// The header of an Ethernet II frame.
struct ethernet_header {
    mac_address destination{};
    mac_address source{};
    ethertype type = ethertype::ipv4;

    static constexpr std::size_t size = ethernet_view::header_length; ///< octets

    /// Writes the header to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "ethernet_header: no room");
        ethernet_at::destination::store(room.data(), destination);
        ethernet_at::source::store(room.data(), source);
        ethernet_at::type::store(room.data(), static_cast<std::uint16_t>(type));
    }

    friend constexpr bool operator==(const ethernet_header&, const ethernet_header&) noexcept = default;
};

} // namespace mirage::wire
