// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/ipv6_options.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/os/keys.hpp"

namespace mirage::os {

/// The boot keys of an IPv4 interface, as a group for `os::keys`: `os::network_keys<&options::network>()`,
/// where `network` is a net::ipv4_options. For applications that run a net::dhcp when `network.dhcp` says so.
template <auto Member>
constexpr auto network_keys() noexcept {
    using net::ipv4_options;
    return group<Member>(
        keys(key<&ipv4_options::ipv4>{"ipv4", "own address and subnet"},
             key<&ipv4_options::gateway>{"ipv4-gateway", "the router to everywhere else"},
             key<&ipv4_options::dhcp>{"dhcp", "ask a DHCP server when no address is given"}));
}

/// The same without DHCP: for applications that leave UDP out.
template <auto Member>
constexpr auto static_network_keys() noexcept {
    using net::ipv4_options;
    return group<Member>(keys(key<&ipv4_options::ipv4>{"ipv4", "own address and subnet"},
                              key<&ipv4_options::gateway>{"ipv4-gateway", "the router to everywhere else"}));
}

/// Those of IPv6, where `Member` is a net::ipv6_options.
template <auto Member>
constexpr auto ipv6_keys() noexcept {
    using net::ipv6_options;
    return group<Member>(keys(key<&ipv6_options::ipv6>{"ipv6", "own address and subnet, auto: from routers"},
                              key<&ipv6_options::gateway>{"ipv6-gateway", "the router to everywhere else"},
                              key<&ipv6_options::secret>{"ipv6-secret",
                                                         "with the same MAC address, gives the same addresses"}));
}

} // namespace mirage::os
