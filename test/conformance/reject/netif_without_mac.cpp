// SPDX-License-Identifier: MIT
// expect: \bmac\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    mirage::mac_address mac() const noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
