// SPDX-License-Identifier: MIT
#include "mirage/wire/ipv4.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

// Header of a 115-octet UDP packet, the often-quoted example: checksum b861.
constexpr auto golden = "45000073 00004000 4011b861 c0a80001 c0a800c7"_hex;
constexpr ipv4_header value{.source = ipv4_address{192, 168, 0, 1},
                            .destination = ipv4_address{192, 168, 0, 199},
                            .protocol = ip_protocol::udp,
                            .total_length = 115};
static_assert(emitted<20>(value) == golden);

constexpr auto fragment_value = [] {
    auto h = value;
    h.dont_fragment = false;
    h.more_fragments = true;
    h.identification = 0xbeef;
    h.fragment_offset = 1480;
    h.total_length = 28;
    h.dscp_ecn = 0xb8;
    h.ttl = 1;
    return h;
}();
constexpr auto fragment = "45b8001c beef20b9 01115758 c0a80001 c0a800c7  0001020304050607"_hex;
static_assert(same(emitted<20>(fragment_value), octets{fragment}.first(20)));

constexpr auto view = ipv4_view::parse(fragment);
static_assert(view && view->version() == 4 && view->header_length() == 20 && view->total_length() == 28);
static_assert(view->dscp_ecn() == 0xb8 && view->identification() == 0xbeef && view->ttl() == 1);
static_assert(!view->dont_fragment() && view->more_fragments() && view->is_fragment());
static_assert(view->fragment_offset() == 1480 && view->protocol() == ip_protocol::udp);
static_assert(view->source() == value.source && view->destination() == value.destination);
static_assert(view->options().empty() && view->payload().size() == 8 && view->packet().size() == 28);
static_assert(view->pseudo_header().fold() == sum("c0a80001 c0a800c7 0011 0008"_hex).fold());
static_assert(fragment_value.pseudo_header().fold() == view->pseudo_header().fold());

// With options: NOP, router alert (148), record route of 3 octets that is empty, end of list.
constexpr auto options =
    "4800 0020 0000 0000 40 01 8d40 7f000001 7f000001  01 94 04 0000 07 03 04 00 ff ff ff"_hex;

} // namespace

TEST_CASE("IPv4 options are walked safely (RFC 1122 section 3.2.1.8)") {
    auto packet = options;
    store<std::uint16_t>(packet.data() + 10, 0);
    store<std::uint16_t>(packet.data() + 10, checksum(packet)); // 32 octets, all header
    const auto v = ipv4_view::parse(packet);
    REQUIRE(v.has_value());
    CHECK(v->header_length() == 32);
    CHECK(v->options().size() == 12);
    CHECK(v->payload().empty());
    REQUIRE(v->find_option(148).has_value());
    CHECK(v->find_option(148)->size() == 2);
    REQUIRE(v->find_option(7).has_value());
    CHECK(v->find_option(7)->size() == 1);
    CHECK_FALSE(v->find_option(255).has_value()); // behind the end of the list
    CHECK_FALSE(v->has_source_route());

    SUBCASE("a source route is noticed") {
        packet[21] = std::byte{131};
        CHECK(ipv4_view::parse(packet, verify::no)->has_source_route());
        packet[21] = std::byte{137};
        CHECK(ipv4_view::parse(packet, verify::no)->has_source_route());
    }
    SUBCASE("an illegal length ends the walk") {
        for (const unsigned length : {0u, 1u, 12u, 255u}) {
            packet[22] = static_cast<std::byte>(length);
            const auto bad = ipv4_view::parse(packet, verify::no);
            REQUIRE(bad.has_value());
            CHECK_FALSE(bad->find_option(148).has_value());
            CHECK_FALSE(bad->find_option(7).has_value());
        }
    }
}

