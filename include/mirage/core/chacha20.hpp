// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mirage {

/// The ChaCha20 block function (RFC 8439 section 2.3): 64 octets of key stream for a key, a block counter and a
/// nonce, both as words in host order. The constants "expand 32-byte k" are added here.
struct chacha20 {
    using key = std::array<std::uint32_t, 8>;
    using nonce = std::array<std::uint32_t, 3>;
    using block = std::array<std::uint32_t, 16>; ///< words of the key stream; serialised little-endian

    static constexpr block generate(const key& k, std::uint32_t counter, const nonce& n = {}) noexcept {
        const block start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, k[0], k[1], k[2],    k[3],
                          k[4],       k[5],       k[6],       k[7],       counter, n[0], n[1], n[2]};
        block s = start;
        for (int round = 0; round < 10; ++round) {
            for (unsigned i = 0; i < 4; ++i)
                quarter_round(s[i], s[4 + i], s[8 + i], s[12 + i]);
            for (unsigned i = 0; i < 4; ++i)
                quarter_round(s[i], s[4 + (i + 1) % 4], s[8 + (i + 2) % 4], s[12 + (i + 3) % 4]);
        }
        for (std::size_t i = 0; i < s.size(); ++i)
            s[i] += start[i];
        return s;
    }

    /// RFC 8439 section 2.1
    static constexpr void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c,
                                        std::uint32_t& d) noexcept {
        a += b, d = std::rotl(d ^ a, 16);
        c += d, b = std::rotl(b ^ c, 12);
        a += b, d = std::rotl(d ^ a, 8);
        c += d, b = std::rotl(b ^ c, 7);
    }
};

/// Random octets from a seed, as good as the seed: the key stream of ChaCha20 with fast key erasure. Each block's
/// first half becomes the next key at once, so whoever reads this memory learns nothing of what was given out.
/// (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017.)
class chacha20_generator {
    chacha20::key key_{};
    std::uint32_t counter_ = 0; ///< separates blocks under equal keys; keys do not repeat, this is a belt

public:
    /// Mixes 32 octets into the key. What was unpredictable before stays so, whatever is mixed in.
    constexpr void mix(const chacha20::key& seed) noexcept {
        for (std::size_t i = 0; i < key_.size(); ++i)
            key_[i] ^= seed[i];
        (void)half_block();
    }

    /// Overwrites `out`.
    constexpr void fill(std::span<std::byte> out) noexcept {
        while (!out.empty()) {
            const auto words = half_block();
            for (std::size_t i = 0; i < words.size() * 4 && !out.empty(); ++i) {
                out.front() = static_cast<std::byte>(words[i / 4] >> (i % 4 * 8));
                out = out.subspan(1);
            }
        }
    }

private:
    constexpr std::array<std::uint32_t, 8> half_block() noexcept {
        const auto words = chacha20::generate(key_, counter_++);
        std::array<std::uint32_t, 8> given{};
        for (std::size_t i = 0; i < 8; ++i) {
            key_[i] = words[i];
            given[i] = words[8 + i];
        }
        return given;
    }
};

} // namespace mirage
