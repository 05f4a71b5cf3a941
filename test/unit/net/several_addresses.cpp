// SPDX-License-Identifier: MIT
// An interface with more than one address, and with routes beside the default one.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/further_addresses.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/net/static_routes.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr ipv4_address first{10, 0, 0, 2}, second{192, 0, 2, 2}, router{10, 0, 0, 1}, other_router{10, 0, 0, 3};
constexpr ipv4_address peer{192, 0, 2, 77}, far{198, 51, 100, 9};

using stack = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::udp,
                         net::tcp<>, net::static_routes, net::further_addresses>;
using plain_stack =
    net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::udp, net::tcp<>>;

/// The host, and a station on its link that is played by hand or by a plain stack.
struct bench {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{1}, peer_random{2};
    stack host{sim.loop(), link.a(), sim.clock(), random, {.network = {.ipv4 = {first, 24}, .gateway = router}}};
    nursery tasks{sim.loop()};

    bench() { (void)tasks.spawn(host.run()); }

    auto& further() { return host.get<net::further_addresses>(); }
    auto& routes() { return host.get<net::static_routes>(); }
    void passes(duration d) {
        (void)sim.run_until([] { return false; }, sim.now() + d);
    }
    /// The ARP packets that the host has sent since this was last asked.
    std::vector<wire::arp_packet> arp() {
        passes(1ms);
        std::vector<wire::arp_packet> all;
        std::array<received_frame, 8> burst;
        while (const std::size_t n = link.b().receive(burst))
            for (received_frame& f : std::span{burst}.first(n)) {
                const auto ethernet = wire::ethernet_view::parse(f.data.view());
                REQUIRE(ethernet);
                if (ethernet->type() == wire::ethertype::arp)
                    all.push_back(wire::arp_packet::from(*wire::arp_view::parse(ethernet->payload())));
                f.data.reset();
            }
        return all;
    }
    void says(const wire::arp_packet& packet) {
        std::array<std::byte, 42> frame;
        wire::ethernet_header{mac_address::broadcast(), packet.sender_hardware, wire::ethertype::arp}.emit(frame);
        packet.emit(mutable_octets{frame}.subspan(14));
        REQUIRE(link.b().transmit({.headers = frame}).has_value());
    }
    /// Who the host asks for when it sends to `to`.
    ipv4_address asks_for(ipv4_address to) {
        (void)arp();
        auto socket = host.udp().bind(0);
        (void)socket.send_to({to, 9}, as_octets("x"));
        const auto asked = arp();
        return asked.empty() ? ipv4_address{} : asked.front().target_protocol;
    }
    /// Spends so long that every neighbour is forgotten who did not answer.
    void forgets() { passes(1min); }
};

} // namespace

TEST_CASE("the longest prefix wins, a route takes the place of one for the same prefix (RFC 1812 section 5.2.4.3)") {
    net::route_table<3> table;
    CHECK(table.add({{{10, 0, 0, 0}, 8}, router}));
    CHECK(table.add({{{10, 1, 2, 3}, 16}, other_router})); // what is behind the length does not count
    CHECK(table.find({10, 2, 0, 1})->via == router);
    CHECK(table.find({10, 1, 9, 9})->via == other_router);
    CHECK(table.find(far) == nullptr);
    CHECK(table.add({{{10, 1, 0, 0}, 16}, router}));
    CHECK(table.size() == 2);
    CHECK(table.find({10, 1, 9, 9})->via == router);
    CHECK(table.add({{{}, 0}, other_router}));
    CHECK(table.find(far)->via == other_router);
    CHECK(table.add({{far, 32}, router}).error() == errc::no_buffers);
    CHECK(table.add({{far, 33}, router}).error() == errc::invalid_argument);
    CHECK(table.add({{far, 32}, {127, 0, 0, 1}}).error() == errc::invalid_argument);
    CHECK(table.remove({{10, 0, 0, 0}, 8}));
    CHECK_FALSE(table.remove({{10, 0, 0, 0}, 8}));
    CHECK(table.find({10, 2, 0, 1})->via == other_router);
}

