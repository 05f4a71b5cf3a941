// SPDX-License-Identifier: MIT
//
// The least application: greets, echoes its arguments, and ends with status 0.
#include "mirage/hvt/console.hpp"
#include "mirage/platform.hpp"

template <mirage::console Console>
class hello {};

MIRAGE_PLATFORM_NOTES(hello<mirage::platform::console>)

int mirage_application(mirage::platform& here) noexcept {
    mirage::hvt::put("hello from hvt\n");
    if (!here.command_line().empty()) {
        mirage::hvt::put(here.command_line());
        mirage::hvt::put("\n");
    }
    return 0;
}
