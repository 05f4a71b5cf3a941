// SPDX-License-Identifier: MIT
// ICMP errors and what becomes of those whose packets they are about.
#include "two_hosts.hpp"
#include "mirage/net/icmp_rules.hpp"
#include <array>
#include <optional>

using namespace test;
using mirage::wire::unreachable_code;

namespace {

using hosts = two_hosts<>;

constexpr ipv4_endpoint server_port{hosts::server_address, 80};

/// What a connect() came to.
struct attempt {
    std::optional<errc> failed;
    bool connected = false;

    task<> run(hosts& net, ipv4_endpoint to) {
        auto stream = co_await net.client.tcp().connect(to);
        connected = stream.has_value();
        if (!stream)
            failed = stream.error();
        else
            (void)co_await stream->async_receive();
    }
};

/// What is on its way from the client.
struct quoted {
    wire::ip_protocol protocol = wire::ip_protocol::tcp;
    ipv4_endpoint from{hosts::client_address, 0}, to = server_port;
    std::uint32_t sequence = 0;
};

/// An ICMP error about `about`, as a router on the link (its MAC address is the server's) sends it to the client.
void report(hosts& net, const wire::icmpv4_header& error, const quoted& about) {
    std::array<std::byte, 14 + 20 + 8 + 28> frame{};
    const mutable_octets all{frame};
    wire::ethernet_header{net.link.a().mac(), net.link.b().mac(), wire::ethertype::ipv4}.emit(all);
    wire::ipv4_header{.source = ipv4_address{10, 0, 0, 77},
                      .destination = hosts::client_address,
                      .protocol = wire::ip_protocol::icmp,
                      .total_length = 56}
        .emit(all.subspan(14));
    const auto quote = all.subspan(42);
    wire::ipv4_header{.source = about.from.address,
                      .destination = about.to.address,
                      .protocol = about.protocol,
                      .total_length = 60}
        .emit(quote);
    auto* const ports = quote.subspan(20).data();
    wire::store<std::uint16_t>(ports, about.from.port);
    wire::store<std::uint16_t>(ports + 2, about.to.port);
    wire::store<std::uint32_t>(ports + 4, about.sequence);
    error.emit(all.subspan(34), wire::sum(octets{quote}));
    REQUIRE(net.link.b().transmit({.headers = frame}));
    (void)net.until([] { return false; }, 1ms);
}

/// A client whose SYNs are lost on the way, and are looked at.
struct lonely_client {
    hosts net;
    attempt opening;
    quoted syn;
    unsigned segments = 0;

    struct eavesdropper {
        lonely_client& home;
        bool operator()(octets frame) const noexcept {
            const auto packet = wire::ipv4_view::parse(frame.subspan(14));
            if (!packet || packet->protocol() != wire::ip_protocol::tcp)
                return true;
            home.syn.from.port = wire::tcp_at::source_port::load(packet->payload().data());
            home.syn.sequence = wire::tcp_at::sequence::load(packet->payload().data());
            ++home.segments;
            return false;
        }
    } ear{*this};

    lonely_client() {
        net.link.a().filter(ear);
        net.spawn(opening.run(net, server_port));
        REQUIRE(net.until([&] { return segments == 1; }, 1s));
    }
};

} // namespace

TEST_CASE("what an ICMP error says (RFC 1122 section 4.2.3.9, RFC 9293 section 3.9.2.2)") {
    const auto of = [](const wire::icmpv4_header& header) {
        std::array<std::byte, 8> room{};
        header.emit(room);
        return net::meaning(*wire::icmpv4_view::parse(room));
    };
    using wire::icmpv4_header;
    CHECK(of(icmpv4_header::unreachable(unreachable_code::network)) == errc::unreachable);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::host)) == errc::unreachable);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::protocol)) == errc::refused);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::port)) == errc::refused);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::fragmentation_needed, 576)) == errc::too_large);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::source_route_failed)) == errc::unreachable);
    CHECK(of(icmpv4_header::unreachable(unreachable_code::prohibited)) == errc::unreachable);
    CHECK(of(icmpv4_header::unreachable(static_cast<unreachable_code>(200))) == errc::unreachable);
    CHECK(of(icmpv4_header::exceeded(wire::exceeded_code::transit)) == errc::unreachable);
    CHECK(of(icmpv4_header::problem(0)) == errc::unreachable);
    CHECK(of(icmpv4_header::echo_request(1, 1)) == errc{});
}

TEST_CASE("a connection that is being opened ends with a hard error (RFC 1122 section 4.2.3.9)") {
    for (const auto code : {unreachable_code::port, unreachable_code::protocol}) {
        lonely_client c;
        report(c.net, wire::icmpv4_header::unreachable(code), c.syn);
        CHECK(c.opening.failed == errc::refused);
        CHECK(c.net.client.tcp().connections() == 0);
    }
}

