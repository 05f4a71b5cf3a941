// SPDX-License-Identifier: MIT
#include "mirage/wire/ethernet.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr auto golden = "ff ff ff ff ff ff  02 00 00 00 00 01  08 06"_hex;
constexpr ethernet_header value{mac_address::broadcast(), {{2, 0, 0, 0, 0, 1}}, ethertype::arp};

static_assert(emitted<14>(value) == golden);

constexpr auto frame = ethernet_view::parse(golden);
static_assert(frame && frame->destination().is_broadcast() && frame->source() == value.source);
static_assert(frame->type() == ethertype::arp && frame->payload().empty());

static_assert(ethernet_view::parse(octets{golden}.first(13)).error() == errc::truncated);
static_assert(ethernet_view::parse({}).error() == errc::truncated);

// IEEE 802.3: the third field is a length below 0x0600. Not ours: RFC 1122 section 2.3.3.
static_assert(ethernet_view::parse(with(with(golden, 12, 0x05), 13, 0xff)).error() == errc::unsupported);
static_assert(ethernet_view::parse(with(with(golden, 12, 0x06), 13, 0x00)));

} // namespace

TEST_CASE("an Ethernet header comes back from what it emits; padding stays in the payload (RFC 894)") {
    dice any{10};
    for (int i = 0; i < 200; ++i) {
        auto room = any.octets(60);
        ethernet_header header{.type = static_cast<ethertype>(0x600 + any(0xfa00))};
        for (auto& o : header.destination.octet)
            o = static_cast<std::uint8_t>(any(256));
        for (auto& o : header.source.octet)
            o = static_cast<std::uint8_t>(any(256));
        header.emit(room);
        const auto view = ethernet_view::parse(room);
        REQUIRE(view.has_value());
        CHECK(ethernet_header{view->destination(), view->source(), view->type()} == header);
        CHECK(view->payload().size() == 46);
    }
}
