// SPDX-License-Identifier: MIT
// expect: \bdiscard\b
// expect: \bdiscarding_block\b
#include "mirage/device/archetype.hpp"

template <mirage::discarding_block D>
class appliance;

using wrong = appliance<mirage::archetype::block>;
