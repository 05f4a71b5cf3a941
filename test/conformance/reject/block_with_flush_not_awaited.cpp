// SPDX-License-Identifier: MIT
// expect: \bflush\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct device : mirage::archetype::block {
    void flush() noexcept;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
