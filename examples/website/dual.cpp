// SPDX-License-Identifier: MIT
#include "website.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(website6<mirage::platform::netif<"service">, mirage::platform::console, mirage::platform::clock,
                          mirage::platform::random>)
