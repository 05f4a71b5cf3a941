// SPDX-License-Identifier: MIT
#include "resolve.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(resolve<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
