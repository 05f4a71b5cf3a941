// SPDX-License-Identifier: MIT
#include "mirage/wire/udp.hpp"
#include "mirage/wire/ipv4.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr ipv4_address source{192, 0, 2, 1}, destination{198, 51, 100, 2};
constexpr auto pseudo(std::size_t length) {
    return pseudo_header_sum(source, destination, 17, static_cast<std::uint16_t>(length));
}

constexpr auto golden = "3039 0035 000b 1ed0  61 62 63"_hex;
constexpr auto view = udp_view::parse(golden, pseudo(11));
static_assert(view && view->source_port() == 12345 && view->destination_port() == 53);
static_assert(view->has_checksum() && view->payload().size() == 3);

static_assert(same(emitted<8>(udp_header{12345, 53, 11}, pseudo(11) + sum("61 62 63"_hex)),
                   octets{golden}.first(8)));

} // namespace

TEST_CASE("a UDP checksum covers pseudo header, header and data (RFC 768)") {
    for (std::size_t at = 0; at < golden.size(); ++at) {
        if (at == 4 || at == 5)
            continue; // the length: below
        const auto broken = with(golden, at, std::to_integer<unsigned>(golden[at]) ^ 0x10u);
        CHECK(udp_view::parse(broken, pseudo(11)).error() == errc::bad_checksum);
        CHECK(udp_view::parse(broken, pseudo(11), verify::no).has_value());
    }
    CHECK(udp_view::parse(golden, pseudo_header_sum(source, source, 17, 11)).error() == errc::bad_checksum);
}

TEST_CASE("the length field of a UDP datagram is checked against what came (RFC 768)") {
    CHECK(udp_view::parse(with(golden, 5, 7), pseudo(11)).error() == errc::malformed);
    CHECK(udp_view::parse(with(golden, 5, 0), pseudo(11)).error() == errc::malformed);
    CHECK(udp_view::parse(with(golden, 5, 12), pseudo(11)).error() == errc::truncated);
    CHECK(udp_view::parse(with(golden, 4, 255), pseudo(11)).error() == errc::truncated);
    for (std::size_t length = 0; length < 11; ++length)
        CHECK(udp_view::parse(octets{golden}.first(length), pseudo(length)).error() == errc::truncated);
}

TEST_CASE("octets behind the UDP length are neither payload nor summed") {
    std::array<std::byte, 16> longer{};
    longer.fill(std::byte{0xee});
    std::ranges::copy(golden, longer.begin());
    for (std::size_t length = 11; length <= 16; ++length) {
        const auto v = udp_view::parse(octets{longer}.first(length), pseudo(length));
        REQUIRE(v.has_value());
        CHECK(v->payload().size() == 3);
    }
}

TEST_CASE("no checksum is accepted, and a checksum of zero is sent as all ones (RFC 768)") {
    const auto none = with(with(golden, 6, 0), 7, 0);
    const auto v = udp_view::parse(none, pseudo(11));
    REQUIRE(v.has_value());
    CHECK_FALSE(v->has_checksum());

    // Let the data make the sum all ones: the checksum would be zero.
    const auto without = udp_header{12345, 53, 10};
    std::array<std::byte, 10> datagram{};
    without.emit(datagram, pseudo(10));
    const auto missing = udp_at::checksum::load(datagram.data());
    store<std::uint16_t>(datagram.data() + 8, missing);
    without.emit(datagram, pseudo(10) + partial_sum::of(missing));
    CHECK(udp_at::checksum::load(datagram.data()) == 0xffff);
    CHECK(udp_view::parse(datagram, pseudo(10)).has_value());
}

TEST_CASE("a device that completes the checksum finds the pseudo header's sum") {
    std::array<std::byte, 11> datagram = golden;
    udp_header{12345, 53, 11}.emit_for_offload(datagram, pseudo(11));
    CHECK(udp_at::checksum::load(datagram.data()) == pseudo(11).fold());
    const auto completed = checksum(datagram); // what the device does
    udp_at::checksum::store(datagram.data(), completed);
    CHECK(datagram == golden);
}

TEST_CASE("UDP over IPv4 comes back from what it emits") {
    dice any{40};
    for (int i = 0; i < 1000; ++i) {
        const auto size = any(1473);
        auto packet = any.octets(28 + size);
        const udp_header header{any.half(), any.half(), static_cast<std::uint16_t>(8 + size)};
        const ipv4_header ip{.source = ipv4_address{any.word()},
                             .destination = ipv4_address{any.word()},
                             .protocol = ip_protocol::udp,
                             .total_length = static_cast<std::uint16_t>(28 + size)};
        ip.emit(packet);
        header.emit(mutable_octets{packet}.subspan(20), ip.pseudo_header() + sum(octets{packet}.subspan(28)));
        const auto outer = ipv4_view::parse(packet);
        REQUIRE(outer.has_value());
        const auto v = udp_view::parse(outer->payload(), outer->pseudo_header());
        REQUIRE(v.has_value());
        CHECK(v->source_port() == header.source_port);
        CHECK(v->destination_port() == header.destination_port);
        CHECK(same(v->payload(), octets{packet}.subspan(28)));
    }
}
