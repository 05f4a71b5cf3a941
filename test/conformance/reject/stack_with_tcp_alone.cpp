// SPDX-License-Identifier: MIT
// expect: a transport layer \(tcp, udp, icmp\) needs an IP layer
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"

using namespace mirage;

template class net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::tcp<>>;
