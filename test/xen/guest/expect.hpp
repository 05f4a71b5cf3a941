// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/platform.hpp"
#include <string_view>

/// What guests that test their platform say on the console: a line for each thing that is wrong.
namespace said {

inline bool all_good = true;

template <class... Values>
void say(const Values&... values) noexcept {
    mirage::line<200> l;
    (l << ... << values);
    l << '\n';
    mirage::xen::this_machine.console().write(l.view());
}

inline void expect(bool holds, std::string_view what) noexcept {
    if (!holds) {
        all_good = false;
        say("FAILED: ", what);
    }
}

} // namespace said
