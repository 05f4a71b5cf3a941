// SPDX-License-Identifier: MIT
// expect: result
// expect: (convert|conversion)
#include "mirage/core/errc.hpp"

int number(mirage::result<int> r) { return r; }
