// SPDX-License-Identifier: MIT
// expect: \breceive\b
// expect: \bnetif\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::netif {
    std::size_t receive(std::span<mirage::received_frame>) noexcept = delete;
};

template <mirage::netif D>
class appliance;

using wrong = appliance<device>;
