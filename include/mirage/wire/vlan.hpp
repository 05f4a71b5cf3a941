// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/ethernet.hpp"

namespace mirage::wire {

/// What stands between the source address and the type of a frame of a virtual LAN. IEEE 802.1Q-2018 section 9.6
struct vlan_tag {
    /// vlan: a customer's tag. service_vlan: a provider's, around a customer's (once IEEE 802.1ad).
    ethertype protocol = ethertype::vlan;
    std::uint16_t id = 1;       ///< 1 to 4094
    std::uint8_t priority = 0;  ///< 0 to 7: priority code point
    bool drop_eligible = false; ///< to be dropped first

    static constexpr std::size_t size = 4, at = 12; ///< octets; offset in a frame
    static constexpr std::uint16_t max_id = 4094;   ///< 4095 is reserved, and 0 means: a priority, but no VLAN

    /// Reads the tag of a frame. errc::truncated; errc::unsupported when another type stands in its place.
    static constexpr result<vlan_tag> parse(octets frame, ethertype protocol) noexcept {
        if (frame.size() < ethernet_header::size + size)
            return std::unexpected(errc::truncated);
        if (load<std::uint16_t>(frame.data() + at) != static_cast<std::uint16_t>(protocol))
            return std::unexpected(errc::unsupported);
        const auto control = load<std::uint16_t>(frame.data() + at + 2);
        return vlan_tag{.protocol = protocol,
                        .id = static_cast<std::uint16_t>(control & 0xfff),
                        .priority = static_cast<std::uint8_t>(control >> 13),
                        .drop_eligible = (control & 0x1000) != 0};
    }

    /// Writes the tag to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "vlan_tag: no room");
        store<std::uint16_t>(room.data(), static_cast<std::uint16_t>(protocol));
        store<std::uint16_t>(room.data() + 2, static_cast<std::uint16_t>(priority << 13 | (drop_eligible ? 0x1000 : 0) | id));
    }

    friend constexpr bool operator==(const vlan_tag&, const vlan_tag&) noexcept = default;
};

} // namespace mirage::wire
