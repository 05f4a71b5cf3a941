// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/host.hpp"

namespace mirage {

/// The platform that this image is built for: the include path chooses it.
using platform = host::platform;

} // namespace mirage
