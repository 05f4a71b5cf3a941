// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen.hpp"

namespace mirage {

/// The platform of this build: the include path has picked it.
using platform = xen::platform;

} // namespace mirage

/// What the platform's tools look for in the image, beside code and data.
#define MIRAGE_PLATFORM_NOTES(...) MIRAGE_XEN_NOTES(__VA_ARGS__)
