// SPDX-License-Identifier: MIT
#pragma once
#include <source_location>

/// Stops the unikernel: prints file, line and reason on the console and exits with status 255. Each platform
/// defines it once (the test programs define one that fails the test run).
extern "C" [[noreturn]] void mirage_panic(const char* file, unsigned line, const char* reason) noexcept;

namespace mirage {

/// A programmer's error that cannot be continued from. `reason` is static text.
[[noreturn]] inline void panic(const char* reason,
                               std::source_location at = std::source_location::current()) noexcept {
    mirage_panic(at.file_name(), static_cast<unsigned>(at.line()), reason);
}

/// Stops the unikernel unless `condition` holds. Stays in release builds; not for what a peer can cause.
constexpr void check(bool condition, const char* reason,
                     std::source_location at = std::source_location::current()) noexcept {
    if (!condition) [[unlikely]]
        panic(reason, at);
}

} // namespace mirage
