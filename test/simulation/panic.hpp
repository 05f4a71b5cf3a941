// SPDX-License-Identifier: MIT
#pragma once
#include <cstdio>
#include <cstdlib>

// A program that uses the library says what happens when a check fails: this one's test does. Included by its main file alone.
extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::printf("panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}
