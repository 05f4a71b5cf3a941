// SPDX-License-Identifier: MIT
// expect: \bpool\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    const mirage::buffer_pool& receive_pool() const noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
