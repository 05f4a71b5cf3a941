// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/device/console.hpp"
#include "mirage/xen/machine.hpp"

namespace mirage::xen {

class platform;

/// The domain's console: `xl console`, and the log that xenconsoled keeps.
class console {
public:
    explicit console(platform&) noexcept {}
    static result<> open() noexcept { return {}; }
    static void write(octets text) noexcept { this_machine.console().write(text); }
};

static_assert(mirage::console<console>);

} // namespace mirage::xen
