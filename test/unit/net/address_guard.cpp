// SPDX-License-Identifier: MIT
// Addresses that are probed for and defended, on whole stacks: with DHCP, link-local, and given.
#include "mirage/net/address_guard.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/dhcp.hpp"
#include "mirage/net/link_local.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/wire/dhcp_message.hpp"
#include <doctest/doctest.h>
#include <set>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;

template <class... More>
using stack_of = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::udp, More...>;
using guarded = stack_of<net::address_guard>;
using plain = stack_of<>;

constexpr ipv4_address server_address{10, 0, 0, 1};
constexpr mac_address rival{{2, 0, 0, 0, 0, 0x77}};

/// A guarded stack on a link where a rival answers ARP for the addresses that he has.
struct bench {
    memory::simulation world{};
    memory::seeded_random random{41}, other{42};
    memory::link<> wire{world.loop()};
    guarded here;
    plain there{world.loop(), wire.b(), world.clock(), other, {.network = {.ipv4 = {server_address, 24}}}};
    std::set<std::uint32_t> taken{};
    std::vector<wire::arp_packet> sent{}; ///< ARP of ours
    std::vector<instant> sent_at{};
    bool all_broadcast = true;
    nursery tasks{world.loop()};

    struct eavesdropper {
        bench& home;
        bool operator()(octets frame) const {
            const auto ethernet = wire::ethernet_view::parse(frame);
            if (!ethernet || ethernet->type() != wire::ethertype::arp)
                return true;
            const auto packet = wire::arp_view::parse(ethernet->payload());
            home.sent.push_back(wire::arp_packet::from(*packet));
            home.sent_at.push_back(home.world.now());
            home.all_broadcast = home.all_broadcast && ethernet->destination().is_broadcast();
            if (packet->operation() == wire::arp_operation::request
                && home.taken.contains(packet->target_protocol().value()))
                home.claims(packet->target_protocol());
            return true;
        }
    } ear{*this};

    explicit bench(const net::ipv4_options& own = {})
        : here{world.loop(), wire.a(), world.clock(), random, {.network = own}} {
        wire.a().filter(ear);
        spawn(here.run());
        spawn(there.run());
    }
    void spawn(task<> t) { REQUIRE(tasks.spawn(std::move(t))); }

    /// The rival says that `address` is his.
    void claims(ipv4_address address) {
        std::array<std::byte, 42> frame{};
        wire::ethernet_header{mac_address::broadcast(), rival, wire::ethertype::arp}.emit(frame);
        wire::arp_packet{wire::arp_operation::reply, rival, address, wire.a().mac(), address}.emit(
            mutable_octets{frame}.subspan(14));
        REQUIRE(wire.b().transmit({.headers = frame}));
    }
    std::size_t probes() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            sent, [](const wire::arp_packet& p) { return p.sender_protocol.is_unspecified(); }));
    }
    std::size_t announcements() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            sent, [](const wire::arp_packet& p) { return p.sender_protocol == p.target_protocol; }));
    }
};

/// A DHCP server with addresses from 10.0.0.50 on: the next one when one was declined.
struct dhcp_server {
    std::uint8_t next = 50;
    std::vector<ipv4_address> declined{};
    unsigned acknowledged = 0;

    task<> run(plain& stack) {
        auto socket = stack.udp().bind(wire::dhcp_server_port);
        for (;;) {
            const auto asked = co_await socket.receive();
            const auto message = asked ? wire::dhcp_view::parse(asked->data.view()) : std::unexpected(errc::eof);
            if (!message)
                continue;
            if (message->type() == wire::dhcp_type::decline) {
                declined.push_back(*message->requested_address());
                CHECK(message->server_identifier() == server_address);
                ++next;
                continue;
            }
            const bool discovers = message->type() == wire::dhcp_type::discover;
            acknowledged += discovers ? 0 : 1;
            std::array<std::byte, 400> room{};
            wire::dhcp_writer out{room,
                                  {.op = wire::dhcp_view::boot_reply,
                                   .transaction = message->transaction(),
                                   .your_address = ipv4_address{10, 0, 0, next},
                                   .client_hardware = message->client_hardware()}};
            out.add(discovers ? wire::dhcp_type::offer : wire::dhcp_type::ack);
            out.add(wire::dhcp_option::server_identifier, server_address);
            out.add(wire::dhcp_option::lease_time, std::uint32_t{600});
            out.add(wire::dhcp_option::subnet_mask, ipv4_address{255, 255, 255, 0});
            const auto to = message->client_address().is_unspecified() ? ipv4_address::broadcast() : asked->from.address;
            (void)socket.send_to({to, wire::dhcp_client_port}, octets{room}.first(*out.finish()));
        }
    }
};

struct leased : bench {
    dhcp_server server{};
    net::dhcp<guarded> client{here};
    nursery more{world.loop()};
    leased() {
        REQUIRE(more.spawn(server.run(there)));
        REQUIRE(more.spawn(client.run()));
    }
};

} // namespace

TEST_CASE("a leased address is probed for before it is used (RFC 2131 section 4.4.1, RFC 5227 section 2.1)") {
    leased b;
    b.world.run_for(2s);
    CHECK(b.client.lease() != nullptr);
    CHECK(b.here.ip().address().is_unspecified());
    REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 10s));
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 50});
    CHECK(b.probes() == 3);
    CHECK(b.client.changed().is_set());
    b.world.run_for(3s);
    CHECK(b.announcements() == 2);
    b.world.run_for(1h);
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 50});
    CHECK(b.probes() == 3); // renewals probe for nothing
    CHECK(b.announcements() == 2);
    CHECK(b.server.acknowledged >= 11);
}

