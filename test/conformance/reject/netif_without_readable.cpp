// SPDX-License-Identifier: MIT
// expect: \breadable\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    mirage::event& readable() noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
