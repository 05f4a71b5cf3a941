// SPDX-License-Identifier: MIT
#include "disk.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(disk<mirage::platform::block<"disk">, mirage::platform::clock, mirage::platform::random>)
