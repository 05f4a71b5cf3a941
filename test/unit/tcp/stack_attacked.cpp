// SPDX-License-Identifier: MIT
// What strangers on the network can do to a stack, and what they cannot.
#include "two_hosts.hpp"
#include <array>
#include <set>
#include <string>
#include <vector>

using namespace test;

namespace {

using hosts = two_hosts<offload{}, net::tcp<net::syn_cookies>>;
using stream = hosts::stream;

/// Puts a segment on the line that claims to be from `from`.
template <class Hosts>
void forge(Hosts& net, ipv4_endpoint from, std::uint16_t port, wire::tcp_header tcp, std::string_view text = {}) {
    std::array<std::byte, 14 + 20 + 60> headers{};
    tcp.source_port = from.port;
    tcp.destination_port = port;
    const std::size_t length = tcp.size();
    wire::ethernet_header{net.link.b().mac(), net.link.a().mac(), wire::ethertype::ipv4}.emit(headers);
    wire::ipv4_header{.source = from.address,
                      .destination = Hosts::server_address,
                      .protocol = wire::ip_protocol::tcp,
                      .total_length = static_cast<std::uint16_t>(20 + length + text.size())}
        .emit(mutable_octets{headers}.subspan(14));
    tcp.emit(mutable_octets{headers}.subspan(34, length),
             wire::pseudo_header_sum(from.address, Hosts::server_address, 6, static_cast<std::uint16_t>(length + text.size()))
                 + wire::sum(as_octets(text)));
    const auto payload = slice::of_static(text);
    REQUIRE(net.link.a().transmit({.headers = octets{headers}.first(34 + length), .payload = std::span{&payload, 1}}));
    if (text.empty()) // otherwise the caller is a task
        (void)net.sim.settle();
}

template <class Hosts>
void flood(Hosts& net, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        wire::tcp_header syn{.sequence = i * 12345, .flags = wire::tcp_flags::syn, .window = 1000};
        forge(net, {ipv4_address{10, 0, 0, static_cast<std::uint8_t>(100 + i % 100)}, static_cast<std::uint16_t>(1024 + i)}, 80, syn);
    }
}

template <class Listener>
task<> echo_all(Listener& listener, std::vector<stream>& kept) {
    while (auto s = co_await listener.accept()) {
        auto text = co_await s->async_receive();
        if (text)
            (void)co_await s->async_send(*text);
        kept.push_back(std::move(*s));
    }
}

task<> ask(hosts& net, std::string& answer, errc& failed) {
    auto s = co_await net.client.tcp().connect({hosts::server_address, 80});
    if (!s) {
        failed = s.error();
        co_return;
    }
    (void)co_await s->async_write_some(as_octets("still there?"));
    if (const auto text = co_await s->async_receive())
        answer = as_text(text->view());
}

} // namespace

TEST_CASE("a listener whose backlog is full answers with cookies, and keeps the options of who comes back (RFC 4987 section 3.6)") {
    hosts net;
    {
        auto listener = net.server.tcp().listen(80, 8);
        std::vector<stream> kept;
        net.spawn(echo_all(listener, kept));
        flood(net, 200);
        CHECK(net.server.tcp().connections() == 8);
        CHECK(net.server.tcp().statistics().cookies_sent == 192);
        std::string answer;
        errc failed{};
        net.spawn(ask(net, answer, failed));
        REQUIRE(net.until([&] { return !answer.empty() || failed != errc{}; }, 1s));
        CHECK(answer == "still there?");
        CHECK(net.server.tcp().statistics().cookies_redeemed == 1);
        REQUIRE(kept.size() == 1);
        CHECK(kept[0].control().selective);
        CHECK(kept[0].control().timestamps.on);
        CHECK(kept[0].control().mss == 1448);
        CHECK(kept[0].info().octets_received == 12);
        CHECK(kept[0].info().octets_acked <= 12);
    }
    CHECK(net.until([&] { return net.client.tcp().connections() == 0 && net.server.tcp().connections() == 0; }));
}

