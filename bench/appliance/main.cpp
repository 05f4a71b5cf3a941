// SPDX-License-Identifier: MIT
#include "appliance.hpp"

MIRAGE_UNIKERNEL(bench_appliance<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
