// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

namespace mirage {

/// The version of the library, as in meson.build.
inline constexpr std::string_view version = "0.1.0";

} // namespace mirage
