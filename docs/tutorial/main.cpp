// SPDX-License-Identifier: MIT
#include "visits.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(visits<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
