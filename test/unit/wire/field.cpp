// SPDX-License-Identifier: MIT
#include "mirage/wire/field.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr auto header = "01 02 03 04 05 06 07 08 09 0a"_hex;

static_assert(field<std::uint8_t, 3>::load(header.data()) == 0x04);
static_assert(field<std::uint16_t, 1>::load(header.data()) == 0x0203);
static_assert(field<std::uint32_t, 5>::load(header.data()) == 0x06070809);
static_assert(field<std::uint64_t, 1>::load(header.data()) == 0x0203040506070809);
static_assert(field<ipv4_address, 6>::load(header.data()) == ipv4_address{7, 8, 9, 10});
static_assert(field<mac_address, 2>::load(header.data()) == mac_address{{3, 4, 5, 6, 7, 8}});
static_assert(field<std::uint32_t, 5>::end == 9 && field<mac_address, 2>::end == 8);

static_assert([] {
    std::array<std::byte, 10> room{};
    field<std::uint16_t, 0>::store(room.data(), 0x0102);
    field<std::uint8_t, 2>::store(room.data(), 3);
    field<ipv4_address, 3>::store(room.data(), ipv4_address{4, 5, 6, 7});
    field<std::uint16_t, 7>::store(room.data(), 0x0809);
    field<std::uint8_t, 9>::store(room.data(), 10);
    return room == header;
}());

} // namespace

TEST_CASE("a field is the same at run time, at any alignment") {
    dice any{1};
    for (int i = 0; i < 1000; ++i) {
        const auto data = any.octets(24);
        const std::size_t at = any(8);
        std::uint64_t expected = 0;
        for (std::size_t k = 0; k < 8; ++k)
            expected = expected << 8 | std::to_integer<std::uint64_t>(data[at + 3 + k]);
        CHECK(field<std::uint64_t, 3>::load(data.data() + at) == expected);
        CHECK(field<std::uint32_t, 3>::load(data.data() + at) == expected >> 32);

        std::vector<std::byte> copy(24);
        field<std::uint64_t, 3>::store(copy.data() + at, expected);
        CHECK(same(octets{copy}.subspan(at + 3, 8), octets{data}.subspan(at + 3, 8)));
        CHECK(copy[at + 2] == std::byte{0});
        CHECK(copy[at + 11] == std::byte{0});
    }
}
