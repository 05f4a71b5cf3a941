// SPDX-License-Identifier: MIT
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/connect.hpp"
#include "mirage/net/dns.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

using device = memory::netif<>;
template <class... Layers>
using stack_of = net::stack<device, memory::virtual_clock, memory::seeded_random, Layers...>;
using only_ipv6 = stack_of<net::ipv6, net::udp, net::tcp<>>;
using dual = stack_of<net::ipv4, net::icmp, net::ipv6, net::udp, net::tcp<>>;

ipv6_address of(const char* text) { return *ipv6_address::parse(text); }
const ipv6_address router_address = of("fe80::1");
constexpr mac_address router_mac{{2, 0, 0, 0, 0, 1}};

} // namespace

namespace {

/// Two stacks at the ends of a link.
template <class Stack>
struct pair_of {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random a_random{1}, b_random{2};
    Stack a, b;
    nursery tasks{sim.loop()};

    pair_of()
        : a{sim.loop(), link.a(), sim.clock(), a_random,
            {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}, .ipv6 = {.ipv6 = {of("2001:db8::1"), 64}}}},
          b{sim.loop(), link.b(), sim.clock(), b_random,
            {.network = {.ipv4 = {{10, 0, 0, 2}, 24}}, .ipv6 = {.ipv6 = {of("2001:db8::2"), 64}}}} {
        (void)tasks.spawn(a.run());
        (void)tasks.spawn(b.run());
        (void)sim.run_until([] { return false; }, sim.now() + 5s);
    }

    /// Sends 100 kB there and back over one connection; what the server called the client, when all came back.
    std::optional<typename Stack::endpoint_type> exchange(typename Stack::endpoint_type to) {
        constexpr std::size_t size = 100'000;
        std::optional<typename Stack::endpoint_type> peer;
        std::size_t back = 0;
        bool same = true;
        const auto serve = [](Stack& s, auto& who) -> task<> {
            auto listener = s.tcp().listen(7);
            auto stream = co_await listener.accept();
            if (!stream)
                co_return;
            who = stream->remote();
            for (;;) {
                auto data = co_await stream->async_receive();
                if (!data || !co_await stream->async_send(*data))
                    break;
            }
            stream->shutdown_send();
        };
        const auto ask = [](Stack& s, auto where, auto& count, auto& good) -> task<> {
            auto stream = co_await s.tcp().connect(where);
            if (!stream)
                co_return;
            std::vector<std::byte> text(size);
            for (std::size_t i = 0; i < size; ++i)
                text[i] = static_cast<std::byte>(i * 31 >> 3);
            for (std::size_t done = 0; done < size;) {
                const std::size_t part = std::min<std::size_t>(4000, size - done);
                const auto n = co_await stream->async_write_some(octets{text}.subspan(done, part));
                if (!n)
                    co_return;
                for (const std::size_t upto = done += *n; count < upto;) {
                    auto data = co_await stream->async_receive();
                    if (!data)
                        co_return;
                    for (const std::byte o : data->view())
                        good = good && o == text[count++];
                }
            }
        };
        nursery work{sim.loop()};
        REQUIRE(work.spawn(serve(b, peer)));
        REQUIRE(work.spawn(ask(a, to, back, same)));
        (void)sim.run_until([&] { return back == size; }, sim.now() + 1min);
        CHECK(back == size);
        CHECK(same);
        return peer;
    }
};

} // namespace

TEST_CASE("TCP and UDP over IPv6 alone") {
    pair_of<only_ipv6> net;
    const auto peer = net.exchange({of("2001:db8::2"), 7});
    REQUIRE(peer.has_value());
    CHECK(peer->address == of("2001:db8::1"));
    CHECK(net.b.tcp().statistics().bad_checksum == 0);
    const auto local = net.exchange({net.b.ip6().addresses().link_local(), 7});
    REQUIRE(local.has_value());
    CHECK(local->address == net.a.ip6().addresses().link_local());
}

