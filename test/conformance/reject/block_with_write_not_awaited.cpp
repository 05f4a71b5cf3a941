// SPDX-License-Identifier: MIT
// expect: \bwrite\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    int write(std::uint64_t, mirage::octets) noexcept;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
