// SPDX-License-Identifier: MIT
#pragma once
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <string>

namespace mirage::tender {

/// A value, or a sentence for a person: what is wrong, where, and what to do.
template <class T = void>
using outcome = std::expected<T, std::string>;

using failure = std::unexpected<std::string>;

/// One line on standard error, under the tender's name.
inline void say(const std::string& text) {
    std::fprintf(stderr, "mirage-hvt: %s\n", text.c_str());
}

/// The end of a tender that found something wrong: status 1, whatever the guest would have said.
[[noreturn]] inline void die(const std::string& text) {
    say(text);
    std::_Exit(1);
}

} // namespace mirage::tender