TEST_CASE("TCP makes its segments smaller for a narrow path (RFC 8201 section 5.4)") {
    pair_of<only_ipv6> net;
    const ipv6_address a = of("2001:db8::1"), b = of("2001:db8::2");
    CHECK(net.b.tcp().statistics().bad_checksum == 0);
    // A router says so to both ends, as if it stood between them.
    const auto tell = [&](auto& from, auto& to_stack, const ipv6_address& whose, const ipv6_address& far, mac_address to) {
        std::vector<std::byte> m(8 + 48);
        wire::store<std::uint32_t>(m.data(), 0x02000000u);
        wire::store<std::uint32_t>(m.data() + 4, 1300);
        wire::ipv6_header{.source = whose, .destination = far, .next = wire::next_header::tcp, .payload_length = 8}.emit(
            mutable_octets{m}.subspan(8));
        std::array<std::byte, 54> headers;
        wire::ethernet_header{to, router_mac, wire::ethertype::ipv6}.emit(headers);
        wire::ipv6_header{.source = router_address, .destination = whose, .next = wire::next_header::icmpv6,
                          .payload_length = static_cast<std::uint16_t>(m.size())}
            .emit(mutable_octets{headers}.subspan(14));
        const auto pseudo =
            wire::pseudo_header_sum(router_address, whose, 58, static_cast<std::uint32_t>(m.size()));
        wire::icmpv6_at::checksum::store(m.data(), wire::sum(m, pseudo).finish());
        const slice text = slice::of_static(m);
        REQUIRE(from.transmit({.headers = headers, .payload = std::span{&text, 1}}));
        (void)net.sim.run_until([] { return false; }, net.sim.now() + 1ms);
        CHECK(to_stack.ip6().path_mtu(far) == 1300);
    };
    tell(net.link.a(), net.b, b, a, net.link.b().mac());
    tell(net.link.b(), net.a, a, b, net.link.a().mac());
    REQUIRE(net.exchange({b, 7}).has_value());
    CHECK(net.a.ip6().statistics().fragments == 0); // none was cut after all
    CHECK(net.b.ip6().statistics().fragments == 0);
    CHECK(net.b.ip6().statistics().received > 100'000 / (1300 - 72)); // so there were more of them
}

TEST_CASE("one listener takes connections of both families") {
    pair_of<dual> net;
    const auto six = net.exchange(ipv6_endpoint{of("2001:db8::2"), 7});
    REQUIRE(six.has_value());
    CHECK(six->address == of("2001:db8::1"));
    const auto four = net.exchange(ipv4_endpoint{{10, 0, 0, 2}, 7});
    REQUIRE(four.has_value());
    CHECK(four->address == ipv4_address{10, 0, 0, 1});

    auto server = net.b.udp().bind(9), client = net.a.udp().bind(0);
    CHECK(client.send_to(ipv6_endpoint{of("2001:db8::2"), 9}, as_octets("six")));
    CHECK(client.send_to(ipv4_endpoint{{10, 0, 0, 2}, 9}, as_octets("four")));
    std::vector<bool> families;
    const auto hear = [](auto& s, auto& out) -> task<> {
        for (int i = 0; i < 2; ++i)
            if (const auto got = co_await s.receive())
                out.push_back(got->from.address.is_ipv4());
    };
    REQUIRE(net.tasks.spawn(hear(server, families)));
    (void)net.sim.run_until([&] { return families.size() == 2; }, net.sim.now() + 5s);
    CHECK(families.size() == 2);
    CHECK(families[0] != families[1]);
    // Nobody is there: both families say so.
    const ip_endpoint closed4{ipv4_address{10, 0, 0, 2}, 1}, closed6{of("2001:db8::2"), 1};
    for (const ip_endpoint& to : {closed4, closed6}) {
        std::optional<errc> why;
        const auto connect = [](auto& s, ip_endpoint e, auto& out) -> task<> {
            const auto stream = co_await s.tcp().connect(e);
            out = stream ? errc{} : stream.error();
        };
        REQUIRE(net.tasks.spawn(connect(net.a, to, why)));
        (void)net.sim.run_until([&] { return why.has_value(); }, net.sim.now() + 10s);
        CHECK(why == errc::refused);
    }
}

namespace {

/// Names as a test says, each family after a while.
struct names {
    scheduler& loop;
    duration six_after{}, four_after{};
    std::vector<ipv6_address> six{};
    std::vector<ipv4_address> four{};

    task<result<net::dns_ipv6_addresses>> resolve_ipv6(std::string_view) {
        co_await loop.sleep_until(loop.now() + six_after);
        net::dns_ipv6_addresses all;
        for (const auto& a : six)
            all.add(a);
        if (all.empty())
            co_return std::unexpected(errc::not_found);
        co_return all;
    }
    task<result<net::dns_addresses>> resolve(std::string_view) {
        co_await loop.sleep_until(loop.now() + four_after);
        net::dns_addresses all;
        for (const auto a : four)
            all.add(a);
        if (all.empty())
            co_return std::unexpected(errc::not_found);
        co_return all;
    }
};

/// Whom a connection to the name is to, or why there is none, and how long that took.
std::pair<result<ip_endpoint>, duration> reach(pair_of<dual>& net, names& resolver) {
    std::optional<result<ip_endpoint>> got;
    auto listener = net.b.tcp().listen(80);
    nursery work{net.sim.loop()};
    REQUIRE(work.spawn([](dual& s, names& r, auto& out) -> task<> {
        auto stream = co_await net::connect(s, r, "www.example", 80);
        if (stream)
            out = stream->remote();
        else
            out = std::unexpected(stream.error());
    }(net.a, resolver, got)));
    const instant begun = net.sim.now();
    REQUIRE(net.sim.run_until([&] { return got.has_value(); }, begun + 5min));
    return {*got, net.sim.now() - begun};
}

} // namespace

TEST_CASE("a name is connected to over the family that works (RFC 8305 sections 3 to 5)") {
    pair_of<dual> net;
    const ipv6_address six = of("2001:db8::2"), silent = of("2001:db8::77");
    const ipv4_address four{10, 0, 0, 2};
    SUBCASE("IPv6 first") {
        names n{net.sim.loop(), 0ms, 0ms, {six}, {four}};
        const auto [to, took] = reach(net, n);
        REQUIRE(to.has_value());
        CHECK(to->address == six);
        CHECK(took < 50ms);
    }
    SUBCASE("IPv6 does not answer") {
        names n{net.sim.loop(), 0ms, 0ms, {silent}, {four}};
        const auto [to, took] = reach(net, n);
        REQUIRE(to.has_value());
        CHECK(to->address == four);
        CHECK(took >= 250ms);
        CHECK(took < 300ms);
    }
    SUBCASE("there is no IPv6 address") {
        names n{net.sim.loop(), 0ms, 0ms, {}, {four}};
        const auto [to, took] = reach(net, n);
        REQUIRE(to.has_value());
        CHECK(to->address == four);
        CHECK(took < 50ms);
    }
    SUBCASE("the answer about IPv6 is late, and is not waited for") {
        names n{net.sim.loop(), 10s, 0ms, {six}, {four}};
        const auto [to, took] = reach(net, n);
        REQUIRE(to.has_value());
        CHECK(to->address == four);
        CHECK(took >= 50ms);
        CHECK(took < 100ms);
    }
    SUBCASE("a little late is early enough") {
        names n{net.sim.loop(), 30ms, 0ms, {six}, {four}};
        const auto [to, took] = reach(net, n);
        REQUIRE(to.has_value());
        CHECK(to->address == six);
    }
    SUBCASE("there is no such name") {
        names n{net.sim.loop(), 10ms, 0ms, {}, {}};
        CHECK(reach(net, n).first.error() == errc::not_found);
    }
}

TEST_CASE("a resolver asks a server over IPv6 alone (RFC 3596)") {
    pair_of<only_ipv6> net;
    auto server = net.b.udp().bind(53);
    REQUIRE(net.tasks.spawn([](auto& socket) -> task<> {
        while (auto query = co_await socket.receive()) {
            const auto view = wire::dns_view::parse(query->data.view());
            if (!view || !view->question())
                continue;
            std::array<std::byte, 512> room;
            wire::dns_writer w{room, view->id(), wire::dns_flag::response};
            w.ask(*view->question());
            w.add(wire::dns_writer::answer, view->question()->name, wire::dns_type::aaaa, 60,
                  std::array<std::uint8_t, 16>{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2});
            (void)socket.send_to(query->from, octets{room}.first(*w.finish()));
        }
    }(server)));
    net::dns_options options;
    options.from.add(ipv4_address{10, 0, 0, 53}); // of no use here: passed over
    options.from.add(of("2001:db8::2"));
    net::dns<only_ipv6> resolver{net.a, options};
    std::optional<result<net::dns_ipv6_addresses>> got;
    const auto ask = [](auto& r, auto& out) -> task<> { out = co_await r.resolve_ipv6("www.example"); };
    REQUIRE(net.tasks.spawn(ask(resolver, got)));
    REQUIRE(net.sim.run_until([&] { return got.has_value(); }, net.sim.now() + 10s));
    REQUIRE(got->has_value());
    REQUIRE((*got)->ipv6().size() == 1);
    CHECK((*got)->ipv6()[0] == of("2001:db8::2"));
}
