// SPDX-License-Identifier: MIT
// expect: \bmtu\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    std::size_t mtu() const noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