TEST_CASE("a thousand requests during a flood: every one is served") {
    hosts net;
    {
        auto listener = net.server.tcp().listen(80, 8);
        std::vector<stream> kept;
        net.spawn(echo_all(listener, kept));
        int served = 0;
        for (int i = 0; i < 1000; ++i) {
            flood(net, 10);
            std::string answer;
            errc failed{};
            net.spawn(ask(net, answer, failed));
            REQUIRE(net.until([&] { return !answer.empty() || failed != errc{}; }, 10s));
            served += answer == "still there?";
            kept.clear();
        }
        CHECK(served == 1000);
    }
    CHECK(net.until([&] { return net.client.tcp().connections() == 0 && net.server.tcp().connections() == 0; }));
}

TEST_CASE("an ACK that redeems nothing is reset, and nothing is kept of it") {
    hosts net;
    auto listener = net.server.tcp().listen(80, 8);
    flood(net, 20); // cookies are out
    const auto before = net.server.tcp().statistics().resets_sent;
    for (std::uint32_t i = 0; i < 100; ++i)
        forge(net, {hosts::client_address, 4000}, 80, {.sequence = 1, .acknowledgment = i << 24, .flags = wire::tcp_flags::ack, .window = 9});
    CHECK(net.server.tcp().statistics().resets_sent == before + 100);
    CHECK(net.server.tcp().statistics().cookies_redeemed == 0);
    CHECK(net.server.tcp().connections() == 8);
}

TEST_CASE("without cookies the oldest half-open connection makes room (RFC 4987 section 3.3)") {
    two_hosts<> net;
    auto listener = net.server.tcp().listen(80, 8);
    flood(net, 100);
    CHECK(net.server.tcp().connections() == 8);
    CHECK(net.server.tcp().statistics().cookies_sent == 0);
    CHECK(net.server.tcp().statistics().syn_dropped == 92);
}

TEST_CASE("resets for what belongs to no connection come at a bounded rate") {
    hosts net;
    for (int i = 0; i < 3000; ++i)
        forge(net, {hosts::client_address, 4000}, 9, {.sequence = 1, .flags = wire::tcp_flags::syn});
    const auto& s = net.server.tcp().statistics();
    CHECK(s.resets_sent <= 1100);
    CHECK(s.resets_sent + s.replies_withheld == 3000);
}

TEST_CASE("challenge ACKs are limited, to a number that cannot be foretold (RFC 5961 section 7)") {
    std::set<std::uint64_t> limits;
    for (std::uint64_t seed = 1; seed < 6; ++seed) {
        hosts net{seed};
        auto listener = net.server.tcp().listen(80, 8);
        std::vector<stream> kept;
        net.spawn(echo_all(listener, kept));
        std::string answer;
        errc failed{};
        net.spawn(ask(net, answer, failed));
        stream* server = nullptr;
        REQUIRE(net.until([&] { return !kept.empty(); }, 1s));
        server = &kept[0];
        const auto before = net.server.tcp().statistics().segments_sent;
        for (int i = 0; i < 2000; ++i) // a RST in the window, but not at its edge
            forge(net, server->remote(), 80,
                  {.sequence = server->control().rcv.nxt.value + 100, .flags = wire::tcp_flags::rst});
        const auto sent = net.server.tcp().statistics().segments_sent - before;
        CHECK(sent >= 512);
        CHECK(sent < 1536);
        CHECK(server->control().synchronized());
        limits.insert(sent);
        kept.clear();
    }
    CHECK(limits.size() > 1);
}

TEST_CASE("a listener admits whom it wants; others hear nothing") {
    hosts net;
    auto listener = net.server.tcp().listen(80, 8, [](const ipv4_endpoint& peer) noexcept { return peer.address.value() % 2 == 0; });
    forge(net, {ipv4_address{10, 0, 0, 8}, 4000}, 80, {.flags = wire::tcp_flags::syn});
    CHECK(net.server.tcp().connections() == 1);
    const auto sent = net.server.tcp().statistics().segments_sent;
    forge(net, {ipv4_address{10, 0, 0, 9}, 4000}, 80, {.flags = wire::tcp_flags::syn});
    CHECK(net.server.tcp().connections() == 1);
    CHECK(net.server.tcp().statistics().syn_refused == 1);
    CHECK(net.server.tcp().statistics().segments_sent == sent);
}