TEST_CASE("malformed IPv4 headers are rejected (RFC 1122 section 3.2.1)") {
    struct row {
        const char* what;
        std::size_t at;
        unsigned octet;
        errc expected;
    };
    for (const auto& [what, at, octet, expected] : {
             row{"version 6", 0, 0x65, errc::malformed},
             row{"IHL below 5", 0, 0x44, errc::malformed},
             row{"IHL 0", 0, 0x40, errc::malformed},
             row{"header longer than total length", 0, 0x48, errc::malformed},
             row{"total length below 20", 3, 19, errc::malformed},
             row{"total length beyond the frame", 3, 29, errc::truncated},
             row{"checksum", 10, 0x58, errc::bad_checksum},
             row{"any other octet", 15, 2, errc::bad_checksum},
         }) {
        CAPTURE(what);
        const auto packet = with(fragment, at, octet);
        CHECK(ipv4_view::parse(packet).error() == expected);
        CHECK(ipv4_view::parse(packet, verify::no).has_value() == (expected == errc::bad_checksum));
    }
    for (std::size_t length = 0; length < fragment.size(); ++length)
        CHECK(ipv4_view::parse(octets{fragment}.first(length)).error() == errc::truncated);

    // A fragment that would end behind octet 65,535: the "ping of death".
    CHECK(ipv4_view::parse(with(with(fragment, 6, 0x1f), 7, 0xff), verify::no).error() == errc::malformed);
    // Offset 65,504 and 8 octets still fit: 65,532 with a header of 20.
    CHECK(ipv4_view::parse(with(with(fragment, 6, 0x1f), 7, 0xfc), verify::no).has_value());
}

TEST_CASE("a header that says it is longer than the frame is truncated, not read") {
    std::array<std::byte, 24> packet{};
    ipv4_header{.total_length = 60}.emit(packet);
    packet[0] = std::byte{0x4f};
    CHECK(ipv4_view::parse(packet, verify::no).error() == errc::truncated);
    CHECK(ipv4_view::parse_quote(packet).error() == errc::truncated);
}

TEST_CASE("Ethernet padding is left out of the payload") {
    std::array<std::byte, 46> padded{};
    std::ranges::copy(fragment, padded.begin());
    const auto v = ipv4_view::parse(padded);
    REQUIRE(v.has_value());
    CHECK(v->payload().size() == 8);
    CHECK(v->packet().size() == 28);
}

TEST_CASE("a packet quoted in an ICMP error is cut, yet read (RFC 792)") {
    std::array<std::byte, 28> quote{};
    value.emit(quote); // says 115 octets
    const auto v = ipv4_view::parse_quote(quote);
    REQUIRE(v.has_value());
    CHECK(v->total_length() == 115);
    CHECK(v->payload().size() == 8);
    CHECK(ipv4_view::parse(quote).error() == errc::truncated);
    CHECK(ipv4_view::parse_quote(octets{quote}.first(27)).error() == errc::truncated);

    SUBCASE("what the quoted packet does not say it has is left out") {
        quote[3] = std::byte{28}; // of a quote of 32 octets
        std::array<std::byte, 32> longer{};
        std::ranges::copy(quote, longer.begin());
        CHECK(ipv4_view::parse_quote(longer)->payload().size() == 8);
    }
    SUBCASE("its checksum does not matter") {
        quote[8] = std::byte{1};
        CHECK(ipv4_view::parse_quote(quote).has_value());
    }
    SUBCASE("but its form does") {
        quote[0] = std::byte{0x65};
        CHECK(ipv4_view::parse_quote(quote).error() == errc::malformed);
    }
}

TEST_CASE("IPv4 headers come back from what they emit, with a right checksum") {
    dice any{20};
    for (int i = 0; i < 2000; ++i) {
        const ipv4_header header{.source = ipv4_address{any.word()},
                                 .destination = ipv4_address{any.word()},
                                 .protocol = static_cast<ip_protocol>(any(256)),
                                 .ttl = static_cast<std::uint8_t>(any(256)),
                                 .dscp_ecn = static_cast<std::uint8_t>(any(256)),
                                 .dont_fragment = any.coin(),
                                 .more_fragments = any.coin(),
                                 .identification = any.half(),
                                 .fragment_offset = static_cast<std::uint16_t>(8 * any(8000)),
                                 .total_length = static_cast<std::uint16_t>(20 + any(100))};
        auto room = any.octets(header.total_length);
        header.emit(room);
        CHECK(naive_sum(octets{room}.first(20)) == 0xffff);
        const auto v = ipv4_view::parse(room);
        REQUIRE(v.has_value());
        CHECK(header
              == ipv4_header{v->source(), v->destination(), v->protocol(), v->ttl(), v->dscp_ecn(),
                             v->dont_fragment(), v->more_fragments(), v->identification(),
                             static_cast<std::uint16_t>(v->fragment_offset()), v->total_length()});
    }
}
