// SPDX-License-Identifier: MIT
// expect: \bfill\b
// expect: \brandom_source\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::random_source {
    void fill(mirage::mutable_octets);
};

template <mirage::random_source D>
class appliance;

using wrong = appliance<device>;
