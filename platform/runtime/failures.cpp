// SPDX-License-Identifier: MIT
//
// What libstdc++'s containers report by exception elsewhere. Each failure names itself and ends the unikernel.
#include "mirage/core/check.hpp"
#include <new>
#include <vector>

using mirage::panic;

namespace std {
[[gnu::noreturn]] void __throw_bad_alloc();
[[gnu::noreturn]] void __throw_bad_array_new_length();
[[gnu::noreturn]] void __throw_bad_function_call();
[[gnu::noreturn]] void __throw_length_error(const char* what);
[[gnu::noreturn]] void __throw_logic_error(const char* what);
[[gnu::noreturn]] void __throw_invalid_argument(const char* what);
[[gnu::noreturn]] void __throw_out_of_range(const char* what);
[[gnu::noreturn]] void __throw_out_of_range_fmt(const char* what, ...);
[[gnu::noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char* function,
                                        const char* condition) noexcept;

void __throw_bad_alloc() { panic("out of memory"); }
void __throw_bad_array_new_length() { panic("array size overflows"); }
void __throw_bad_function_call() { panic("empty std::function called"); }
void __throw_length_error(const char* what) { panic(what); }
void __throw_logic_error(const char* what) { panic(what); }
void __throw_invalid_argument(const char* what) { panic(what); }
void __throw_out_of_range(const char* what) { panic(what); }
void __throw_out_of_range_fmt(const char* what, ...) { panic(what); }
void __glibcxx_assert_fail(const char* file, int line, const char*, const char* condition) noexcept {
    mirage_panic(file, static_cast<unsigned>(line), condition);
}
} // namespace std
