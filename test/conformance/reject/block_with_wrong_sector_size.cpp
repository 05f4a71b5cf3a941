// SPDX-License-Identifier: MIT
// expect: \bgeometry\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    unsigned long sector_size() const noexcept;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
