// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <concepts>

namespace mirage {

namespace console_requires {
template <class D>
concept write = requires(D dev, octets text) {
    { dev.write(text) } noexcept -> std::same_as<void>;
};
} // namespace console_requires

/// CONSOLE: where an appliance says what it does. `dev.write(text)` puts all octets out in order; it never blocks
/// for ever, and what was written before a panic is out before the machine stops.
template <class D>
concept console = console_requires::write<D>;

} // namespace mirage
