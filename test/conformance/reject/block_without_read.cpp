// SPDX-License-Identifier: MIT
// expect: \bread\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    mirage::archetype::block_operation read(std::uint64_t, mirage::mutable_octets) noexcept = delete;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
