// SPDX-License-Identifier: MIT
// gcc: class template argument deduction failed
// clang: fixed_string
#include "mirage/core/fixed_string.hpp"

template <mirage::fixed_string Name>
struct netif {};

constexpr const char* name = "service";

netif<name> service;
