// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/device/clock.hpp"
#include "mirage/xen/machine.hpp"

namespace mirage::xen {

class platform;

/// Xen's time: monotonic from the TSC, scaled as shared_info says; UTC from there, too. No hypercall.
class clock {
public:
    explicit clock(platform&) noexcept {}
    static result<> open() noexcept { return {}; }

    static instant now() noexcept { return this_machine.now(); }
    static wall_time wall() noexcept { return this_machine.wall(); }
};

static_assert(mirage::clock<clock>);

} // namespace mirage::xen
