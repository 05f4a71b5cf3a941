// SPDX-License-Identifier: MIT
// expect: \bnow\b
// expect: \bclock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::clock {
    mirage::instant now() const noexcept = delete;
};

template <mirage::clock D>
class appliance;

using wrong = appliance<device>;
