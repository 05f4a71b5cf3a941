// SPDX-License-Identifier: MIT
#include "leased6.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(leased6<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
