// SPDX-License-Identifier: MIT
#pragma once

/// Stops the unikernel: prints file, line and reason on the console and exits with status 255. Each platform
/// defines it once (the test programs define one that fails the test run).
extern "C" [[noreturn]] void mirage_panic(const char* file, unsigned line, const char* reason) noexcept;

namespace mirage {

/// A programmer's error that cannot be continued from. `reason` is static text.
///
/// File and line come by builtins: std::source_location would put the full name of every calling function, all
/// template arguments spelled out, into the image.
[[noreturn]] inline void panic(const char* reason, const char* file = __builtin_FILE(),
                               unsigned line = __builtin_LINE()) noexcept {
    mirage_panic(file, line, reason);
}

/// Stops the unikernel unless `condition` holds. Stays in release builds; not for what a peer can cause.
constexpr void check(bool condition, const char* reason, const char* file = __builtin_FILE(),
                     unsigned line = __builtin_LINE()) noexcept {
    if (!condition) [[unlikely]]
        panic(reason, file, line);
}

} // namespace mirage
