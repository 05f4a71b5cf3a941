// SPDX-License-Identifier: MIT
#include "mirage/core/check.hpp"
#include "mirage/wire/dhcp_message.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr mac_address hardware{{2, 0, 0, 0, 0, 1}};
constexpr std::array wanted{dhcp_option::subnet_mask, dhcp_option::routers, dhcp_option::dns_servers};

constexpr auto discover = [] {
    std::array<std::byte, 300> room{};
    room.fill(std::byte{0xff});
    const dhcp_client_message message{.type = dhcp_type::discover,
                                      .transaction = 0x01020304,
                                      .seconds = 5,
                                      .broadcast = true,
                                      .hardware = hardware,
                                      .iaid = 7,
                                      .client_address = ipv4_address{10, 0, 0, 9}, // not in a discover
                                      .requested_address = ipv4_address{10, 0, 0, 9},
                                      .server_identifier = ipv4_address{10, 0, 0, 1}, // not in a discover
                                      .host_name = "box",
                                      .parameters = wanted};
    mirage::check(message.emit(room) == 300u, "the length of a discover");
    return room;
}();
static_assert(same(octets{discover}.first(34),
                   "01 01 06 00 01020304 0005 8000 00000000 00000000 00000000 00000000 020000000001"_hex));
static_assert(std::ranges::all_of(octets{discover}.subspan(34, 202),
                                  [](std::byte o) { return o == std::byte{0}; }));
static_assert(same(octets{discover}.subspan(236, 45),
                   "63825363 350101 3d0f ff00000007 00030001 020000000001 32040a000009 39020240"
                   "3703010306 0c03626f78 ff"_hex));
static_assert(dhcp_view::parse(discover)->type() == dhcp_type::discover);

/// A server's message, as tests need it.
struct server_message {
    std::array<std::byte, 600> room{};
    dhcp_writer out{room,
                    {.op = dhcp_view::boot_reply,
                     .transaction = 9,
                     .your_address = ipv4_address{10, 0, 0, 9},
                     .client_hardware = hardware}};
    octets finish() { return octets{room}.first(*out.finish()); }
};

template <std::size_t Size>
std::array<std::byte, Size> octets_of(const char (&text)[Size]) {
    std::array<std::byte, Size> made{};
    std::ranges::transform(text, made.begin(), [](char c) { return static_cast<std::byte>(c); });
    return made;
}

} // namespace

TEST_CASE("an offer is read whole (RFC 2131 section 3.1, RFC 2132)") {
    server_message m;
    m.out.add(dhcp_type::offer)
        .add(dhcp_option::server_identifier, ipv4_address{10, 0, 0, 1})
        .add(dhcp_option::lease_time, 3600u)
        .add(dhcp_option::renewal_time, 1800u)
        .add(dhcp_option::rebinding_time, 3150u)
        .add(dhcp_option::subnet_mask, ipv4_address{255, 255, 255, 0})
        .add(dhcp_option::broadcast_address, ipv4_address{10, 0, 0, 255})
        .add(dhcp_option::interface_mtu, std::uint16_t{1400})
        .add(dhcp_option::routers, "0a000001 0a000002"_hex)
        .add(dhcp_option::dns_servers, "08080808 01010101 09090909"_hex)
        .add(dhcp_option::domain_name, octets_of("example.org")); // with the NUL that some servers send
    const auto v = dhcp_view::parse(m.finish());
    REQUIRE(v.has_value());
    CHECK(v->op() == dhcp_view::boot_reply);
    CHECK(v->type() == dhcp_type::offer);
    CHECK(v->transaction() == 9);
    CHECK(v->client_hardware() == hardware);
    CHECK(v->your_address() == ipv4_address{10, 0, 0, 9});
    CHECK(v->client_address().is_unspecified());
    CHECK(v->server_address().is_unspecified());
    CHECK(v->relay_address().is_unspecified());
    CHECK_FALSE(v->broadcast());
    CHECK(v->server_identifier() == ipv4_address{10, 0, 0, 1});
    CHECK(v->lease_time() == 3600u);
    CHECK(v->renewal_time() == 1800u);
    CHECK(v->rebinding_time() == 3150u);
    CHECK(v->prefix_length() == 24);
    CHECK(v->broadcast_address() == ipv4_address{10, 0, 0, 255});
    CHECK(v->interface_mtu() == 1400);
    CHECK_FALSE(v->requested_address().has_value());
    CHECK_FALSE(v->maximum_message_size().has_value());
    std::array<ipv4_address, 2> some{};
    CHECK(v->routers(some) == 2);
    CHECK(some[1] == ipv4_address{10, 0, 0, 2});
    CHECK(v->dns_servers(some) == 2); // as many as wanted
    CHECK(some[0] == ipv4_address{8, 8, 8, 8});
    CHECK(v->addresses(dhcp_option::ntp_servers, some) == 0);
    std::array<std::byte, 64> room{};
    CHECK(as_text(v->text(dhcp_option::domain_name, room)) == "example.org");
    CHECK(as_text(v->text(dhcp_option::domain_name, mutable_octets{room}.first(4))) == "exam");
    CHECK(v->text(dhcp_option::message, room).empty());
}

