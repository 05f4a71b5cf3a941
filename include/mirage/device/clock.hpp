// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include <concepts>

namespace mirage {

namespace clock_requires {
template <class D>
concept now = requires(const D dev) {
    { dev.now() } noexcept -> std::same_as<instant>;
};
template <class D>
concept wall = requires(const D dev) {
    { dev.wall() } noexcept -> std::same_as<wall_time>;
};
} // namespace clock_requires

/// TIME. `dev.now()`: monotonic nanoseconds, never going back, unaffected by the setting of clocks; cheap enough
/// for every packet. `dev.wall()`: UTC, may jump; may cost a hypercall.
template <class D>
concept clock = clock_requires::now<D> && clock_requires::wall<D>;

} // namespace mirage
