// SPDX-License-Identifier: MIT
#include "mirage/core/ip_address.hpp"
#include "mirage/core/line.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;

static_assert(*ipv6_address::parse("2001:db8::2") == ipv6_address{0x20010db800000000, 2});
static_assert(ipv6_prefix::parse("fe80::1/10")->length == 10);

namespace {

std::string text(const auto& value) {
    line<80> l;
    l << value;
    return std::string{l.view()};
}

} // namespace

TEST_CASE("every form of an address is read (RFC 4291 section 2.2)") {
    CHECK(*ipv6_address::parse("::") == ipv6_address{});
    CHECK(*ipv6_address::parse("::1") == ipv6_address::loopback());
    CHECK(*ipv6_address::parse("1::") == ipv6_address{0x1'0000'0000'0000, 0});
    CHECK(*ipv6_address::parse("ABCD:EF01:2345:6789:abcd:ef01:2345:6789")
          == ipv6_address{0xabcdef0123456789, 0xabcdef0123456789});
    CHECK(*ipv6_address::parse("2001:DB8:0:0:8:800:200C:417A") == *ipv6_address::parse("2001:DB8::8:800:200C:417A"));
    CHECK(*ipv6_address::parse("1:2:3:4:5:6:7::") == ipv6_address{0x0001000200030004, 0x0005000600070000});
    CHECK(*ipv6_address::parse("::2:3:4:5:6:7:8") == ipv6_address{0x0000000200030004, 0x0005000600070008});
    CHECK(*ipv6_address::parse("::ffff:129.144.52.38") == ipv6_address::mapped({129, 144, 52, 38}));
    CHECK(*ipv6_address::parse("64:ff9b::192.0.2.33") == ipv6_address{0x0064ff9b00000000, 0xc0000221});
    CHECK(*ipv6_address::parse("1:2:3:4:5:6:1.2.3.4") == ipv6_address{0x0001000200030004, 0x0005000601020304});
}

TEST_CASE("and nothing else") {
    for (const char* const bad :
         {"", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::", "1::2::3", "1:2:3:4:5:6:7:8::",
          "::1:2:3:4:5:6:7:8", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "1:", ":1", "12345::", "g::", "::1%eth0", " ::1",
          "::1 ", "::1/64", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.4:5", "1.2.3.4", "::1.2.3.256", "[::1]", "::-1",
          "1:2:3:4::5:6:7:8"}) {
        INFO(bad);
        const auto r = ipv6_address::parse(bad);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error() == errc::malformed);
    }
}

TEST_CASE("an address has one text (RFC 5952 section 4)") {
    const auto canonical = [](const char* in) { return text(*ipv6_address::parse(in)); };
    CHECK(canonical("2001:0db8:0000:0000:0001:0000:0000:0001") == "2001:db8::1:0:0:1"); // the first of equals
    CHECK(canonical("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");                 // one group is not shortened
    CHECK(canonical("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");                          // the longest
    CHECK(canonical("2001:DB8::ABCD") == "2001:db8::abcd");
    CHECK(canonical("0:0:0:0:0:0:0:0") == "::");
    CHECK(canonical("0:0:0:0:0:0:0:1") == "::1");
    CHECK(canonical("1:0:0:0:0:0:0:0") == "1::");
    CHECK(canonical("0:1:0:0:0:0:0:0") == "0:1::");
    CHECK(canonical("::ffff:192.0.2.1") == "::ffff:192.0.2.1"); // section 5
    CHECK(text(ipv6_prefix{{0x20010db800000000, 0}, 32}) == "2001:db8::/32");
    CHECK(text(ipv6_endpoint{{0x20010db800000000, 1}, 80}) == "[2001:db8::1]:80"); // section 6
}

TEST_CASE("every group survives the round trip") {
    for (unsigned mask = 0; mask < 256; ++mask) {
        std::uint64_t half[2] = {0, 0};
        for (unsigned i = 0; i < 8; ++i)
            half[i / 4] = half[i / 4] << 16 | ((mask >> i & 1) != 0 ? 0x9a0u + i : 0);
        const ipv6_address a{half[0], half[1]};
        CHECK(*ipv6_address::parse(text(a)) == a);
    }
}

TEST_CASE("kinds of addresses (RFC 4291 sections 2.5 and 2.7, RFC 4193)") {
    const auto of = [](const char* t) { return *ipv6_address::parse(t); };
    CHECK(of("fe80::1").is_link_local());
    CHECK(of("febf::1").is_link_local());
    CHECK_FALSE(of("fec0::1").is_link_local());
    CHECK(of("ff02::1").is_multicast());
    CHECK(of("fd12::1").is_unique_local());
    CHECK_FALSE(of("fe12::1").is_unique_local());
    CHECK(ipv6_address::solicited_node(of("4037::01:800:200E:8C6C")) == of("FF02::1:FF0E:8C6C"));
    CHECK(of("ff02::1:ff0e:8c6c").is_solicited_node());
    CHECK_FALSE(of("ff02::1:fe0e:8c6c").is_solicited_node());
    CHECK(of("ff05::2").scope() == 5);
    CHECK(of("fe80::2").scope() == 2);
    CHECK(of("2001:db8::2").scope() == 14);
    CHECK(common_prefix(of("2001:db8::1"), of("2001:db8::1")) == 128);
    CHECK(common_prefix(of("2001:db8::"), of("2001:db9::")) == 31);
    CHECK(common_prefix(of("2001:db8::2"), of("2001:db8::3")) == 127);
}

TEST_CASE("prefixes of IPv6 addresses") {
    const auto p = *ipv6_prefix::parse("2001:db8:1:2::5/64");
    CHECK(p.contains(*ipv6_address::parse("2001:db8:1:2:ffff::")));
    CHECK_FALSE(p.contains(*ipv6_address::parse("2001:db8:1:3::5")));
    CHECK(ipv6_prefix::parse("::/0")->contains(p.address));
    CHECK(ipv6_prefix::parse("::1/128")->contains(ipv6_address::loopback()));
    for (const char* const bad : {"::1", "::1/", "::1/129", "::1/-1", "::1/1000", "::1/a", "/8", "1.2.3.4/8", "::1/8/8"}) {
        INFO(bad);
        CHECK_FALSE(ipv6_prefix::parse(bad).has_value());
    }
}

TEST_CASE("an address of either family") {
    const ip_address v4{ipv4_address{10, 0, 0, 2}}, v6{ipv6_address{0x20010db800000000, 2}};
    CHECK(v4.is_ipv4());
    CHECK(v4.v4() == ipv4_address{10, 0, 0, 2});
    CHECK_FALSE(v6.is_ipv4());
    CHECK(v6.v6() == ipv6_address{0x20010db800000000, 2});
    CHECK(v4 != v6);
    CHECK(v4 == ipv4_address{10, 0, 0, 2});
    CHECK(ip_address{}.is_unspecified());
    CHECK(ip_address{ipv4_address{}}.is_unspecified());
    CHECK(ip_address{ipv4_address{224, 0, 0, 1}}.is_multicast());
    CHECK(*ip_address::parse("10.0.0.2") == v4);
    CHECK(*ip_address::parse("2001:db8::2") == v6);
    CHECK_FALSE(ip_address::parse("::ffff:10.0.0.2").has_value()); // one text for one host
    CHECK(text(v4) == "10.0.0.2");
    CHECK(text(ip_endpoint{v6, 443}) == "[2001:db8::2]:443");
    CHECK(text(ip_endpoint{ipv4_endpoint{{10, 0, 0, 2}, 80}}) == "10.0.0.2:80");
}
