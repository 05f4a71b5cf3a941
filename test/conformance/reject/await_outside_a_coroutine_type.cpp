// SPDX-License-Identifier: MIT
// expect: (promise_type|coroutine)
#include "mirage/core/task.hpp"

int work(mirage::task<int> t) { co_return co_await t; }
