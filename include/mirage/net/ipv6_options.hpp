// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ipv6_address.hpp"
#include <string_view>

namespace mirage::net {

/// How an interface comes by its IPv6 addresses: the boot options of an appliance. Plain data. A link-local address is
/// always there.
struct ipv6_options {
    ipv6_prefix ipv6{};        ///< own address and subnet; unspecified: what routers advertise (RFC 4862)
    ipv6_address gateway{};    ///< the default router; unspecified: those that advertise themselves
    /// RFC 7217: with the same secret and MAC address, addresses are the same at each boot; empty: random
    std::string_view secret{};
};

/// What is wrong with `options`, as a phrase to show a person; empty when nothing is.
constexpr std::string_view problem(const ipv6_options& options) noexcept {
    const auto bad = [](const ipv6_address& a) { return a.is_multicast() || a.is_loopback() || a.is_mapped(); };
    const ipv6_address& own = options.ipv6.address;
    if (!own.is_unspecified() && (bad(own) || own.is_link_local()))
        return "the IPv6 address is not one that a host can be given";
    if (!own.is_unspecified() && options.ipv6.length == 0)
        return "the prefix length must be 1 to 128";
    if (options.gateway.is_unspecified())
        return "";
    if (bad(options.gateway) || options.gateway == own)
        return "the IPv6 gateway is not another host";
    return "";
}

} // namespace mirage::net
