// SPDX-License-Identifier: MIT
#include "appliance.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(bench_appliance<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
