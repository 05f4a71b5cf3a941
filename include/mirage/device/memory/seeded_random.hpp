// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include "mirage/device/random.hpp"

namespace mirage::memory {

/// RANDOM that repeats itself: the same seed, the same octets, on every machine. For tests and simulations; nothing
/// about it is secret. (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.)
class seeded_random {
    std::uint64_t state_;

public:
    explicit constexpr seeded_random(std::uint64_t seed = 1) noexcept : state_{seed} {}

    constexpr std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    /// 0 to `bound` - 1; 0 when `bound` is 0. The bias is below 2^-32 for bounds below 2^32.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
    /// True in `millionths` of 1,000,000 cases.
    constexpr bool chance(std::uint32_t millionths) noexcept { return below(1'000'000) < millionths; }

    constexpr void fill(mutable_octets out) noexcept {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < out.size(); ++i) {
            word = i % 8 == 0 ? next() : word >> 8;
            out[i] = static_cast<std::byte>(word & 0xff);
        }
    }
};

static_assert(random_source<seeded_random>);

} // namespace mirage::memory
