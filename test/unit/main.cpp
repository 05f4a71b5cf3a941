// SPDX-License-Identifier: MIT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "mirage/core/check.hpp"
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}
