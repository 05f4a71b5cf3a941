// SPDX-License-Identifier: MIT
// expect: \bqueue_depth\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    std::uint32_t queue_depth() const noexcept = delete;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
