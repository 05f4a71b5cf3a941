// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"

namespace mirage::tender {

/// From here on this process can do what serving the guest needs, and nothing else: no new privileges, no
/// capabilities, a list of system calls that kills on any other, for every thread.
outcome<> enter_sandbox();

} // namespace mirage::tender
