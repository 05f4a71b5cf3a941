// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include <optional>
#include <string_view>

namespace mirage::net {

/// How an interface comes by its IPv4 address: the boot options of an appliance. Plain data.
struct ipv4_options {
    ipv4_prefix ipv4{};     ///< own address and subnet, 10.0.0.2/24; unspecified: none was given
    ipv4_address gateway{}; ///< the default router; unspecified: only the subnet can be reached
    bool dhcp = false;      ///< ask a DHCP server; has no effect when `ipv4` is given
};

/// What a received packet's addresses say about it.
enum class reception : std::uint8_t {
    discard,      ///< not for us, or its addresses are not allowed on the wire; drop it silently
    unicast,      ///< sent to our address
    broadcast,    ///< sent to the limited or to our directed broadcast address
    multicast,    ///< sent to a group; the caller knows which groups it has joined
    unconfigured, ///< we have no address yet: for the DHCP client alone (RFC 2131 section 4.1)
};

/// Where a packet goes on the link.
struct next_hop {
    ipv4_address address{};           ///< whom to ask for by ARP, when `mac` is not known
    std::optional<mac_address> mac{}; ///< known without asking: broadcast and multicast
};

/// May `a` stand for a single host in a packet on the wire? RFC 1122 section 3.2.1.3
constexpr bool is_host(ipv4_address a) noexcept {
    // All of 0/8 is "this network" (RFC 6890 table 1), not only {0, 0}.
    return a.octet(0) != 0 && !a.is_loopback() && !a.is_multicast() && !a.is_reserved();
}

/// The Ethernet group address of an IPv4 multicast group. RFC 1112 section 6.4
constexpr mac_address multicast_mac(ipv4_address group) noexcept {
    return {
        {0x01, 0x00, 0x5e, static_cast<std::uint8_t>(group.octet(1) & 0x7f), group.octet(2), group.octet(3)}};
}

/// The routing table of a host with one interface: its address, its subnet and one default router.
class routing {
    ipv4_prefix own_{};
    ipv4_address gateway_{};

public:
    constexpr routing() noexcept = default;
    constexpr routing(ipv4_prefix own, ipv4_address gateway) noexcept : own_{own}, gateway_{gateway} {}

    constexpr const ipv4_prefix& own() const noexcept { return own_; }
    constexpr ipv4_address address() const noexcept { return own_.address; }
    constexpr ipv4_address gateway() const noexcept { return gateway_; }
    constexpr bool configured() const noexcept { return !own_.address.is_unspecified(); }

    /// Is `a` reached without the router?
    constexpr bool is_on_link(ipv4_address a) const noexcept { return configured() && own_.contains(a); }

    /// Does `a` mean every host of the link?
    constexpr bool is_broadcast(ipv4_address a) const noexcept {
        return a.is_limited_broadcast() || (configured() && own_.is_broadcast(a));
    }

    /// Judges the addresses of a received packet. `link_group`: the frame was sent to a broadcast or
    /// multicast MAC address. RFC 1122 sections 3.2.1.3 and 3.3.6
    constexpr reception classify(ipv4_address source, ipv4_address destination,
                                 bool link_group) const noexcept {
        if (!is_acceptable_source(source, destination))
            return reception::discard;
        if (destination.is_limited_broadcast())
            return reception::broadcast;
        if (destination.is_multicast())
            return reception::multicast;
        if (!is_host(destination))
            return reception::discard;
        if (configured() && own_.is_broadcast(destination))
            return reception::broadcast;
        // A packet for one host has no business in a frame for all: RFC 1122 section 3.3.6 (SHOULD discard).
        if (link_group)
            return reception::discard;
        if (!configured())
            return reception::unconfigured;
        return destination == own_.address ? reception::unicast : reception::discard;
    }

    /// Where a packet for `destination` goes first. RFC 1122 section 3.3.1.1
    /// errc::unreachable: no address yet, or off the subnet without a router. errc::invalid_argument:
    /// `destination` cannot be sent to on a wire (unspecified, loopback, reserved, our own address).
    constexpr result<next_hop> route(ipv4_address destination) const noexcept {
        if (destination.is_limited_broadcast()) // also before there is an address: DHCP
            return next_hop{destination, mac_address::broadcast()};
        if (destination.is_multicast())
            return next_hop{destination, multicast_mac(destination)};
        if (!is_host(destination) || destination == own_.address)
            return std::unexpected(errc::invalid_argument);
        if (!configured())
            return std::unexpected(errc::unreachable);
        if (own_.is_broadcast(destination))
            return next_hop{destination, mac_address::broadcast()};
        if (own_.contains(destination))
            return next_hop{destination, {}};
        if (gateway_.is_unspecified())
            return std::unexpected(errc::unreachable);
        // Not required to lie in the subnet: a /32 with a router on the same link is common in hosted
        // networks.
        return next_hop{gateway_, {}};
    }

private:
    /// RFC 1122 section 3.2.1.3: a source is one host. {0, 0} only from one that asks for its address; our
    /// own never comes back to us on Ethernet.
    constexpr bool is_acceptable_source(ipv4_address source, ipv4_address destination) const noexcept {
        if (source.is_unspecified())
            return destination.is_limited_broadcast();
        return is_host(source) && !(configured() && (own_.is_broadcast(source) || source == own_.address));
    }
};

/// What is wrong with `options`, as a phrase to show a person; empty when nothing is.
constexpr std::string_view problem(const ipv4_options& options) noexcept {
    const auto& own = options.ipv4;
    if (own.address.is_unspecified())
        return options.gateway.is_unspecified() || options.dhcp ? ""
                                                                : "a gateway needs an address of our own";
    if (!is_host(own.address))
        return "the address is not one that a host can have";
    if (own.length == 0)
        return "the prefix length must be 1 to 32";
    if (own.is_broadcast(own.address))
        return "the address is the broadcast address of its subnet";
    if (own.length < 31 && (own.address.value() & ~own.mask()) == 0)
        return "the address is that of the subnet itself";
    if (options.gateway.is_unspecified())
        return "";
    if (options.gateway == own.address)
        return "the gateway is our own address";
    if (!is_host(options.gateway) || own.is_broadcast(options.gateway))
        return "the gateway is not an address that a host can have";
    if (own.length < 32 && !own.contains(options.gateway))
        return "the gateway is outside of the subnet";
    return "";
}

} // namespace mirage::net
