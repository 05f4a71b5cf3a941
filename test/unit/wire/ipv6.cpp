// SPDX-License-Identifier: MIT
#include "mirage/wire/ipv6_extensions.hpp"
#include "mirage/wire/ndp.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr ipv6_address from = *ipv6_address::parse("fe80::1"), to = *ipv6_address::parse("2001:db8::2");

// RFC 8200 section 3
constexpr auto golden = "6 12 34567 0003 3a 40  fe80000000000000 0000000000000001  20010db800000000 0000000000000002"
                        " 80 00 ff"_hex;
constexpr auto view = ipv6_view::parse(golden);
static_assert(view && view->traffic_class() == 0x12 && view->flow_label() == 0x34567 && view->payload().size() == 3);
static_assert(view->first_header() == 58 && view->hop_limit() == 64 && view->source() == from && view->destination() == to);
static_assert(same(emitted<40>(ipv6_header{from, to, next_header::icmpv6, 64, 0x12, 0x34567, 3}), octets{golden}.first(40)));

/// An IPv6 packet: what follows the header, and what the header calls it.
std::vector<std::byte> packet(std::uint8_t first, octets rest) {
    std::vector<std::byte> made(40 + rest.size());
    ipv6_header{.source = from, .destination = to, .next = next_header{first},
                .payload_length = static_cast<std::uint16_t>(rest.size())}
        .emit(made);
    std::ranges::copy(rest, made.begin() + 40);
    return made;
}
ipv6_chain walk(std::uint8_t first, octets rest) {
    const auto whole = packet(first, rest);
    return walk_extensions(*ipv6_view::parse(whole));
}

} // namespace

TEST_CASE("an IPv6 packet is as long as its header says") {
    for (std::size_t n = 0; n < golden.size(); ++n)
        CHECK(ipv6_view::parse(octets{golden}.first(n)).error() == errc::truncated);
    CHECK(ipv6_view::parse(with(golden, 0, 0x45)).error() == errc::malformed);
    auto padded = std::vector<std::byte>(golden.begin(), golden.end());
    padded.resize(60);
    CHECK(ipv6_view::parse(padded)->packet().size() == 43);
    CHECK(ipv6_view::parse_quote(octets{golden}.first(41))->payload().size() == 1);
    CHECK_FALSE(ipv6_view::parse_quote(octets{golden}.first(39)).has_value());
}

TEST_CASE("the pseudo header of IPv6 counts the whole length (RFC 8200 section 8.1)") {
    // An echo request of nothing from fe80::1 to 2001:db8::2, summed by hand.
    const auto message = "80 00 0000 0001 0002"_hex;
    const auto sum_of = [&](octets m) {
        std::vector<std::byte> all;
        const auto add = [&](octets o) { all.insert(all.end(), o.begin(), o.end()); };
        add(octets{golden}.subspan(8, 32));
        add("00000008 0000003a"_hex);
        add(m);
        return naive_sum(all);
    };
    const auto pseudo = pseudo_header_sum(from, to, 58, std::uint32_t{8});
    CHECK(sum(message, pseudo).fold() == sum_of(message));
    std::array<std::byte, 8> out;
    icmpv6_header{icmpv6_type::echo_request, 0, 0x00010002}.emit(out, pseudo);
    CHECK(sum_of(out) == 0xffff);
    CHECK(icmpv6_view::parse(out, pseudo).has_value());
    CHECK(icmpv6_view::parse(with(out, 5, 9), pseudo).error() == errc::bad_checksum);
}

TEST_CASE("extension headers are walked to the upper layer (RFC 8200 section 4)") {
    const auto plain = walk(6, "00"_hex);
    CHECK(plain.verdict == ipv6_verdict::deliver);
    CHECK(plain.protocol == 6);
    CHECK(plain.offset == 40);
    CHECK(plain.named_at == 6);

    // Hop-by-hop with a router alert (RFC 2711), destination options with padding, routing with nothing left.
    const auto all = walk(0, "3c 00 0502 0000 0100  2b 00 0104 00000000  11 00 fe 00 00000000  ffff"_hex);
    CHECK(all.verdict == ipv6_verdict::deliver);
    CHECK(all.protocol == 17);
    CHECK(all.offset == 64);
    CHECK(all.named_at == 56);
    CHECK(all.router_alert);
    CHECK(walk(59, "00"_hex).verdict == ipv6_verdict::discard); // No Next Header: section 4.7
}

TEST_CASE("what a header chain may not hold is reported where it stands (RFC 8200 sections 4 to 4.4)") {
    const auto late = walk(60, "00 00 0104 00000000  06 00 0104 00000000"_hex); // hop-by-hop not first: section 4.1
    CHECK(late.verdict == ipv6_verdict::report);
    CHECK(late.problem == 1);
    CHECK(late.pointer == 40);
    const auto routed = walk(43, "06 00 00 01 00000000"_hex); // type 0 with segments left: section 4.4, RFC 5095
    CHECK(routed.verdict == ipv6_verdict::report);
    CHECK(routed.problem == 0);
    CHECK(routed.pointer == 42);
    // Unknown options by their two highest bits: section 4.2
    CHECK(walk(60, "06 00 1e 04 00000000"_hex).verdict == ipv6_verdict::deliver);
    CHECK(walk(60, "06 00 5e 04 00000000"_hex).verdict == ipv6_verdict::discard);
    const auto always = walk(60, "06 00 0100 9e 02 0000"_hex), unicast = walk(60, "06 00 de 04 00000000"_hex);
    CHECK(always.verdict == ipv6_verdict::report_always);
    CHECK(always.problem == 2);
    CHECK(always.pointer == 44);
    CHECK(unicast.verdict == ipv6_verdict::report);
}

