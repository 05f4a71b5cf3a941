// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/routing.hpp"
#include "mirage/os/keys.hpp"

namespace mirage::os {

/// The boot keys of an interface's address, for applications with a `net::ipv4_options` among their options:
/// `os::group<&options::network>(os::network_keys)`.
inline constexpr auto network_keys =
    keys(key<&net::ipv4_options::ipv4>{"ipv4", "own address and subnet, 10.0.0.2/24 for example"},
         key<&net::ipv4_options::gateway>{"gateway", "default router; without one only the subnet is reached"},
         key<&net::ipv4_options::dhcp>{"dhcp", "get address, subnet and router from a DHCP server"});

} // namespace mirage::os
