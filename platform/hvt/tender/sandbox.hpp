// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"

namespace mirage::tender {

/// From here on all threads of this process can make the system calls that serving the guest needs; any other
/// kills it. Needs hosted::drop_privileges(), which is to come before the first thread starts.
/// `debugging`: setting registers and breakpoints is part of it. `dumping`: giving a core its name is.
/// `deprivileged`: setting registers is, for a guest whose ring 0 is ours.
outcome<> enter_sandbox(bool debugging, bool dumping, bool deprivileged);

} // namespace mirage::tender
