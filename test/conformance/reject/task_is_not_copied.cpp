// SPDX-License-Identifier: MIT
// expect: deleted
// expect: task
#include "mirage/core/task.hpp"

mirage::task<int> twice(mirage::task<int>& t) { return t; }
