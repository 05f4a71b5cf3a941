// SPDX-License-Identifier: MIT
#include "hello.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(hello<mirage::platform::console>)
