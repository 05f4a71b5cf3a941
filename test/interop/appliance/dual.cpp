// SPDX-License-Identifier: MIT
#include "transfer.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(transfer::dual_appliance<mirage::platform::netif<"service">, mirage::platform::clock,
                                          mirage::platform::random>)
