// SPDX-License-Identifier: MIT
// expect: error: ignoring
// expect: nodiscard
#include "mirage/core/task.hpp"

mirage::task<> work();

void forgets_to_await() { work(); }
