// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace mirage {

/// SHA-256 of a stream of octets (FIPS 180-4 section 6.2): update() as they come, then finish() once.
class sha256 {
    static constexpr std::size_t block = 64;
    static constexpr std::array<std::uint32_t, 64> constants{
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, block> partial_{};
    std::uint64_t length_ = 0; ///< octets

    static constexpr std::uint32_t big_endian(const std::byte* at) noexcept {
        std::array<std::byte, 4> raw{};
        std::copy_n(at, 4, raw.begin());
        const auto word = std::bit_cast<std::uint32_t>(raw);
        return std::endian::native == std::endian::little ? std::byteswap(word) : word;
    }

    /// FIPS 180-4 section 6.2.2. The message schedule is kept in a ring of sixteen words.
    constexpr void compress(const std::byte* at) noexcept {
        std::array<std::uint32_t, 16> w{};
        for (std::size_t i = 0; i < 16; ++i)
            w[i] = big_endian(at + 4 * i);
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t t = 0; t < 64; t += 8) {
            // Eight rounds with the variables turning instead of moving.
            const auto round = [&](std::uint32_t p, std::uint32_t q, std::uint32_t r, std::uint32_t& s,
                                   std::uint32_t x, std::uint32_t y, std::uint32_t z, std::uint32_t& v,
                                   std::size_t i) {
                if (i >= 16) {
                    const std::uint32_t w15 = w[(i - 15) % 16], w2 = w[(i - 2) % 16];
                    w[i % 16] += (std::rotr(w15, 7) ^ std::rotr(w15, 18) ^ w15 >> 3) + w[(i - 7) % 16]
                                 + (std::rotr(w2, 17) ^ std::rotr(w2, 19) ^ w2 >> 10);
                }
                const std::uint32_t t1 = v + (std::rotr(x, 6) ^ std::rotr(x, 11) ^ std::rotr(x, 25))
                                         + (z ^ (x & (y ^ z))) + constants[i] + w[i % 16];
                s += t1;
                v = t1 + (std::rotr(p, 2) ^ std::rotr(p, 13) ^ std::rotr(p, 22)) + ((p & q) | (r & (p | q)));
            };
            round(a, b, c, d, e, f, g, h, t);
            round(h, a, b, c, d, e, f, g, t + 1);
            round(g, h, a, b, c, d, e, f, t + 2);
            round(f, g, h, a, b, c, d, e, t + 3);
            round(e, f, g, h, a, b, c, d, t + 4);
            round(d, e, f, g, h, a, b, c, t + 5);
            round(c, d, e, f, g, h, a, b, t + 6);
            round(b, c, d, e, f, g, h, a, t + 7);
        }
        const std::array<std::uint32_t, 8> turned{a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i)
            state_[i] += turned[i];
    }

public:
    using digest = std::array<std::byte, 32>;

    /// Adds octets. Whole blocks are read where they lie.
    constexpr void update(octets text) noexcept {
        const std::size_t held = length_ % block;
        length_ += text.size();
        if (held != 0) {
            const std::size_t n = std::min(block - held, text.size());
            std::copy_n(text.data(), n, partial_.data() + held);
            text = text.subspan(n);
            if (held + n < block)
                return;
            compress(partial_.data());
        }
        for (; text.size() >= block; text = text.subspan(block))
            compress(text.data());
        std::copy_n(text.data(), text.size(), partial_.data());
    }

    /// The digest of everything added. Afterwards the object is used up.
    constexpr digest finish() noexcept {
        const std::uint64_t bits = length_ * 8; // FIPS 180-4 section 5.1.1
        std::array<std::byte, 2 * block> padding{std::byte{0x80}};
        const std::size_t held = length_ % block;
        const std::size_t size = (held < 56 ? 56 : 120) - held;
        for (std::size_t i = 0; i < 8; ++i)
            padding[size + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
        update(octets{padding}.first(size + 8));
        digest d{};
        for (std::size_t i = 0; i < d.size(); ++i)
            d[i] = static_cast<std::byte>(state_[i / 4] >> (24 - 8 * (i % 4)));
        return d;
    }
};

/// Sixty-four hexadecimal digits.
constexpr std::array<char, 64> to_hex(const sha256::digest& d) noexcept {
    std::array<char, 64> text{};
    for (std::size_t i = 0; i < d.size(); ++i) {
        text[2 * i] = "0123456789abcdef"[std::to_integer<unsigned>(d[i]) >> 4];
        text[2 * i + 1] = "0123456789abcdef"[std::to_integer<unsigned>(d[i]) & 15];
    }
    return text;
}

} // namespace mirage
