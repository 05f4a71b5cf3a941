// SPDX-License-Identifier: MIT
// expect: \bwall\b
// expect: \bclock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::clock {
    mirage::instant wall() const noexcept;
};

template <mirage::clock D>
class appliance;

using wrong = appliance<device>;
