// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <concepts>

namespace mirage {

/// The secret of a SipHash: 16 octets of a random_source, drawn once at boot.
struct siphash_key {
    std::uint64_t k0 = 0; ///< octets 0-7 of the key, little-endian
    std::uint64_t k1 = 0; ///< octets 8-15 of the key, little-endian

    friend constexpr bool operator==(const siphash_key&, const siphash_key&) noexcept = default;
};

namespace siphash_detail {

/// The four words of state and the rounds over them (Aumasson and Bernstein, "SipHash: a fast short-input
/// PRF", section 2).
class state {
    std::uint64_t v0_, v1_, v2_, v3_;

    constexpr void round() noexcept {
        v0_ += v1_;
        v2_ += v3_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v1_;
        v0_ += v3_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ = std::rotl(v2_, 32);
    }

public:
    constexpr explicit state(const siphash_key& key) noexcept
        : v0_{key.k0 ^ 0x736f6d6570736575u}, v1_{key.k1 ^ 0x646f72616e646f6du},
          v2_{key.k0 ^ 0x6c7967656e657261u}, v3_{key.k1 ^ 0x7465646279746573u} {}

    constexpr void compress(std::uint64_t word) noexcept {
        v3_ ^= word;
        round();
        round();
        v0_ ^= word;
    }
    constexpr std::uint64_t finish() noexcept {
        v2_ ^= 0xff;
        for (int i = 0; i < 4; ++i)
            round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }
};

constexpr std::uint64_t little_endian(std::uint64_t word) noexcept {
    return std::endian::native == std::endian::little ? word : std::byteswap(word);
}

} // namespace siphash_detail

/// SipHash-2-4 of `message`: a keyed 64-bit pseudo-random function. Whoever does not know `key` can neither
/// predict a value nor find two messages that share one. Serves hash tables and RFC 6528 section 3; it is not
/// a general cryptographic hash.
constexpr std::uint64_t siphash(const siphash_key& key, octets message) noexcept {
    siphash_detail::state state{key};
    const std::size_t whole = message.size() / 8 * 8;
    for (std::size_t at = 0; at < whole; at += 8) {
        std::array<std::byte, 8> raw{};
        std::copy_n(message.data() + at, 8, raw.begin());
        state.compress(siphash_detail::little_endian(std::bit_cast<std::uint64_t>(raw)));
    }
    std::uint64_t last = std::uint64_t{message.size()} << 56; // the length modulo 256 is the last octet
    for (std::size_t at = whole; at < message.size(); ++at)
        last |= std::to_integer<std::uint64_t>(message[at]) << (8 * (at - whole));
    state.compress(last);
    return state.finish();
}

/// SipHash-2-4 of the concatenated little-endian octets of `words`: the same value as the overload above,
/// without a trip through memory. What a connection table wants.
template <std::same_as<std::uint64_t>... Words>
constexpr std::uint64_t siphash(const siphash_key& key, Words... words) noexcept {
    siphash_detail::state state{key};
    (state.compress(words), ...);
    state.compress(std::uint64_t{8 * sizeof...(Words)} << 56);
    return state.finish();
}

} // namespace mirage
