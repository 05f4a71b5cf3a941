// SPDX-License-Identifier: MIT
// expect: a template argument of the application is not a device
#include "mirage/device/archetype.hpp"
#include "mirage/os/device_list.hpp"

template <mirage::console Console, class Port>
class appliance {};

constexpr auto types = mirage::os::device_list<appliance<mirage::archetype::console, int>>::types;
