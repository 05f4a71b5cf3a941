// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <concepts>

namespace mirage {

namespace random_requires {
template <class D>
concept fill = requires(D dev, mutable_octets out) {
    { dev.fill(out) } noexcept -> std::same_as<void>;
};
} // namespace random_requires

/// RANDOM: `dev.fill(out)` overwrites all of `out` with cryptographically strong octets. Never fails, never
/// blocks: a platform that has no entropy does not get as far as running the application.
template <class D>
concept random_source = random_requires::fill<D>;

/// One unsigned integer of `source`.
template <std::unsigned_integral T, random_source R>
T random_integer(R& source) noexcept {
    T value{};
    source.fill(std::as_writable_bytes(std::span{&value, 1}));
    return value;
}

} // namespace mirage
