// SPDX-License-Identifier: MIT
#include "mirage/core/check.hpp"
#include <cstdio>
#include <cstdlib>

/// A failed check is a finding: abort() makes the fuzzer keep the input. Weak, so that a target may know
/// better.
extern "C" [[gnu::weak]] void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}
