// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/host/network_interface.hpp"

namespace mirage::host {

/// NETIF over a TAP interface or user networking: `--net:NAME=` on the command line says which.
template <fixed_string Name>
class netif : public network_interface {
    static constexpr auto text = Name;

public:
    static constexpr std::string_view name = text.view();
    /// TAP with a vnet header has all of it; what offloads() gives depends on the command line.
    static constexpr offload capabilities{true, true, 65535, true, true};

    explicit netif(machine& home) noexcept : network_interface{home, name} {}
};

static_assert(mirage::netif<netif<"any">>);

} // namespace mirage::host
