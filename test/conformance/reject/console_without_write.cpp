// SPDX-License-Identifier: MIT
// expect: \bwrite\b
// expect: \bconsole\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::console {
    void write(mirage::octets) noexcept = delete;
};

template <mirage::console D>
class appliance;

using wrong = appliance<device>;
