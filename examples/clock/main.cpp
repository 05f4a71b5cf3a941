// SPDX-License-Identifier: MIT
#include "clock.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(wall_clock<mirage::platform::clock>)
