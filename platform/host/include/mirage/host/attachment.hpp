// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/host/machine.hpp"
#include <cstddef>
#include <string_view>

namespace mirage::host {

/// A descriptor that gives and takes one Ethernet frame per read and write, without blocking; and what is
/// behind it.
struct attachment {
    int descriptor = -1;
    bool offloads = false; ///< each frame has a hosted::offload_header in front
    std::size_t mtu = 1500;
    std::string_view device{}; ///< the TAP interface's name; empty for user networking
    bool up = true;            ///< false: nothing goes through before somebody sets it up
};

/// Connects the application's interface `name` to what `--net:NAME=` says: an existing TAP interface, or user
/// networking. An error has been said, with what can be done about it. The caller closes the descriptor.
result<attachment> attach(const machine& home, std::string_view name) noexcept;

/// The Ethernet address that `--net-mac:NAME=` gives, or a random locally administered one. An error has been
/// said.
result<mac_address> choose_mac(const machine& home, std::string_view name) noexcept;

} // namespace mirage::host
