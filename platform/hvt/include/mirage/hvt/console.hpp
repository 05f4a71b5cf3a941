// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/device/console.hpp"
#include "mirage/hvt/hypercall.hpp"

namespace mirage::hvt {

class platform;

/// The tender's standard output. Every write is one exit: hand over whole lines.
class console {
public:
    explicit console(platform&) noexcept {}
    static result<> open() noexcept { return {}; }
    static void write(octets text) noexcept {
        if (!text.empty())
            put(text);
    }
};

static_assert(mirage::console<console>);

} // namespace mirage::hvt