TEST_CASE("each client message holds what RFC 2131 section 4.4.1, table 5, allows") {
    const ipv4_address address{10, 0, 0, 9}, server{10, 0, 0, 1};
    struct row {
        dhcp_type type;
        bool client_address, requested_address, server_identifier, parameters, seconds;
    };
    for (const auto& row : {
             row{dhcp_type::discover, false, true, false, true, true},
             row{dhcp_type::request, true, true, true, true, true},
             row{dhcp_type::inform, true, false, false, true, true},
             row{dhcp_type::decline, false, true, true, false, false},
             row{dhcp_type::release, true, false, true, false, false},
         }) {
        CAPTURE(static_cast<int>(row.type));
        const dhcp_client_message message{.type = row.type,
                                          .transaction = 77,
                                          .seconds = 3,
                                          .broadcast = true,
                                          .hardware = hardware,
                                          .client_address = address,
                                          .requested_address = address,
                                          .server_identifier = server,
                                          .host_name = "box",
                                          .parameters = wanted};
        std::array<std::byte, 576> room{};
        const auto length = message.emit(room);
        REQUIRE(length.has_value());
        const auto v = dhcp_view::parse(octets{room}.first(*length));
        REQUIRE(v.has_value());
        CHECK(v->op() == dhcp_view::boot_request);
        CHECK(v->type() == row.type);
        CHECK(v->transaction() == 77);
        CHECK(v->client_hardware() == hardware);
        CHECK((v->client_address() == address) == row.client_address);
        CHECK(v->requested_address().has_value() == row.requested_address);
        CHECK(v->server_identifier().has_value() == row.server_identifier);
        CHECK(v->maximum_message_size().has_value() == row.parameters);
        CHECK((v->seconds() == 3) == row.seconds);
        CHECK(v->broadcast() == row.seconds);
        std::array<std::byte, 16> some{};
        CHECK(v->copy_option(dhcp_option::parameter_request_list, some).has_value() == row.parameters);
        CHECK(v->copy_option(dhcp_option::host_name, some).has_value() == row.parameters);
        // RFC 4361 section 6.1: the client identifier is in every message.
        CHECK(v->copy_option(dhcp_option::client_identifier, some) == 15u);
        CHECK(same(octets{some}.first(15), message.client_identifier()));
    }
}

TEST_CASE("options may overload the file and server name fields (RFC 2132 section 9.3)") {
    for (const unsigned overload : {1u, 2u, 3u}) {
        server_message m;
        m.out.add(dhcp_type::ack).add(dhcp_option::overload, static_cast<std::uint8_t>(overload));
        const auto message = m.finish();
        std::ranges::copy("03 04 0a000001 ff"_hex, m.room.begin() + dhcp_at::file);
        std::ranges::copy("06 04 0a000002 ff"_hex, m.room.begin() + dhcp_at::server_name);
        const auto v = dhcp_view::parse(message);
        REQUIRE(v.has_value());
        std::array<ipv4_address, 1> one{};
        CHECK(v->routers(one) == (overload & 1));
        CHECK(v->dns_servers(one) == overload >> 1);
    }
}