TEST_CASE("static routes are asked before the default router, and the subnet before them (RFC 1122 section 3.3.1.2)") {
    bench on;
    CHECK(on.asks_for(far) == router);
    on.forgets();
    REQUIRE(on.routes().add({{{198, 51, 100, 0}, 24}, other_router}));
    CHECK(on.asks_for(far) == other_router);
    on.forgets();
    REQUIRE(on.routes().add({{far, 32}, {}})); // on the link
    CHECK(on.asks_for(far) == far);
    REQUIRE(on.routes().add({{{10, 0, 0, 0}, 8}, other_router}));
    CHECK(on.asks_for({10, 0, 0, 50}) == ipv4_address{10, 0, 0, 50});
    on.forgets();
    CHECK(on.asks_for({10, 9, 0, 1}) == other_router);
    on.forgets();
    REQUIRE(on.routes().add({{{10, 0, 0, 64}, 26}, other_router})); // more precise than the subnet
    CHECK(on.asks_for({10, 0, 0, 70}) == other_router);
    CHECK(on.host.ip().source_for(first) == ipv4_address{});
    CHECK(on.host.ip().source_for({10, 0, 0, 255}) == first);
}

TEST_CASE("a redirect changes nothing (RFC 1122 section 3.2.2.2)") {
    bench on;
    CHECK(on.asks_for(far) == router);
    on.says(wire::arp_packet::announcement(on.link.b().mac(), router));
    on.passes(1ms);
    std::array<std::byte, 14 + 20 + 8 + 28> frame{};
    wire::ethernet_header{on.link.a().mac(), on.link.b().mac(), wire::ethertype::ipv4}.emit(frame);
    wire::ipv4_header{.source = router, .destination = first, .protocol = wire::ip_protocol::icmp, .total_length = 56}
        .emit(mutable_octets{frame}.subspan(14));
    const mutable_octets text = mutable_octets{frame}.subspan(34);
    text[0] = std::byte{5}; // redirect, for the host
    text[1] = std::byte{1};
    wire::store<std::uint32_t>(text.data() + 4, other_router.value());
    wire::ipv4_header{.source = first, .destination = far, .protocol = wire::ip_protocol::udp, .total_length = 29}
        .emit(text.subspan(8));
    wire::store<std::uint16_t>(text.data() + 2, wire::checksum(text));
    const auto before = on.host.icmp().statistics();
    REQUIRE(on.link.b().transmit({.headers = frame}).has_value());
    on.passes(1ms);
    CHECK(on.host.icmp().statistics().received == before.received + 1);
    CHECK(on.host.icmp().statistics().malformed == before.malformed);
    on.forgets();
    on.passes(30min);
    CHECK(on.asks_for(far) == router);
}

TEST_CASE("a further address is announced, answered for and defended (RFC 5227 sections 2.3 and 2.4)") {
    bench on;
    (void)on.arp();
    REQUIRE(on.further().add({second, 24}));
    auto said = on.arp();
    REQUIRE(said.size() == 1);
    CHECK(said[0].sender_protocol == second);
    CHECK(said[0].target_protocol == second);

    const mac_address station = on.link.b().mac();
    on.says(wire::arp_packet::request(station, peer, second));
    said = on.arp();
    REQUIRE(said.size() == 1);
    CHECK(said[0].operation == wire::arp_operation::reply);
    CHECK(said[0].sender_protocol == second);
    CHECK(said[0].target_protocol == peer);
    on.says(wire::arp_packet::request(station, router, first));
    said = on.arp();
    REQUIRE(said.size() == 1);
    CHECK(said[0].sender_protocol == first);

    for (int i = 0; i < 3; ++i)
        on.says(wire::arp_packet::announcement(station, second));
    said = on.arp();
    REQUIRE(said.size() == 1); // at most once in 10 s
    CHECK(said[0].sender_protocol == second);
    CHECK(on.host.ip().statistics().address_conflicts == 3);

    CHECK(on.further().add({second, 24}).error() == errc::in_use);
    CHECK(on.further().add({first, 24}).error() == errc::in_use);
    CHECK(on.further().add({{192, 0, 2, 255}, 24}).error() == errc::invalid_argument);
    CHECK(on.further().add({{}, 24}).error() == errc::invalid_argument);
    REQUIRE(on.further().remove(second));
    CHECK_FALSE(on.further().remove(second));
    on.says(wire::arp_packet::request(station, peer, second));
    CHECK(on.arp().empty());
}

