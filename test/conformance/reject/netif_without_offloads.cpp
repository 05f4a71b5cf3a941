// SPDX-License-Identifier: MIT
// expect: \boffloads\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    mirage::offload offloads() const noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
