// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/hvt/network.hpp"

namespace mirage::hvt {

/// NETIF: the network device that the tender attached under this name (`--net:NAME=...`).
template <fixed_string Name>
class netif : public ethernet {
    wait_point& waits_;

public:
    static constexpr std::string_view name = Name;

    template <class Platform>
    explicit netif(Platform& home) noexcept : ethernet{this_network.ring(), home.loop()}, waits_{home.waits()} {}

    /// Finds the device and reserves its buffers; says on the console why it cannot.
    result<> open() noexcept {
        this_network.open();
        const auto done = set_up(name);
        if (done) {
            this_network.add(*this);
            waits_.enrol(this_network);
        } else {
            put(done.error() == errc::not_found ? "hvt: the tender has not attached the network device "
                                                : "hvt: too little memory for the buffers of network device ");
            put(name);
            put("\n");
        }
        return done;
    }
};

static_assert(mirage::netif<netif<"service">>);

} // namespace mirage::hvt
