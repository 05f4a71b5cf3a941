// SPDX-License-Identifier: MIT
#include "mirage/wire/arp.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr mac_address ours{{2, 0, 0, 0, 0, 1}}, theirs{{2, 0, 0, 0, 0, 2}};
constexpr ipv4_address our_address{10, 0, 0, 1}, their_address{10, 0, 0, 2};

constexpr auto golden_request = "0001 0800 06 04 0001  020000000001 0a000001  000000000000 0a000002"_hex;
constexpr auto golden_reply = "0001 0800 06 04 0002  020000000002 0a000002  020000000001 0a000001"_hex;

static_assert(emitted<28>(arp_packet::request(ours, our_address, their_address)) == golden_request);

constexpr auto request = arp_view::parse(golden_request);
static_assert(request && request->operation() == arp_operation::request
              && request->sender_hardware() == ours);
static_assert(request->sender_protocol() == our_address && request->target_protocol() == their_address);
static_assert(request->target_hardware() == mac_address{});
static_assert(!request->is_probe() && !request->is_announcement());
static_assert(arp_packet::from(*request) == arp_packet::request(ours, our_address, their_address));

// RFC 826: "Swap hardware and protocol fields, putting the local addresses in the sender fields".
static_assert(emitted<28>(arp_packet::reply(theirs, their_address, *request)) == golden_reply);
static_assert(arp_view::parse(golden_reply)->operation() == arp_operation::reply);

// RFC 5227 sections 2.1.1 and 2.3.
constexpr auto probe = emitted<28>(arp_packet::probe(ours, our_address));
static_assert(probe == "0001 0800 06 04 0001  020000000001 00000000  000000000000 0a000001"_hex);
static_assert(arp_view::parse(probe)->is_probe() && !arp_view::parse(probe)->is_announcement());
constexpr auto announcement = emitted<28>(arp_packet::announcement(ours, our_address));
static_assert(announcement == "0001 0800 06 04 0001  020000000001 0a000001  000000000000 0a000001"_hex);
static_assert(arp_view::parse(announcement)->is_announcement() && !arp_view::parse(announcement)->is_probe());

} // namespace

TEST_CASE("ARP packets that are not for IPv4 over Ethernet are told apart (RFC 826)") {
    struct row {
        const char* what;
        std::size_t at;
        unsigned octet;
        errc expected;
    };
    for (const auto& [what, at, octet, expected] : {
             row{"hardware type", 1, 6, errc::unsupported},
             row{"protocol type", 2, 0x86, errc::unsupported},
             row{"hardware address length", 4, 8, errc::malformed},
             row{"protocol address length", 5, 16, errc::malformed},
             row{"operation 0", 7, 0, errc::unsupported},
             row{"RARP request", 7, 3, errc::unsupported},
             row{"operation 257", 6, 1, errc::unsupported},
         }) {
        CAPTURE(what);
        CHECK(arp_view::parse(with(golden_request, at, octet)).error() == expected);
    }
    for (std::size_t length = 0; length < golden_request.size(); ++length)
        CHECK(arp_view::parse(octets{golden_request}.first(length)).error() == errc::truncated);
}

TEST_CASE("Ethernet padding after an ARP packet is no part of it") {
    std::array<std::byte, 46> padded{};
    std::ranges::copy(golden_request, padded.begin());
    const auto view = arp_view::parse(padded);
    REQUIRE(view.has_value());
    CHECK(arp_packet::from(*view) == arp_packet::request(ours, our_address, their_address));
}
