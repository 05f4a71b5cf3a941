// SPDX-License-Identifier: MIT
#include "beast.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(beast_server::appliance<mirage::platform::netif<"service">, mirage::platform::clock,
                                         mirage::platform::random>)
