// SPDX-License-Identifier: MIT
#include "leased.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(guarded<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