TEST_CASE("an error about what was never sent ends nothing (RFC 5927 section 4.1)") {
    lonely_client c;
    const auto refused = wire::icmpv4_header::unreachable(unreachable_code::port);
    auto forged = c.syn;
    SUBCASE("another sequence number") { forged.sequence += 1; }
    SUBCASE("another sequence number, before") { forged.sequence -= 1; }
    SUBCASE("another port of ours") { ++forged.from.port; }
    SUBCASE("another port of theirs") { ++forged.to.port; }
    SUBCASE("another address of ours") { forged.from.address = hosts::server_address; }
    SUBCASE("another protocol") { forged.protocol = wire::ip_protocol::udp; }
    report(c.net, refused, forged);
    CHECK(c.net.client.icmp().statistics().errors_received == 1);
    CHECK_FALSE(c.opening.failed);
    report(c.net, refused, c.syn); // and the true one does
    CHECK(c.opening.failed == errc::refused);
}

TEST_CASE("a soft error does not end it, and is the reason given in the end (RFC 1122 section 4.2.3.9)") {
    lonely_client c;
    report(c.net, wire::icmpv4_header::unreachable(unreachable_code::host), c.syn);
    CHECK_FALSE(c.opening.failed);
    SUBCASE("nobody answers") {
        CHECK(c.net.until([&] { return c.opening.failed.has_value(); }, 10min));
        CHECK(c.opening.failed == errc::unreachable);
        CHECK(c.segments > 1);
    }
    SUBCASE("the way is found") {
        auto listener = c.net.server.tcp().listen(80);
        c.net.link.a().filter({});
        CHECK(c.net.until([&] { return c.opening.connected; }, 10s));
    }
}

TEST_CASE("without any error, an opening that is not answered times out") {
    lonely_client c;
    CHECK(c.net.until([&] { return c.opening.failed.has_value(); }, 10min));
    CHECK(c.opening.failed == errc::timed_out);
}

TEST_CASE("a neighbour that does not answer ARP is unreachable (RFC 1812 section 5.2.7.1)") {
    hosts net;
    attempt opening;
    net.spawn(opening.run(net, {ipv4_address{10, 0, 0, 200}, 80}));
    CHECK(net.until([&] { return opening.failed.has_value(); }, 10min));
    CHECK(opening.failed == errc::unreachable);
}

TEST_CASE("a synchronized connection survives every error (RFC 5927 section 5.2)") {
    hosts net;
    attempt opening;
    std::optional<hosts::stream> other;
    net.spawn([](auto& n, auto& to) -> task<> {
        auto listener = n.server.tcp().listen(80);
        to = std::move(*co_await listener.accept());
    }(net, other));
    net.spawn(opening.run(net, server_port));
    REQUIRE(net.until([&] { return opening.connected && other.has_value(); }, 1s));
    const auto& tcb = other->control();
    report(net, wire::icmpv4_header::unreachable(unreachable_code::port),
           {.from = other->remote(), .to = other->local(), .sequence = tcb.rcv.nxt.value - 1});
    CHECK(net.client.icmp().statistics().errors_received == 1);
    CHECK(net.client.tcp().connections() == 1);
}

TEST_CASE("an ICMP error reaches the socket that sent the datagram (RFC 1122 section 4.1.3.3)") {
    hosts net;
    const ipv4_endpoint nobody{hosts::server_address, 9};
    std::optional<errc> failed;
    std::string heard;
    const auto listen = [](auto& from, auto& error, std::string& text) -> task<> {
        for (;;) {
            auto d = co_await from.receive();
            if (!d) {
                error = d.error();
                continue;
            }
            text += as_text(d->data.view());
        }
    };
    auto socket = net.client.udp().bind(0);
    net.spawn(listen(socket, failed, heard));
    const auto ask = [&](ipv4_endpoint whom) {
        CHECK(socket.send_to(whom, as_octets("anyone?")));
        (void)net.until([] { return false; }, 10s);
    };
    SUBCASE("not when it does not ask for it: a server must not end because of one client") {
        ask(nobody);
        CHECK(net.client.icmp().statistics().errors_received == 1);
        CHECK_FALSE(failed);
    }
    SUBCASE("nobody takes it") {
        socket.hear_of_losses();
        ask(nobody);
        CHECK(failed == errc::refused);
        CHECK(socket.lost_to() == nobody);
    }
    SUBCASE("the neighbour does not answer") {
        socket.hear_of_losses();
        ask({ipv4_address{10, 0, 0, 200}, 7});
        CHECK(failed == errc::unreachable);
        CHECK(socket.lost_to().address == ipv4_address{10, 0, 0, 200});
    }
    SUBCASE("a socket with one peer hears of it and from it alone") {
        auto peer = net.server.udp().bind(7), stranger = net.server.udp().bind(8);
        socket.connect({hosts::server_address, 7});
        report(net, wire::icmpv4_header::unreachable(unreachable_code::port),
               {wire::ip_protocol::udp, {hosts::client_address, socket.port()}, nobody});
        CHECK_FALSE(failed);
        CHECK(stranger.send_to({hosts::client_address, socket.port()}, as_octets("stranger")));
        CHECK(peer.send_to({hosts::client_address, socket.port()}, as_octets("peer")));
        (void)net.until([] { return false; }, 1s);
        CHECK(heard == "peer");
        CHECK(net.client.udp().statistics().no_port == 1);
        report(net, wire::icmpv4_header::unreachable(unreachable_code::host),
               {wire::ip_protocol::udp, {hosts::client_address, socket.port()}, {hosts::server_address, 7}});
        CHECK(failed == errc::unreachable);
    }
}
