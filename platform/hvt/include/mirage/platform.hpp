// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt.hpp"

namespace mirage {

/// The platform of this build: the include path has picked it.
using platform = hvt::platform;

} // namespace mirage

/// What the platform's loader needs in the image, beside code and data.
#define MIRAGE_PLATFORM_NOTES(...) MIRAGE_HVT_NOTES(__VA_ARGS__)
