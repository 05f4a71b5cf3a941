// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/random.hpp"
#include "mirage/hvt/entropy.hpp"
#include "mirage/hvt/machine.hpp"
#include "mirage/runtime/random.hpp"

namespace mirage::hvt {

class platform;

/// ChaCha20 over the machine's entropy.
class random : public runtime::generator<random> {
public:
    explicit random(platform&) noexcept {}
    static instant now() noexcept { return this_machine.now(); }
    static chacha20::key entropy() noexcept { return gather_entropy(); }
};

static_assert(mirage::random_source<random>);

} // namespace mirage::hvt
