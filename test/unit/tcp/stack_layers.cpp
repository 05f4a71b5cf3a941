// SPDX-License-Identifier: MIT
#include "two_hosts.hpp"
#include <array>
#include <string>

using namespace test;

namespace {

using hosts = two_hosts<>;

/// Puts a frame on the link as a neighbour of `to` would.
void inject(hosts& net, mirage::octets frame) {
    REQUIRE(net.link.a().transmit({.headers = {}, .payload = std::array{slice::of_static(frame)}}));
    (void)net.until([] { return false; }, 1ms);
}

} // namespace

TEST_CASE("UDP: datagrams both ways, port unreachable, too large (RFC 768, RFC 1122 section 4.1)") {
    hosts net;
    std::string heard;
    auto server = net.server.udp().bind(7);
    auto client = net.client.udp().bind(0);
    CHECK(server.status());
    net.spawn([](auto& from, std::string& text) -> task<> {
        while (auto d = co_await from.receive()) {
            text += as_text(d->data.view());
            (void)from.send_to(d->from, d->data);
        }
    }(server, heard));
    std::string echoed;
    net.spawn([](auto& from, std::string& text) -> task<> {
        while (auto d = co_await from.receive())
            text += as_text(d->data.view());
    }(client, echoed));
    CHECK(client.send_to({hosts::server_address, 7}, as_octets("hello")));
    CHECK(net.until([&] { return echoed == "hello"; }, 1s));
    CHECK(heard == "hello");
    CHECK(client.send_to({hosts::server_address, 7}, slice::of_static(std::string_view{})));
    CHECK(client.send_to({hosts::server_address, 9}, as_octets("nobody")));
    CHECK(net.until([&] { return net.client.icmp().statistics().errors_received == 1; }, 1s)); // RFC 1122 4.1.3.1
    static std::array<std::byte, 1473> large{};
    CHECK(client.send_to({hosts::server_address, 7}, slice::of_static(octets{large})).error() == errc::too_large);
    CHECK(client.send_to({ipv4_address{192, 0, 2, 9}, 7}, as_octets("x")).error() == errc::unreachable);
    auto again = net.server.udp().bind(7);
    CHECK(again.status().error() == errc::in_use);
}

TEST_CASE("frames that are none of ours, or broken, are counted and dropped") {
    hosts net;
    static constexpr std::array<std::byte, 60> nothing{};
    inject(net, octets{nothing}.first(5));
    CHECK(net.server.statistics().malformed == 1);
    inject(net, nothing);
    CHECK(net.server.statistics().malformed + net.server.statistics().not_for_us == 2);
}

TEST_CASE("an unreachable error comes at a bounded rate (RFC 1812 section 4.3.2.8)") {
    hosts net;
    auto client = net.client.udp().bind(0);
    CHECK(client.send_to({hosts::server_address, 9}, as_octets("x"))); // resolves the neighbour
    (void)net.until([] { return false; }, 1s);
    for (int i = 0; i < 200; ++i) {
        CHECK(client.send_to({hosts::server_address, 9}, as_octets("x")));
        (void)net.sim.settle();
    }
    CHECK(net.server.icmp().statistics().errors_sent <= 30);
    CHECK(net.server.icmp().statistics().errors_suppressed >= 170);
}