TEST_CASE("a header chain costs no more than honest senders need (RFC 8504 section 5.3)") {
    CHECK(walk(60, "06 01 0104 00000000"_hex).verdict == ipv6_verdict::discard);   // past the end
    CHECK(walk(60, "06 00 0105 00000000"_hex).verdict == ipv6_verdict::discard);   // an option past the header's end
    CHECK(walk(60, "06"_hex).verdict == ipv6_verdict::discard);
    CHECK(walk(60, "06 01 0104 00000000 0106 000000000000"_hex).verdict == ipv6_verdict::discard); // padding without end
    CHECK(walk(60, "06 02 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 0100"_hex).verdict == ipv6_verdict::discard);
    std::vector<std::byte> many;
    for (int i = 0; i < 9; ++i) {
        const auto one = "3c 00 0104 00000000"_hex;
        many.insert(many.end(), one.begin(), one.end());
    }
    CHECK(walk(60, octets{many}.first(7 * 8)).verdict == ipv6_verdict::discard); // ends in a header that is not there
    many[7 * 8] = std::byte{6};
    CHECK(walk(60, octets{many}.first(8 * 8)).verdict == ipv6_verdict::deliver);
    many[7 * 8] = std::byte{0x3c};
    many[8 * 8] = std::byte{6};
    CHECK(walk(60, many).verdict == ipv6_verdict::discard); // the ninth
}

TEST_CASE("fragments are found, and atomic ones are none (RFC 8200 section 4.5, RFC 6946)") {
    const auto first = walk(44, "11 00 0001 deadbeef 0001020304050607"_hex);
    CHECK(first.verdict == ipv6_verdict::reassemble);
    CHECK(first.fragment_at == 40);
    CHECK(first.named_at == 6);
    const auto odd = walk(44, "11 00 0001 deadbeef 00010203040506"_hex);
    CHECK(odd.verdict == ipv6_verdict::report);
    CHECK(odd.problem == 0);
    CHECK(odd.pointer == 4);
    const auto far = walk(44, "11 00 fff8 deadbeef 0001020304050607 08"_hex);
    CHECK(far.verdict == ipv6_verdict::report);
    CHECK(far.pointer == 42);
    const auto atomic = walk(44, "11 00 0000 deadbeef 00"_hex);
    CHECK(atomic.verdict == ipv6_verdict::deliver);
    CHECK(atomic.protocol == 17);
    CHECK(atomic.offset == 48);

    const ipv6_fragment_header header{.next = 17, .more = true, .offset = 1448, .identification = 0xdeadbeef};
    CHECK(ipv6_fragment_header::load(emitted<8>(header)) == header);
}

TEST_CASE("a first fragment has all headers, the upper layer's included (RFC 7112 section 5)") {
    const auto whole = [](octets rest) {
        const auto p = packet(44, rest);
        return has_whole_chain(*ipv6_view::parse(p), 40);
    };
    CHECK(whole("11 00 0001 00000001  0001020304050607"_hex));
    CHECK_FALSE(whole("06 00 0001 00000001  0001020304050607"_hex)); // TCP has 20 octets
    CHECK(whole("06 00 0001 00000001  0001020304050607 0001020304050607 0001020304050607"_hex));
    CHECK_FALSE(whole("3c 00 0001 00000001  11 00 0104 00000000"_hex));
    CHECK(whole("3c 00 0001 00000001  11 00 0104 00000000  0001020304050607"_hex));
}

TEST_CASE("Neighbour Discovery options (RFC 4861 section 4.6)") {
    const auto several = "01 01 0200 0000 0001  05 01 0000 000005dc  0e 01 0102 0304 0506  63 01 000000000000"_hex;
    const auto good = ndp_options::parse(several);
    REQUIRE(good.has_value());
    CHECK(good->link(ndp_option::source_link) == mac_address{{2, 0, 0, 0, 0, 1}});
    CHECK_FALSE(good->link(ndp_option::target_link).has_value());
    CHECK(good->mtu() == 1500u);
    CHECK(good->nonce() == 0x010203040506u);
    CHECK(ndp_options::parse("01 00 0200 0000 0001"_hex).error() == errc::malformed); // of length zero
    CHECK(ndp_options::parse("01 02 0200 0000 0001"_hex).error() == errc::malformed); // past the end
    CHECK(ndp_options::parse("01 01 02"_hex).error() == errc::malformed);

    const auto advert = "86 00 0000 40 c0 0708 00007530 000003e8"
                        "03 04 40 c0 00015180 00003840 00000000 20010db8000100020000000000000000"
                        "19 03 0000 00000e10 20010db8000000000000000000000035"_hex;
    const auto router = ndp_router::parse(*icmpv6_view::parse(advert, {}, verify::no));
    REQUIRE(router.has_value());
    CHECK(router->hop_limit == 64);
    CHECK(router->managed);
    CHECK(router->other);
    CHECK(router->lifetime == 1800);
    CHECK(router->reachable == 30000);
    CHECK(router->retransmit == 1000);
    unsigned prefixes = 0, servers = 0;
    router->options.each([&](ndp_option type, octets one) {
        if (const auto p = ndp_options::prefix(type, one)) {
            ++prefixes;
            CHECK(p->prefix == *ipv6_prefix::parse("2001:db8:1:2::/64"));
            CHECK(p->on_link);
            CHECK(p->autonomous);
            CHECK(p->valid == 86400);
            CHECK(p->preferred == 14400);
        }
        if (const auto s = ndp_options::servers(type, one)) {
            ++servers;
            CHECK(s->lifetime == 3600);
            CHECK(field<ipv6_address, 0>::load(s->addresses.data()) == *ipv6_address::parse("2001:db8::35"));
        }
    });
    CHECK(prefixes == 1);
    CHECK(servers == 1);
}
