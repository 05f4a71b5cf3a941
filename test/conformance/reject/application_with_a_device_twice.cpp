// SPDX-License-Identifier: MIT
// expect: the application lists a device twice
#include "mirage/device/archetype.hpp"
#include "mirage/os/device_list.hpp"

template <mirage::netif Inside, mirage::netif Outside>
class router {};

constexpr auto manifest = mirage::os::device_list<router<mirage::archetype::netif, mirage::archetype::netif>>::types;
