// SPDX-License-Identifier: MIT
#include "mirage/core/check.hpp"
#include <cstdio>
#include <execinfo.h>
#include <unistd.h>

/// Says what and where, with the way there (`addr2line -e IMAGE ADDRESS` names the lines), and ends the
/// process.
extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    (void)std::fflush(stdout);
    (void)std::fprintf(stderr, "panic: %s (%s:%u)\n", reason, file, line);
    (void)std::fflush(stderr);
    void* frames[32];
    ::backtrace_symbols_fd(frames, ::backtrace(frames, 32), STDERR_FILENO);
    ::_exit(255);
}
