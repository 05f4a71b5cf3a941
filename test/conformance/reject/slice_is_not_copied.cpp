// SPDX-License-Identifier: MIT
// expect: deleted
// expect: slice
#include "mirage/core/buffer.hpp"

mirage::slice twice(mirage::slice& s) { return s; }