TEST_CASE("what begins here comes from the address in the subnet of the next hop (RFC 1122 section 3.3.4.3)") {
    bench on;
    REQUIRE(on.further().add({second, 24}));
    CHECK(on.host.ip().source_for({10, 0, 0, 9}) == first);
    CHECK(on.host.ip().source_for(peer) == second);
    CHECK(on.host.ip().source_for({192, 0, 2, 255}) == second);
    CHECK(on.host.ip().source_for(far) == first);
    CHECK(on.host.ip().source_for(second) == ipv4_address{}); // ourselves
    REQUIRE(on.routes().add({{far, 32}, {192, 0, 2, 1}}));
    CHECK(on.host.ip().source_for(far) == second);
    // and so does the request for the neighbour
    (void)on.arp();
    auto socket = on.host.udp().bind(0);
    CHECK(socket.send_to({peer, 9}, as_octets("x")));
    const auto asked = on.arp();
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].sender_protocol == second);
    CHECK(asked[0].target_protocol == peer);
}

TEST_CASE("connections and answers come from the address that was asked, whatever the peer's subnet (RFC 1122 section 3.2.2)") {
    bench on;
    REQUIRE(on.further().add({second, 24}));
    plain_stack station{on.sim.loop(), on.link.b(), on.sim.clock(), on.peer_random,
                        {.network = {.ipv4 = {{10, 0, 0, 9}, 24}, .gateway = first}}};
    (void)on.tasks.spawn(station.run());
    std::string came;
    bool from_second = false;
    (void)on.tasks.spawn([](stack& s, std::string& all, bool& right) -> task<> {
        auto listener = s.tcp().listen(7);
        auto stream = co_await listener.accept();
        if (!stream)
            co_return;
        right = stream->local().address == second;
        while (auto part = co_await stream->async_receive())
            all += as_text(part->view());
    }(on.host, came, from_second));
    (void)on.tasks.spawn([](plain_stack& s) -> task<> {
        auto stream = co_await s.tcp().connect({second, 7});
        if (!stream)
            co_return;
        (void)co_await stream->async_write_some(as_octets("hello"));
        stream->shutdown_send();
    }(station));
    CHECK(on.sim.run_until([&] { return came == "hello"; }, on.sim.now() + 10s));
    CHECK(from_second);

    // nobody listens at that port: the error comes from there, too
    auto socket = station.udp().bind(0);
    socket.hear_of_losses();
    errc told{};
    (void)on.tasks.spawn([](auto& from, errc& why) -> task<> {
        const auto d = co_await from.receive();
        why = d ? errc{} : d.error();
    }(socket, told));
    CHECK(socket.send_to({second, 9}, as_octets("x")));
    CHECK(on.sim.run_until([&] { return told == errc::refused; }, on.sim.now() + 10s));
}

TEST_CASE("the addresses of a further subnet are judged as those of the first (RFC 1122 section 3.2.1.3)") {
    bench on;
    REQUIRE(on.further().add({second, 24}));
    auto socket = on.host.udp().bind(7);
    const auto heard = [&](ipv4_address source, ipv4_address destination, mac_address to) {
        std::array<std::byte, 14 + 20 + 8> frame{};
        wire::ethernet_header{to, on.link.b().mac(), wire::ethertype::ipv4}.emit(frame);
        wire::ipv4_header{.source = source, .destination = destination, .protocol = wire::ip_protocol::udp,
                          .total_length = 28}
            .emit(mutable_octets{frame}.subspan(14));
        const std::array<std::uint8_t, 8> udp{0, 9, 0, 7, 0, 8, 0, 0};
        std::ranges::copy(std::as_bytes(std::span{udp}), frame.begin() + 34);
        const auto before = on.host.ip().statistics().not_for_us;
        REQUIRE(on.link.b().transmit({.headers = frame}).has_value());
        on.passes(1ms);
        return on.host.ip().statistics().not_for_us == before;
    };
    const mac_address us = on.link.a().mac();
    CHECK(heard(peer, second, us));
    CHECK(heard(far, second, us));
    CHECK_FALSE(heard(peer, {192, 0, 2, 3}, us));
    CHECK_FALSE(heard(second, second, us)); // land
    CHECK_FALSE(heard(second, first, us));
    CHECK_FALSE(heard(first, second, us));
    CHECK_FALSE(heard({192, 0, 2, 255}, second, us));
    CHECK_FALSE(heard({10, 0, 0, 255}, second, us));
    CHECK_FALSE(heard(peer, second, mac_address::broadcast())); // RFC 1122 section 3.3.6
    CHECK(heard(peer, {192, 0, 2, 255}, mac_address::broadcast()));
    CHECK_FALSE(heard({}, {192, 0, 2, 255}, mac_address::broadcast()));
}
