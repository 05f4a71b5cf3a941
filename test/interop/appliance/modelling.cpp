// SPDX-License-Identifier: MIT
#include "transfer.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(transfer::modelling_appliance<mirage::platform::netif<"service">, mirage::platform::clock,
                                               mirage::platform::random>)
