// SPDX-License-Identifier: MIT
#include "mirage/core/siphash.hpp"
#include <doctest/doctest.h>

namespace {

using mirage::siphash;

/// The key of every reference vector: 00 01 02 ... 0f.
constexpr mirage::siphash_key key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/// The message of the vectors: 00 01 02 ... 3e.
constexpr auto message = [] {
    std::array<std::byte, 63> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i)
        octets[i] = static_cast<std::byte>(i);
    return octets;
}();

constexpr std::uint64_t of_first(std::size_t count) {
    return siphash(key, mirage::octets{message}.first(count));
}

// "SipHash: a fast short-input PRF", appendix A
static_assert(of_first(15) == 0xa129ca6149be45e5u);

} // namespace

TEST_CASE("SipHash-2-4 gives the values of its authors' reference vectors") {
    constexpr std::array<std::uint64_t, 16> expected{
        0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu, 0x0d6c8009d9a94f5au, 0x85676696d7fb7e2du,
        0xcf2794e0277187b7u, 0x18765564cd99a68du, 0xcbc9466e58fee3ceu, 0xab0200f58b01d137u,
        0x93f5f5799a932462u, 0x9e0082df0ba9e4b0u, 0x7a5dbbc594ddb9f3u, 0xf4b32f46226bada7u,
        0x751e8fbc860ee5fbu, 0x14ea5627c0843d90u, 0xf723ca908e7af2eeu, 0xa129ca6149be45e5u};
    for (std::size_t length = 0; length < expected.size(); ++length) {
        CAPTURE(length);
        CHECK(of_first(length) == expected[length]);
    }
    CHECK(of_first(63) == 0x958a324ceb064572u);
}

TEST_CASE("hashing words is hashing their little-endian octets") {
    static_assert(siphash(key) == of_first(0));
    CHECK(siphash(key, std::uint64_t{0x0706050403020100u}) == of_first(8));
    CHECK(siphash(key, std::uint64_t{0x0706050403020100u}, std::uint64_t{0x0f0e0d0c0b0a0908u})
          == of_first(16));
}

TEST_CASE("every bit of key and message matters") {
    const auto base = siphash(key, std::uint64_t{42});
    for (unsigned bit = 0; bit < 64; ++bit) {
        CHECK(siphash(key, std::uint64_t{42} ^ std::uint64_t{1} << bit) != base);
        CHECK(siphash({key.k0 ^ std::uint64_t{1} << bit, key.k1}, std::uint64_t{42}) != base);
        CHECK(siphash({key.k0, key.k1 ^ std::uint64_t{1} << bit}, std::uint64_t{42}) != base);
    }
}

TEST_CASE("trailing zero octets change the value: the length is hashed") {
    constexpr std::array<std::byte, 17> zeros{};
    for (std::size_t n = 0; n < 17; ++n)
        CHECK(siphash(key, mirage::octets{zeros}.first(n))
              != siphash(key, mirage::octets{zeros}.first(n + 1)));
}
