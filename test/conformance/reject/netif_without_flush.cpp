// SPDX-License-Identifier: MIT
// expect: \bflush\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    void flush() noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
