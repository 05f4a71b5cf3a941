// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <array>
#include <bit>
#include <cstdint>

namespace transfer {

/// SHA-256 (FIPS 180-4) of octets that come in pieces.
class sha256 {
    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::uint8_t, 64> block_{};
    std::uint64_t taken_ = 0;

    static constexpr std::array<std::uint32_t, 64> round_constants{
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    constexpr void compress() noexcept {
        std::array<std::uint32_t, 64> w{};
        for (std::size_t i = 0; i < 16; ++i)
            w[i] = std::uint32_t{block_[4 * i]} << 24 | std::uint32_t{block_[4 * i + 1]} << 16
                   | std::uint32_t{block_[4 * i + 2]} << 8 | block_[4 * i + 3];
        for (std::size_t i = 16; i < 64; ++i) {
            const auto a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7]
                   + (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t i = 0; i < 64; ++i) {
            const auto one = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g))
                             + round_constants[i] + w[i];
            const auto two = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
        }
        const std::array<std::uint32_t, 8> sum{a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i)
            state_[i] += sum[i];
    }

    constexpr void take(std::uint8_t octet) noexcept {
        block_[taken_ % 64] = octet;
        if (++taken_ % 64 == 0)
            compress();
    }

public:
    constexpr void update(mirage::octets text) noexcept {
        for (const std::byte o : text)
            take(static_cast<std::uint8_t>(o));
    }

    /// The digest of everything so far, in hexadecimal. No update() after it.
    constexpr std::array<char, 64> finish() noexcept {
        const std::uint64_t bits = taken_ * 8;
        take(0x80);
        while (taken_ % 64 != 56)
            take(0);
        for (int shift = 56; shift >= 0; shift -= 8)
            take(static_cast<std::uint8_t>(bits >> shift));
        std::array<char, 64> text{};
        for (std::size_t i = 0; i < 64; ++i)
            text[i] = "0123456789abcdef"[state_[i / 8] >> (28 - 4 * (i % 8)) & 15];
        return text;
    }
};

// FIPS 180-4's own example, and a text that ends where the length no longer fits its block
static_assert([] {
    constexpr std::array abc{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
    sha256 hash;
    hash.update(abc);
    const auto text = hash.finish();
    return std::string_view{text.data(), text.size()}
           == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
}());
static_assert([] {
    std::array<std::byte, 56> letters{};
    for (std::size_t i = 0; i < 56; ++i)
        letters[i] = static_cast<std::byte>('a' + i / 4 + i % 4);
    sha256 hash;
    hash.update(letters);
    const auto text = hash.finish();
    return std::string_view{text.data(), text.size()}
           == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
}());

} // namespace transfer
