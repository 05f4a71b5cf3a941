// SPDX-License-Identifier: MIT
#include "mirage/core/chacha20.hpp"
#include <algorithm>
#include <doctest/doctest.h>

using mirage::chacha20;
using mirage::chacha20_generator;

namespace {

consteval bool quarter_round_vector() {
    std::uint32_t a = 0x11111111, b = 0x01020304, c = 0x9b8d6f43, d = 0x01234567;
    chacha20::quarter_round(a, b, c, d);
    return a == 0xea2a92f4 && b == 0xcb1cf8ce && c == 0x4581472e && d == 0x5881c4bb;
}

constexpr chacha20::key counting_key{0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                     0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c};

consteval bool block_vector() {
    constexpr chacha20::block expected{0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
                                       0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                       0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
    return chacha20::generate(counting_key, 1, {0x09000000, 0x4a000000, 0}) == expected;
}

} // namespace

static_assert(quarter_round_vector(), "RFC 8439 section 2.1.1");
static_assert(block_vector(), "RFC 8439 section 2.3.2");

TEST_CASE("ChaCha20 key stream of the zero key (RFC 8439 appendix A.1, test vector 1)") {
    const auto words = chacha20::generate({}, 0);
    CHECK(words[0] == 0xade0b876);
    CHECK(words[1] == 0x903df1a0);
    CHECK(words[15] == 0x8665eeb2);
}

TEST_CASE("the generator erases its key: the same seed, another stream each time") {
    std::array<std::byte, 100> first{}, second{}, again{};
    chacha20_generator g;
    g.mix(counting_key);
    g.fill(first);
    g.fill(second);
    CHECK(first != second);

    chacha20_generator same;
    same.mix(counting_key);
    same.fill(again);
    CHECK(first == again);
    CHECK(std::ranges::count(first, std::byte{0}) < 10);
}

TEST_CASE("mixing in a constant does not undo an earlier seed") {
    std::array<std::byte, 32> seeded{}, unseeded{};
    chacha20_generator a, b;
    a.mix(counting_key);
    a.mix({});
    b.mix({});
    b.mix({});
    a.fill(seeded);
    b.fill(unseeded);
    CHECK(seeded != unseeded);
}
