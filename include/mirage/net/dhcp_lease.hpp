// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/wire/dhcp.hpp"
#include <array>
#include <optional>
#include <span>

namespace mirage::net {

/// What a DHCP server lets us have, and for how long. RFC 2131 section 4.4.1
struct dhcp_lease {
    static constexpr std::size_t max_dns_servers = 3;
    /// Shorter ones are refused: a server must not make us ask it without end.
    static constexpr duration shortest = std::chrono::seconds{10};

    ipv4_prefix own{};                               ///< our address and subnet
    ipv4_address gateway{};                          ///< unspecified: none
    ipv4_address server{};                           ///< who gave it
    std::array<ipv4_address, max_dns_servers> dns{}; ///< most preferred first
    std::size_t dns_count = 0;
    std::uint16_t mtu = 0;      ///< octets; 0: the server does not say
    instant renew_at = never;   ///< T1
    instant rebind_at = never;  ///< T2
    instant expires_at = never; ///< `never` when it is given for ever

    std::span<const ipv4_address> dns_servers() const noexcept { return std::span{dns}.first(dns_count); }
};

/// The prefix length that an address had before subnets, for servers that do not send a mask. RFC 950
/// section 2.1
constexpr std::uint8_t natural_prefix_length(ipv4_address a) noexcept {
    return a.octet(0) < 128 ? 8 : a.octet(0) < 192 ? 16 : 24;
}

/// Reads the lease that an offer or acknowledgement grants, counted from `requested_at`, when the request
/// left (RFC 2131 section 4.4.1). Nothing when something that every server must send is missing or cannot be
/// true.
template <random_source Random>
std::optional<dhcp_lease> read_lease(const wire::dhcp_view& message, instant requested_at,
                                     Random& random) noexcept {
    const auto server = message.server_identifier();
    const auto seconds = message.lease_time();
    if (!server || !is_host(*server) || !seconds)
        return std::nullopt;
    dhcp_lease lease{.own = {message.your_address(),
                             message.prefix_length().value_or(natural_prefix_length(message.your_address()))},
                     .server = *server,
                     .mtu = message.interface_mtu().value_or(0)};
    std::array<ipv4_address, 1> router{};
    if (message.routers(router) == 1 && is_host(router[0]) && router[0] != lease.own.address
        && (lease.own.length == 32 || lease.own.contains(router[0])))
        lease.gateway = router[0];
    if (!problem({.ipv4 = lease.own}).empty() || lease.own.address.is_unspecified())
        return std::nullopt;
    lease.dns_count = message.dns_servers(lease.dns);
    if (*seconds == 0xffffffff) // for ever: RFC 2131 section 3.3
        return lease;

    const duration length = std::chrono::seconds{*seconds};
    if (length < dhcp_lease::shortest)
        return std::nullopt;
    duration t1 = std::chrono::seconds{message.renewal_time().value_or(0)};
    duration t2 = std::chrono::seconds{message.rebinding_time().value_or(0)};
    if (t2 <= duration{} || t2 >= length)
        t2 = length / 8 * 7; // the defaults of RFC 2131 section 4.4.5
    if (t1 < dhcp_lease::shortest / 2 || t1 >= t2)
        t1 = length / 2 < t2 ? length / 2 : t2 / 2;
    // "T1 and T2 should be chosen with some random fuzz" (RFC 2131 section 4.4.5): up to a sixteenth earlier.
    const auto earlier = [&](duration most) {
        return duration{most.count() / 16 / 0x10000 * (random_integer<std::uint32_t>(random) & 0xffff)};
    };
    lease.expires_at = requested_at + length;
    lease.rebind_at = requested_at + t2 - earlier(t2 - t1);
    lease.renew_at = requested_at + t1 - earlier(t1);
    return lease;
}

} // namespace mirage::net