TEST_CASE("a device that checks and segments is given its part, and the text is the same") {
    two_hosts<memory::all_offloads> net;
    static const std::string text = [] {
        std::string s;
        for (int i = 0; i < 400'000; ++i)
            s += static_cast<char>('a' + i * 31 % 26);
        return s;
    }();
    std::string got;
    bool done = false;
    net.spawn([](auto& n, std::string& to, bool& end) -> task<> {
        auto listener = n.server.tcp().listen(80);
        auto s = co_await listener.accept();
        while (auto part = co_await s->async_receive())
            to += as_text(part->view());
        end = true;
    }(net, got, done));
    net.spawn([](auto& n) -> task<> {
        auto s = co_await n.client.tcp().connect({ipv4_address{10, 0, 0, 2}, 80});
        auto whole = slice::of_static(text);
        (void)co_await s->async_send(whole);
    }(net));
    CHECK(net.until([&] { return done; }, 10s));
    CHECK(got == text);
    CHECK(net.link.a().counters().transmitted < 60); // 277 segments of 1448 octets
}

TEST_CASE("datagrams in pieces, in any order, are answered in pieces (RFC 791 section 3.2, RFC 1122 section 3.3.2)") {
    hosts net;
    static std::array<std::byte, 8 + 2992> echo{};
    for (std::size_t i = 8; i < echo.size(); ++i)
        echo[i] = static_cast<std::byte>(i * 7);
    wire::icmpv4_header::echo_request(1, 2).emit(echo, wire::sum(octets{echo}.subspan(8)));
    const auto send = [&](std::size_t from, std::size_t size) {
        std::array<std::byte, 34> headers{};
        wire::ethernet_header{net.link.b().mac(), net.link.a().mac(), wire::ethertype::ipv4}.emit(headers);
        wire::ipv4_header{.source = hosts::client_address,
                          .destination = hosts::server_address,
                          .protocol = wire::ip_protocol::icmp,
                          .dont_fragment = false,
                          .more_fragments = from + size < echo.size(),
                          .identification = 77,
                          .fragment_offset = static_cast<std::uint16_t>(from),
                          .total_length = static_cast<std::uint16_t>(20 + size)}
            .emit(mutable_octets{headers}.subspan(14));
        const auto part = slice::of_static(octets{echo}.subspan(from, size));
        REQUIRE(net.link.a().transmit({.headers = headers, .payload = std::span{&part, 1}}));
        (void)net.until([] { return false; }, 1ms);
    };
    // The server must know its neighbour: a fragment cannot wait for it.
    auto client = net.client.udp().bind(0);
    CHECK(client.send_to({hosts::server_address, 9}, as_octets("who?")));
    (void)net.until([] { return false; }, 1s);
    const auto replies = [&] { return net.server.icmp().statistics().echo_replies; };
    send(1480, 1480);
    send(2960, 40);
    CHECK(replies() == 0);
    send(0, 1480);
    CHECK(replies() == 1);
    CHECK(net.client.ip().statistics().fragments == 3); // the reply came in pieces, too
    CHECK(net.client.icmp().statistics().received == 2); // the unreachable of before, and the whole reply
}

TEST_CASE("pieces that never become a datagram are reported and forgotten (RFC 1122 section 3.3.2)") {
    hosts net;
    auto client = net.client.udp().bind(0);
    CHECK(client.send_to({hosts::server_address, 9}, as_octets("who?")));
    (void)net.until([] { return false; }, 1s);
    const auto before = net.server.icmp().statistics().errors_sent;
    static constexpr std::array<std::byte, 64> text{};
    std::array<std::byte, 34> headers{};
    wire::ethernet_header{net.link.b().mac(), net.link.a().mac(), wire::ethertype::ipv4}.emit(headers);
    wire::ipv4_header{.source = hosts::client_address, .destination = hosts::server_address,
                      .protocol = wire::ip_protocol::udp, .dont_fragment = false, .more_fragments = true,
                      .identification = 5, .total_length = 20 + 64}
        .emit(mutable_octets{headers}.subspan(14));
    const auto part = slice::of_static(octets{text});
    REQUIRE(net.link.a().transmit({.headers = headers, .payload = std::span{&part, 1}}));
    (void)net.until([] { return false; }, 2min);
    CHECK(net.server.icmp().statistics().errors_sent == before + 1);
}

namespace {

/// An end of a link whose cable somebody plugs into another switch.
class moving_netif {
    memory::netif<>& wire_;
    unsigned attachments_ = 1;

public:
    static constexpr offload capabilities{};
    explicit moving_netif(memory::netif<>& wire) noexcept : wire_{wire} {}
    void move() noexcept {
        ++attachments_;
        wire_.readable().set();
    }
    unsigned attachments() const noexcept { return attachments_; }
    mac_address mac() const noexcept { return wire_.mac(); }
    std::size_t mtu() const noexcept { return wire_.mtu(); }
    offload offloads() const noexcept { return {}; }
    std::size_t receive(std::span<received_frame> burst) noexcept { return wire_.receive(burst); }
    result<> transmit(const transmit_frame& frame) noexcept { return wire_.transmit(frame); }
    void flush() noexcept {}
    event& readable() noexcept { return wire_.readable(); }
    const buffer_pool& receive_pool() const noexcept { return wire_.receive_pool(); }
};
static_assert(reattachable<moving_netif> && !reattachable<memory::netif<>>);

} // namespace

TEST_CASE("an interface that finds itself at another switch says whose address is where (RFC 5227 section 2.3)") {
    memory::simulation sim;
    memory::link<> link{sim.loop()};
    memory::seeded_random random{1};
    moving_netif device{link.a()};
    net::stack<moving_netif, memory::virtual_clock, memory::seeded_random, net::ipv4> stack{
        sim.loop(), device, sim.clock(), random, {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}, .tcp = {}}};
    nursery tasks{sim.loop()};
    (void)tasks.spawn(stack.run());
    const auto announced = [&] {
        sim.run_for(1ms);
        unsigned count = 0;
        std::array<received_frame, 8> burst{};
        for (received_frame& frame : std::span{burst}.first(link.b().receive(burst))) {
            const auto packet = wire::arp_view::parse(frame.data.view().subspan(14));
            REQUIRE(packet);
            CHECK(packet->sender_protocol() == ipv4_address{10, 0, 0, 1});
            CHECK(packet->target_protocol() == ipv4_address{10, 0, 0, 1});
            ++count;
        }
        return count;
    };
    CHECK(announced() == 1);
    CHECK(announced() == 0);
    device.move();
    CHECK(announced() == 1);
    stack.ip().configure({}, {});
    device.move();
    CHECK(announced() == 0); // nothing to say without an address
}