TEST_CASE("pieces of an option are joined, in options, file, server name order (RFC 3396 section 5)") {
    server_message m;
    m.out.add(dhcp_type::ack)
        .add(dhcp_option::overload, std::uint8_t{3})
        .add(dhcp_option::lease_time, std::uint8_t{0x01})
        .add(dhcp_option::domain_name, "61"_hex)
        .add(dhcp_option::lease_time, std::uint8_t{0x02});
    const auto message = m.finish();
    std::ranges::copy("33 01 03 0f 01 62 ff"_hex, m.room.begin() + dhcp_at::file);
    std::ranges::copy("00 00 0f 01 63 33 01 04 ff"_hex, m.room.begin() + dhcp_at::server_name);
    const auto v = dhcp_view::parse(message);
    REQUIRE(v.has_value());
    CHECK(v->lease_time() == 0x01020304u);
    std::array<std::byte, 8> room{};
    CHECK(as_text(v->text(dhcp_option::domain_name, room)) == "abc");
}

TEST_CASE("an option of more than 255 octets is written in pieces and read as one (RFC 3396 section 6)") {
    dice any{70};
    const auto data = any.octets(300);
    server_message m;
    m.out.add(dhcp_type::ack).add(dhcp_option::message, octets{data});
    const auto v = dhcp_view::parse(m.finish());
    REQUIRE(v.has_value());
    std::vector<std::byte> back(400);
    REQUIRE(v->copy_option(dhcp_option::message, back) == 300u);
    back.resize(300);
    CHECK(back == data);
}

TEST_CASE("what is no DHCP message of ours is told so") {
    for (std::size_t length = 0; length < 240; ++length)
        CHECK(dhcp_view::parse(octets{discover}.first(length)).error() == errc::truncated);
    CHECK(dhcp_view::parse(with(discover, 0, 0)).error() == errc::malformed);
    CHECK(dhcp_view::parse(with(discover, 0, 3)).error() == errc::malformed);
    CHECK(dhcp_view::parse(with(discover, 1, 6)).error() == errc::unsupported);
    CHECK(dhcp_view::parse(with(discover, 2, 16)).error() == errc::unsupported);
    CHECK(dhcp_view::parse(with(discover, 236, 0x64)).error() == errc::malformed);
    // No message type: plain BOOTP. A message type of two octets, or one that is not assigned.
    CHECK(dhcp_view::parse(with(discover, 240, 255)).error() == errc::unsupported);
    CHECK(dhcp_view::parse(with(discover, 242, 0)).error() == errc::unsupported);
    CHECK(dhcp_view::parse(with(discover, 242, 9)).error() == errc::unsupported);
    server_message wide;
    wide.out.add(dhcp_option::message_type, std::uint16_t{1});
    CHECK(dhcp_view::parse(wide.finish()).error() == errc::unsupported);
    // A length that leaves the message; a code without a length.
    CHECK(dhcp_view::parse(with(discover, 244, 255)).error() == errc::malformed);
    CHECK(dhcp_view::parse(octets{discover}.first(244)).error() == errc::malformed);
    // No end option, but nothing missing either.
    CHECK(dhcp_view::parse(octets{discover}.first(243)).has_value());
}