TEST_CASE("one that somebody has is declined, and another one asked for (RFC 2131 sections 3.1 and 4.4.4)") {
    leased b;
    b.taken = {ipv4_address{10, 0, 0, 50}.value(), ipv4_address{10, 0, 0, 51}.value()};
    REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 3min));
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 52});
    CHECK(b.server.declined == std::vector{ipv4_address{10, 0, 0, 50}, ipv4_address{10, 0, 0, 51}});
    CHECK(b.world.now() >= instant{20s}); // RFC 2131 section 3.1 step 5: at least ten seconds each time
}

TEST_CASE("a leased address that somebody insists on is given up (RFC 5227 section 2.4 (b))") {
    leased b;
    b.world.run_for(20s);
    REQUIRE(b.here.ip().address() == ipv4_address{10, 0, 0, 50});
    const auto before = b.announcements();
    b.claims(ipv4_address{10, 0, 0, 50});
    b.world.run_for(1s);
    CHECK(b.announcements() == before + 1); // defended once
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 50});
    b.claims(ipv4_address{10, 0, 0, 50});
    b.world.run_for(1s);
    CHECK(b.here.ip().address().is_unspecified());
    CHECK(b.client.lease() == nullptr);
    CHECK(b.server.declined.size() == 1);
    REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 2min));
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 51});
}

TEST_CASE("an address that was given is announced twice, and kept (RFC 5227 sections 2.3 and 2.4 (c))") {
    bench b{{.ipv4 = {{10, 0, 0, 9}, 24}}};
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 9});
    b.world.run_for(5s);
    CHECK(b.probes() == 0);
    CHECK(b.announcements() == 2);
    for (unsigned i = 0; i < 9; ++i) {
        b.claims(ipv4_address{10, 0, 0, 9});
        b.world.run_for(1s);
    }
    CHECK(b.here.ip().address() == ipv4_address{10, 0, 0, 9});
    CHECK(b.announcements() == 3); // once in ten seconds
    CHECK(b.here.ip().statistics().address_conflicts == 9);
    b.world.run_for(10s);
    b.claims(ipv4_address{10, 0, 0, 9});
    b.world.run_for(1s);
    CHECK(b.announcements() == 4);
    b.here.ip().configure({{10, 0, 0, 10}, 24}, {}); // by hand
    b.world.run_for(5s);
    CHECK(b.announcements() == 6);
}

TEST_CASE("candidates of the link (RFC 3927 section 2.1)") {
    const mac_address one{{2, 0, 0, 0, 0, 1}}, two{{2, 0, 0, 0, 0, 2}};
    std::set<std::uint32_t> seen;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        const auto a = net::link_local_candidate(one, i);
        CHECK(a.is_link_local());
        CHECK(a.octet(2) >= 1);
        CHECK(a.octet(2) <= 254);
        CHECK(a == net::link_local_candidate(one, i));
        seen.insert(a.value());
    }
    CHECK(seen.size() > 950);
    CHECK(net::link_local_candidate(one, 0) != net::link_local_candidate(two, 0));
}

TEST_CASE("an address of the link (RFC 3927 sections 2.2 to 2.5)") {
    bench b;
    net::link_local<guarded> local{b.here};
    nursery run{b.world.loop()};
    const auto candidate = [&](std::uint32_t i) { return net::link_local_candidate(b.wire.a().mac(), i); };
    SUBCASE("the first one is free") {
        REQUIRE(run.spawn(local.run()));
        REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 10s));
        CHECK(b.here.ip().routes().own() == ipv4_prefix{candidate(0), 16});
        CHECK(b.here.ip().routes().gateway().is_unspecified());
        CHECK(b.probes() == 3);
        CHECK(local.changed().is_set());
        b.world.run_for(5s); // somebody insists on it
        b.claims(candidate(0));
        b.world.run_for(1s);
        CHECK(b.here.ip().address() == candidate(0));
        b.claims(candidate(0));
        b.world.run_for(1ms);
        CHECK(b.here.ip().address().is_unspecified());
        REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 10s));
        CHECK(b.here.ip().address() == candidate(1));
    }
    SUBCASE("somebody has it: the next one") {
        b.taken = {candidate(0).value(), candidate(1).value()};
        REQUIRE(run.spawn(local.run()));
        REQUIRE(b.world.run_until([&] { return !b.here.ip().address().is_unspecified(); }, 1min));
        CHECK(b.here.ip().address() == candidate(2));
    }
    SUBCASE("somebody has them all: one a minute, after ten (section 2.2.1)") {
        for (std::uint32_t i = 0; i < 100; ++i)
            b.taken.insert(candidate(i).value());
        REQUIRE(run.spawn(local.run()));
        b.world.run_for(30min);
        CHECK(b.here.ip().address().is_unspecified());
        CHECK(b.probes() >= 35);
        CHECK(b.probes() <= 45);
    }
    SUBCASE("ARP with it as the sender is for all to hear (section 2.5)") {
        REQUIRE(run.spawn(local.run()));
        b.world.run_for(20s);
        const auto mine = candidate(0);
        b.there.ip().configure({candidate(7), 16}, {});
        auto socket = b.there.udp().bind(1000);
        (void)socket.send_to({mine, 9}, std::as_bytes(std::span{"x", 1})); // asks for our address
        b.world.run_for(1s);
        CHECK(b.sent.back().operation == wire::arp_operation::reply);
        CHECK(b.all_broadcast);
    }
}
