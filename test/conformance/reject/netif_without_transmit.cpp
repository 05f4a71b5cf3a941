// SPDX-License-Identifier: MIT
// expect: \btransmit\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    mirage::result<> transmit(const mirage::transmit_frame&) noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
