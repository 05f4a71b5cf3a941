// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/user_network.hpp"
#include <string_view>

namespace mirage::hosted {

/// What a user network's process writes to `report` when it serves; anything else is why it cannot.
inline constexpr std::string_view network_is_ready = "ready";

/// Is a user network for the rest of this process's life, behind `cable`: one frame per read and write,
/// non-blocking. Confines the process before the first frame. Says to `report` how it began, and closes that.
/// Ends with the cable.
[[noreturn]] void be_network(unique_fd cable, unique_fd report, const std::vector<port_forward>& forwards);

} // namespace mirage::hosted