TEST_CASE("options of a wrong length or value are not there (RFC 2132)") {
    server_message m;
    m.out.add(dhcp_type::ack)
        .add(dhcp_option::lease_time, std::uint16_t{1})
        .add(dhcp_option::renewal_time, "0000000000"_hex)
        .add(dhcp_option::server_identifier, octets{})
        .add(dhcp_option::subnet_mask, ipv4_address{255, 0, 255, 0})
        .add(dhcp_option::routers, "0a000001 0a"_hex)
        .add(dhcp_option::dns_servers, octets{})
        .add(dhcp_option::interface_mtu, std::uint16_t{67})
        .add(dhcp_option::maximum_message_size, std::uint16_t{575});
    const auto v = dhcp_view::parse(m.finish());
    REQUIRE(v.has_value());
    CHECK_FALSE(v->lease_time().has_value());
    CHECK_FALSE(v->renewal_time().has_value());
    CHECK_FALSE(v->server_identifier().has_value());
    CHECK_FALSE(v->prefix_length().has_value());
    CHECK_FALSE(v->interface_mtu().has_value());
    CHECK_FALSE(v->maximum_message_size().has_value());
    std::array<ipv4_address, 4> room{};
    CHECK(v->routers(room) == 0);
    CHECK(v->dns_servers(room) == 0);
}

TEST_CASE("a senseless overload or an option that leaves an overloaded field is malformed") {
    for (const unsigned overload : {0u, 4u, 255u}) {
        server_message m;
        m.out.add(dhcp_type::ack).add(dhcp_option::overload, static_cast<std::uint8_t>(overload));
        CHECK(dhcp_view::parse(m.finish()).error() == errc::malformed);
    }
    server_message m;
    m.out.add(dhcp_type::ack).add(dhcp_option::overload, std::uint8_t{1});
    const auto message = m.finish();
    std::ranges::copy("03 7f"_hex, m.room.begin() + dhcp_at::file); // 2 + 127 octets in a field of 128
    CHECK(dhcp_view::parse(message).error() == errc::malformed);
    std::ranges::copy("03 7e"_hex, m.room.begin() + dhcp_at::file);
    CHECK(dhcp_view::parse(message).has_value());
}

TEST_CASE("every prefix length comes from its mask") {
    for (unsigned bits = 0; bits <= 32; ++bits) {
        server_message m;
        const ipv4_prefix prefix{ipv4_address{10, 0, 0, 1}, static_cast<std::uint8_t>(bits)};
        m.out.add(dhcp_type::ack).add(dhcp_option::subnet_mask, ipv4_address{prefix.mask()});
        CHECK(dhcp_view::parse(m.finish())->prefix_length() == bits);
    }
}

TEST_CASE("a message that does not fit says so and writes nothing outside") {
    std::array<std::byte, 299> small{};
    CHECK(dhcp_client_message{}.emit(small).error() == errc::too_large);
    std::array<std::byte, 310> room{};
    dhcp_writer out{mutable_octets{room}.first(300), {}};
    out.add(dhcp_type::ack).add(dhcp_option::message, std::vector<std::byte>(56, std::byte{0xee}));
    CHECK(out.finish().error() == errc::too_large); // 243 + 58 octets
    CHECK(std::ranges::all_of(octets{room}.subspan(300), [](std::byte o) { return o == std::byte{0}; }));

    dhcp_writer fits{mutable_octets{room}.first(300), {}};
    fits.add(dhcp_type::ack).add(dhcp_option::message, std::vector<std::byte>(54, std::byte{0xee}));
    CHECK(fits.finish() == 300u); // 243 + 56 + the end
}

TEST_CASE("any octets in the options fields are read without harm (RFC 2132 section 2)") {
    dice any{80};
    int accepted = 0;
    for (int i = 0; i < 5000; ++i) {
        server_message m;
        m.out.add(dhcp_type::ack).add(dhcp_option::overload, std::uint8_t{3});
        (void)m.out.finish();
        for (std::size_t at = 246; at < 246 + any(60); ++at)
            m.room[at] = static_cast<std::byte>(any(64));
        for (std::size_t at = 44; at < 236; at += 1 + any(20))
            m.room[at] = static_cast<std::byte>(any(64));
        const auto v = dhcp_view::parse(m.room);
        accepted += v.has_value();
        if (!v)
            continue;
        std::array<std::byte, 32> room{};
        std::array<ipv4_address, 4> some{};
        for (unsigned code = 0; code < 256; ++code) {
            (void)v->copy_option(static_cast<dhcp_option>(code), room);
            CHECK(v->addresses(static_cast<dhcp_option>(code), some) <= some.size());
        }
    }
    CHECK(accepted > 0);
}
