// SPDX-License-Identifier: MIT
#include "echo.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(echo<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
