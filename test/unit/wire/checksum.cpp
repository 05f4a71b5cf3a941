// SPDX-License-Identifier: MIT
#include "mirage/wire/checksum.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

// The worked example of RFC 1071 section 3.
constexpr auto rfc1071 = "0001 f203 f4f5 f6f7"_hex;
static_assert(sum(rfc1071).fold() == 0xddf2);
static_assert(checksum(rfc1071) == 0x220d);
static_assert(sum(octets{rfc1071}.first(7)).fold() == 0xdcfb); // odd: padded with zero on the right
static_assert(checksum({}) == 0xffff);

// RFC 1624 section 4: where RFC 1141's equation goes wrong.
static_assert(update_checksum(0xdd2f, 0x5555, 0x3285) == 0x0000);

// A sum of nothing but zeros is zero, and zeros are no intact data.
static_assert(sum("0000 0000"_hex).fold() == 0 && !sum("0000 0000"_hex).intact());
static_assert(sum("ffff ffff"_hex).fold() == 0xffff);

static_assert(pseudo_header_sum(ipv4_address{192, 0, 2, 1}, ipv4_address{198, 51, 100, 2}, 17, 12).fold()
              == sum("c0000201 c6336402 0011 000c"_hex).fold());
static_assert(pseudo_header_sum(ipv4_address::broadcast(), ipv4_address::broadcast(), 255, 0xffff).fold()
              == sum("ffffffff ffffffff 00ff ffff"_hex).fold());

static_assert(partial_sum::of(std::uint16_t{0x1234}).fold() == 0x1234);
static_assert(partial_sum::of(0x12345678u).fold() == 0x1234 + 0x5678);
static_assert(sum("01 02 03"_hex).swapped().fold() == sum("00 01 02 03"_hex).fold());

// Pieces of odd length, in a constant expression.
static_assert(running_sum{}.add("00 01 f2"_hex).add("03"_hex).add("f4 f5 f6 f7"_hex).fold() == 0xddf2);

static_assert([] {
    std::array<std::byte, 8> to{};
    return copy_and_sum(to, rfc1071).fold() == 0xddf2 && to == rfc1071;
}());

} // namespace

TEST_CASE("the fast sum agrees with the definition for every length and alignment (RFC 1071 section 1)") {
    dice any{2};
    const auto data = any.octets(2200);
    for (std::size_t length = 0; length <= 600; ++length)
        for (const std::size_t at : {0u, 1u, 2u, 3u, 7u, 14u, 33u}) {
            const auto part = octets{data}.subspan(at, length);
            CHECK(sum(part).fold() == naive_sum(part));
        }
    for (int i = 0; i < 1000; ++i) {
        const auto at = any(64), length = 600 + any(1500);
        const auto part = octets{data}.subspan(at, length);
        CHECK(sum(part).fold() == naive_sum(part));
    }
}

TEST_CASE("carries survive data of all ones, and zeros stay zero") {
    for (const std::size_t length : {1u, 2u, 8u, 20u, 63u, 64u, 127u, 128u, 1460u, 65535u}) {
        const std::vector<std::byte> ones(length, std::byte{0xff}), zeros(length);
        CHECK(sum(ones).fold() == naive_sum(ones));
        CHECK(sum(zeros).fold() == 0);
    }
}

TEST_CASE("copying and summing in one pass copies exactly, and sums the same") {
    dice any{3};
    const auto data = any.octets(2200);
    for (int i = 0; i < 2000; ++i) {
        const auto at = any(64), length = i < 300 ? static_cast<std::uint32_t>(i) : any(2000);
        const auto from = octets{data}.subspan(at, length);
        const auto shift = any(16);
        std::vector<std::byte> to(shift + length + 1, std::byte{0x5a});
        CHECK(copy_and_sum(mutable_octets{to}.subspan(shift, length), from).fold() == naive_sum(from));
        CHECK(same(octets{to}.subspan(shift, length), from));
        CHECK(to.back() == std::byte{0x5a});
        CHECK((shift == 0 || to[shift - 1] == std::byte{0x5a}));
    }
}

TEST_CASE("fragments of any length add up, also odd ones (RFC 1071 section 2 (A))") {
    dice any{4};
    for (int i = 0; i < 1000; ++i) {
        const auto data = any.octets(any(3000));
        running_sum running, copying;
        std::vector<std::byte> to(data.size());
        for (std::size_t at = 0; at < data.size();) {
            const auto n = std::min<std::size_t>(data.size() - at, any(400));
            running.add(octets{data}.subspan(at, n));
            copying.copy(mutable_octets{to}.subspan(at), octets{data}.subspan(at, n));
            at += n;
        }
        CHECK(running.fold() == naive_sum(data));
        CHECK(copying.finish() == static_cast<std::uint16_t>(~naive_sum(data)));
        CHECK(to == data);
    }
}

TEST_CASE("an incremental update is the checksum of the changed data (RFC 1624 section 3)") {
    dice any{5};
    for (int i = 0; i < 2000; ++i) {
        auto data = any.octets(2 + 2 * any(30));
        const auto before = checksum(data);
        const auto at = 2 * any(static_cast<std::uint32_t>(data.size() / 2));
        const auto old_word = load<std::uint16_t>(data.data() + at), new_word = any.half();
        store<std::uint16_t>(data.data() + at, new_word);
        CHECK(update_checksum(before, old_word, new_word) == checksum(data));
    }
}
