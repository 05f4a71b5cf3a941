// SPDX-License-Identifier: MIT
#include "mirage/net/icmp_rules.hpp"
#include <array>
#include <doctest/doctest.h>

using namespace mirage;
using net::reception;

TEST_CASE("when an ICMP error may be sent (RFC 1122 section 3.2.2)") {
    constexpr ipv4_address peer{10, 0, 0, 9}, own{10, 0, 0, 2};
    struct row {
        const char* what;
        bool expected;
        reception how = reception::unicast;
        ipv4_address source = peer;
        wire::ip_protocol protocol = wire::ip_protocol::udp;
        std::uint16_t fragment_offset = 0;
        std::uint8_t first_octet = 0;
        std::size_t payload = 8;
    };
    static constexpr auto icmp = wire::ip_protocol::icmp;
    static constexpr row table[] = {
        {.what = "a datagram to us", .expected = true},
        {.what = "an empty datagram to us", .expected = true, .payload = 0},
        {.what = "a broadcast", .expected = false, .how = reception::broadcast},
        {.what = "a multicast", .expected = false, .how = reception::multicast},
        {.what = "anything before we have an address", .expected = false, .how = reception::unconfigured},
        {.what = "a packet that is not for us", .expected = false, .how = reception::discard},
        {.what = "from {0, 0}", .expected = false, .source = {}},
        {.what = "from loopback", .expected = false, .source = {127, 0, 0, 1}},
        {.what = "from a group", .expected = false, .source = {224, 0, 0, 1}},
        {.what = "from class E", .expected = false, .source = {240, 0, 0, 1}},
        {.what = "a later fragment", .expected = false, .fragment_offset = 8},
        {.what = "an echo request", .expected = true, .protocol = icmp, .first_octet = 8},
        {.what = "an echo reply", .expected = true, .protocol = icmp, .first_octet = 0},
        {.what = "destination unreachable", .expected = false, .protocol = icmp, .first_octet = 3},
        {.what = "source quench", .expected = false, .protocol = icmp, .first_octet = 4},
        {.what = "redirect", .expected = false, .protocol = icmp, .first_octet = 5},
        {.what = "time exceeded", .expected = false, .protocol = icmp, .first_octet = 11},
        {.what = "parameter problem", .expected = false, .protocol = icmp, .first_octet = 12},
        {.what = "an unknown ICMP type", .expected = false, .protocol = icmp, .first_octet = 200},
        {.what = "ICMP without a type", .expected = false, .protocol = icmp, .payload = 0},
    };
    for (const row& r : table) {
        CAPTURE(r.what);
        std::array<std::byte, 28> raw{};
        const std::size_t size = 20 + r.payload;
        wire::ipv4_header{.source = r.source,
                          .destination = own,
                          .protocol = r.protocol,
                          .dont_fragment = false,
                          .fragment_offset = r.fragment_offset,
                          .total_length = static_cast<std::uint16_t>(size)}
            .emit(raw);
        raw[20] = static_cast<std::byte>(r.first_octet);
        const auto view = wire::ipv4_view::parse(octets{raw}.first(size));
        REQUIRE(view);
        CHECK(net::may_send_error(*view, r.how) == r.expected);
    }
}
