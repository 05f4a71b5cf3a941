// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/host/clock.hpp"
#include "mirage/host/console.hpp"
#include "mirage/host/machine.hpp"
#include "mirage/host/random.hpp"

namespace mirage::host {

template <fixed_string Name>
class netif;
template <fixed_string Name>
class block;

/// An ordinary Linux process: for development, debuggers, sanitizers and native measurements.
class platform : public machine {
public:
    using console = host::console;
    using clock = host::clock;
    using random = host::random;
    template <fixed_string Name>
    using netif = host::netif<Name>;
    template <fixed_string Name>
    using block = host::block<Name>;
};

} // namespace mirage::host
