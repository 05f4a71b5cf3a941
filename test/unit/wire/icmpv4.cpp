// SPDX-License-Identifier: MIT
#include "mirage/wire/icmpv4.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr auto golden = "08 00 2162 1234 0007  61 62 63"_hex;
constexpr auto echo = icmpv4_view::parse(golden);
static_assert(echo && echo->type() == icmpv4_type::echo_request && echo->code() == 0);
static_assert(echo->identifier() == 0x1234 && echo->sequence() == 7 && echo->payload().size() == 3);
static_assert(!echo->is_error());

constexpr auto data = sum("61 62 63"_hex);
static_assert(same(emitted<8>(icmpv4_header::echo_request(0x1234, 7), data), octets{golden}.first(8)));
static_assert(emitted<8>(icmpv4_header::echo_reply(*echo), data) == "00 00 2962 1234 0007"_hex);

// RFC 1191 section 4: the next-hop MTU is in the low 16 bits of the second word.
static_assert(emitted<8>(icmpv4_header::unreachable(unreachable_code::fragmentation_needed, 1400))
              == "03 04 f783 0000 0578"_hex);
static_assert(icmpv4_view::parse("03 04 f783 0000 0578"_hex)->next_hop_mtu() == 1400);
static_assert(emitted<8>(icmpv4_header::unreachable(unreachable_code::port)) == "03 03 fcfc 0000 0000"_hex);
static_assert(emitted<8>(icmpv4_header::exceeded(exceeded_code::reassembly)) == "0b 01 f4fe 0000 0000"_hex);
static_assert(emitted<8>(icmpv4_header::problem(20)) == "0c 00 dfff 1400 0000"_hex);
static_assert(icmpv4_view::parse("0c 00 dfff 1400 0000"_hex)->pointer() == 20);

} // namespace

TEST_CASE("every octet of an ICMP message counts in its checksum, unless the device has seen to it") {
    for (std::size_t at = 0; at < golden.size(); ++at) {
        const auto broken = with(golden, at, std::to_integer<unsigned>(golden[at]) ^ 0x10u);
        CHECK(icmpv4_view::parse(broken).error() == errc::bad_checksum);
        CHECK(icmpv4_view::parse(broken, verify::no).has_value());
    }
    for (std::size_t length = 0; length < 8; ++length)
        CHECK(icmpv4_view::parse(octets{golden}.first(length), verify::no).error() == errc::truncated);
}

TEST_CASE("errors are told from queries (RFC 1122 section 3.2.2)") {
    for (unsigned type = 0; type < 256; ++type) {
        const auto message = with(golden, 0, type);
        const bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
        CHECK(icmpv4_view::parse(message, verify::no)->is_error() == error);
    }
}

TEST_CASE("an error quotes no more than keeps it within 576 octets (RFC 1812 section 4.3.2.3)") {
    const std::vector<std::byte> packet(1500);
    CHECK(icmpv4_header::quote(packet).size() == 548);
    CHECK(icmpv4_header::quote(octets{packet}.first(40)).size() == 40);
}

TEST_CASE("ICMP messages come back from what they emit") {
    dice any{30};
    for (int i = 0; i < 500; ++i) {
        const icmpv4_header header{static_cast<icmpv4_type>(any(256)), static_cast<std::uint8_t>(any(256)),
                                   any.word()};
        auto message = any.octets(8 + any(300));
        header.emit(message, sum(octets{message}.subspan(8)));
        CHECK(naive_sum(message) == 0xffff);
        const auto view = icmpv4_view::parse(message);
        REQUIRE(view.has_value());
        CHECK(icmpv4_header{view->type(), view->code(), view->rest()} == header);
    }
}
