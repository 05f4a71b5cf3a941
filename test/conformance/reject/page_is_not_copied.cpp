// SPDX-License-Identifier: MIT
// expect: deleted
// expect: page
#include "mirage/core/buffer.hpp"

void twice(mirage::page& a, mirage::page& b) { a = b; }
