// SPDX-License-Identifier: MIT
#include "mirage/core/address.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;

static_assert(*ipv4_address::parse("10.0.0.2") == ipv4_address{10, 0, 0, 2});
static_assert(ipv4_prefix::parse("10.0.0.2/24")->mask() == 0xffffff00);

TEST_CASE("dotted quads, strictly") {
    CHECK(*ipv4_address::parse("0.0.0.0") == ipv4_address::any());
    CHECK(*ipv4_address::parse("255.255.255.255") == ipv4_address::broadcast());
    CHECK(ipv4_address::parse("1.2.3.4")->value() == 0x01020304);
    CHECK(ipv4_address::parse("1.2.3.4")->octet(3) == 4);
    for (const char* const bad : {"", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", ".1.2.3", "1..2.3", "256.1.1.1",
                                  "1.2.3.999", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "+1.2.3.4", "0x1.2.3.4", "1.2.3.4/8",
                                  "1,2,3,4", "1.2.3.1234", "a.b.c.d", "1.2.3.4a"}) {
        INFO(bad);
        const auto r = ipv4_address::parse(bad);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error() == errc::malformed);
    }
    CHECK_FALSE(ipv4_address::parse(std::string_view{"1.2.3.4\0", 8}).has_value());
}

TEST_CASE("every octet survives the round trip") {
    for (unsigned i = 0; i < 256; ++i) {
        const auto s = std::to_string(i);
        CHECK(ipv4_address::parse(s + "." + s + "." + s + "." + s)->value() == i * 0x01010101u);
    }
}

TEST_CASE("prefixes") {
    const auto p = *ipv4_prefix::parse("192.168.1.77/26");
    CHECK(p.length == 26);
    CHECK(p.contains({192, 168, 1, 64}));
    CHECK(p.contains({192, 168, 1, 127}));
    CHECK_FALSE(p.contains({192, 168, 1, 128}));
    CHECK(p.is_broadcast({192, 168, 1, 127}));
    CHECK_FALSE(p.is_broadcast({192, 168, 1, 126}));
    CHECK_FALSE(p.is_broadcast({192, 168, 2, 127}));
    CHECK(ipv4_prefix::parse("0.0.0.0/0")->mask() == 0);
    CHECK(ipv4_prefix::parse("0.0.0.0/0")->contains({8, 8, 8, 8}));
    CHECK(ipv4_prefix::parse("1.2.3.4/32")->mask() == 0xffffffff);
    // RFC 3021: a /31 has two hosts and no broadcast.
    CHECK_FALSE(ipv4_prefix::parse("10.0.0.0/31")->is_broadcast({10, 0, 0, 1}));
    CHECK_FALSE(ipv4_prefix::parse("10.0.0.1/32")->is_broadcast({10, 0, 0, 1}));
    CHECK(ipv4_prefix::parse("10.0.0.0/30")->is_broadcast({10, 0, 0, 3}));
    for (const char* const bad : {"1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/+1", "1.2.3.4/100",
                                  "1.2.3.4/8 ", "1.2.3/8", "/8", "1.2.3.4/8/8", "1.2.3.4/a"}) {
        INFO(bad);
        const auto r = ipv4_prefix::parse(bad);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error() == errc::malformed);
    }
}

TEST_CASE("kinds of addresses (RFC 1122 section 3.2.1.3, RFC 5771, RFC 3927)") {
    CHECK(ipv4_address{}.is_unspecified());
    CHECK(ipv4_address{127, 255, 0, 1}.is_loopback());
    CHECK_FALSE(ipv4_address{128, 0, 0, 1}.is_loopback());
    CHECK(ipv4_address{224, 0, 0, 1}.is_multicast());
    CHECK(ipv4_address{239, 255, 255, 255}.is_multicast());
    CHECK_FALSE(ipv4_address{240, 0, 0, 0}.is_multicast());
    CHECK(ipv4_address{240, 0, 0, 0}.is_reserved());
    CHECK(ipv4_address::broadcast().is_limited_broadcast());
    CHECK(ipv4_address{169, 254, 1, 1}.is_link_local());
    CHECK_FALSE(ipv4_address{169, 253, 1, 1}.is_link_local());
    CHECK(ipv4_address{1, 2, 3, 4} < ipv4_address{1, 2, 4, 0});
}

TEST_CASE("Ethernet addresses (IEEE 802.3 section 3.2.3)") {
    CHECK(mac_address::broadcast().is_broadcast());
    CHECK(mac_address::broadcast().is_group());
    CHECK(mac_address{{1, 0, 0x5e, 0, 0, 1}}.is_group());
    CHECK_FALSE(mac_address{{1, 0, 0x5e, 0, 0, 1}}.is_broadcast());
    CHECK_FALSE(mac_address{{2, 0, 0, 0, 0, 1}}.is_group());
}

TEST_CASE("every error has its words") {
    for (unsigned i = 1; i <= static_cast<unsigned>(errc::unsupported); ++i)
        CHECK(message(static_cast<errc>(i)) != "unknown error");
    CHECK(message(static_cast<errc>(0)) == "unknown error");
}
