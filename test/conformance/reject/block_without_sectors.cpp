// SPDX-License-Identifier: MIT
// expect: \bgeometry\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    std::uint64_t sectors() const noexcept = delete;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
