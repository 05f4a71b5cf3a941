// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/octets.hpp"
#include <algorithm>

/// What the fuzzer calls with each input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

/// The input as octets. Its memory is exactly this long, so that AddressSanitizer sees every step outside.
inline mirage::octets input(const std::uint8_t* data, std::size_t size) noexcept {
    return std::as_bytes(std::span{data, size});
}

/// A finding, unless `condition` holds.
inline void expect(bool condition, const char* what,
                   const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) noexcept {
    mirage::check(condition, what, file, line);
}

inline bool same(mirage::octets a, mirage::octets b) noexcept {
    return std::ranges::equal(a, b);
}

/// Uses a value, and reads every octet of a span, so that neither the compiler nor luck leaves the access
/// out.
template <class T>
void touch(const T& value) noexcept {
    asm volatile("" : : "r"(&value) : "memory");
}
inline void touch(mirage::octets o) noexcept {
    unsigned s = 0;
    for (const auto octet : o)
        s += std::to_integer<unsigned>(octet);
    asm volatile("" : : "r"(s));
}

} // namespace fuzz