TEST_CASE("ports to one peer follow each other, from a start of its own (RFC 6056 section 3.3.3)") {
    hosts net;
    const auto port_to = [&](std::uint16_t port) {
        std::uint16_t got = 0;
        auto listener = net.server.tcp().listen(port);
        net.spawn([](hosts& n, std::uint16_t p, std::uint16_t& to) -> task<> {
            auto s = co_await n.client.tcp().connect({hosts::server_address, p});
            REQUIRE(s);
            to = s->local().port;
        }(net, port, got));
        REQUIRE(net.until([&] { return got != 0; }, 1s));
        return got;
    };
    const int a = port_to(80), b = port_to(80), c = port_to(81), d = port_to(80);
    CHECK((b - a + 16384) % 16384 == 1);
    CHECK((c - b + 16384) % 16384 != 1);
    CHECK((d - b + 16384) % 16384 == 2);
}

TEST_CASE("the largest segment can be held below what the MTU allows") {
    hosts net{1, {}, {.mss_most = 1000}};
    auto listener = net.server.tcp().listen(80, 8);
    std::vector<stream> kept;
    net.spawn(echo_all(listener, kept));
    std::string answer;
    errc failed{};
    net.spawn(ask(net, answer, failed));
    REQUIRE(net.until([&] { return !kept.empty(); }, 1s));
    CHECK(kept[0].control().mss == 1000 - 12);
}

TEST_CASE("a peer that has gone is given up after the user's timeout (RFC 5482 section 3, RFC 9293 section 3.8.3)") {
    hosts net;
    auto listener = net.server.tcp().listen(80, 8);
    bool done = false;
    errc failed{};
    instant began{};
    net.spawn([](hosts& n, bool& end, errc& why, instant& from) -> task<> {
        auto s = co_await n.client.tcp().connect({hosts::server_address, 80});
        s->user_timeout(5s);
        auto nothing = [](octets) { return false; };
        n.link.a().filter(nothing);
        from = n.sim.now();
        (void)co_await s->async_write_some(as_octets("anybody?"));
        why = (co_await s->async_receive()).error();
        end = true;
    }(net, done, failed, began));
    REQUIRE(net.until([&] { return done; }, 200s));
    CHECK(failed == errc::timed_out);
    CHECK(net.sim.now() - began < 7s);
}

TEST_CASE("a FIN within text that came ahead of a hole: nothing follows the FIN (RFC 9293 section 3.10.7.4, eighth)") {
    hosts net;
    auto listener = net.server.tcp().listen(80, 8);
    std::string heard;
    errc end{};
    net.spawn([](auto& from, std::string& text, errc& why) -> task<> {
        auto s = co_await from.accept();
        for (;;) {
            const auto part = co_await s->async_receive();
            if (!part) {
                why = part.error();
                co_return;
            }
            text += as_text(part->view());
        }
    }(listener, heard, end));
    bool opened = false;
    net.spawn([](hosts& n, bool& done) -> task<> {
        auto s = co_await n.client.tcp().connect({hosts::server_address, 80});
        done = bool{s};
        const ipv4_endpoint from = s->local();
        const auto& c = s->control();
        const auto send = [&](std::uint32_t offset, std::string_view text, wire::tcp_flags more) {
            wire::tcp_header h{.sequence = c.snd.nxt.value + offset, .acknowledgment = c.rcv.nxt.value,
                               .flags = wire::tcp_flags::ack | more, .window = 1000};
            h.options.timestamps.emplace(tcp::timestamp_at(n.sim.now()), 0u);
            forge(n, from, 80, h, text);
        };
        send(4, "efghij", wire::tcp_flags::none);
        send(0, "abcdef", wire::tcp_flags::fin); // the stream ends behind f
        co_await n.sim.loop().sleep_until(n.sim.now() + 1s);
    }(net, opened));
    REQUIRE(net.until([&] { return end != errc{}; }, 10s));
    CHECK(opened);
    CHECK(heard == "abcdef");
    CHECK(end == errc::eof);
}
