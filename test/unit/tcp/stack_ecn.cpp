// SPDX-License-Identifier: MIT
// Explicit Congestion Notification in the packets of both families: RFC 3168 section 5.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

template <class... Parts>
using stack_of = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::ipv6,
                            net::tcp<Parts...>>;

/// A router whose queue is always long: marks what may be marked, and counts.
struct marking_router {
    bool marks = true;
    unsigned capable = 0, others = 0;

    bool operator()(octets frame) noexcept {
        // The link's own memory, as a router's.
        auto* const ip = const_cast<std::byte*>(frame.data()) + 14;
        const bool is_v4 = (ip[0] & std::byte{0xf0}) == std::byte{0x40};
        const auto codepoint = is_v4 ? ip[1] & std::byte{3} : ip[1] >> 4 & std::byte{3};
        (codepoint == std::byte{2} ? capable : others) += 1;
        if (!marks || codepoint != std::byte{2})
            return true;
        ip[1] |= is_v4 ? std::byte{3} : std::byte{0x30};
        if (is_v4) {
            wire::store<std::uint16_t>(ip + 10, 0);
            wire::store<std::uint16_t>(ip + 10, wire::sum({ip, 20}).finish());
        }
        return true;
    }
};

/// A client of one kind sends to a server of another, through the router.
template <class Client, class Server>
struct transfer {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{1};
    Client client;
    Server server;
    nursery tasks{sim.loop()};
    marking_router router{};
    std::string text = std::string(300'000, 'x'), got{};
    tcp::connection_info sender{}, receiver{};

    explicit transfer(bool marks, ip_address to)
        : client{sim.loop(), link.a(), sim.clock(), random,
                 {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}, .ipv6 = {.ipv6 = {*ipv6_address::parse("2001:db8::1"), 64}}}},
          server{sim.loop(), link.b(), sim.clock(), random,
                 {.network = {.ipv4 = {{10, 0, 0, 2}, 24}}, .ipv6 = {.ipv6 = {*ipv6_address::parse("2001:db8::2"), 64}}}} {
        router.marks = marks;
        link.a().filter(router);
        (void)tasks.spawn(client.run());
        (void)tasks.spawn(server.run());
        (void)sim.run_until([] { return false; }, sim.now() + 5s); // duplicate address detection
        (void)tasks.spawn([](transfer& t) -> task<> {
            auto listener = t.server.tcp().listen(80);
            auto s = co_await listener.accept();
            while (auto part = co_await s->async_receive())
                t.got += as_text(part->view());
            t.receiver = s->info();
        }(*this));
        (void)tasks.spawn([](transfer& t, ip_address peer) -> task<> {
            auto s = co_await t.client.tcp().connect({peer, 80});
            auto whole = slice::of_static(t.text);
            (void)co_await s->async_send(whole);
            s->shutdown_send();
            (void)co_await s->async_receive(); // the server's FIN, when it has read everything
            t.sender = s->info();
        }(*this, to));
        (void)sim.run_until([&] { return got.size() == text.size() && sender.octets_acked == text.size() && receiver.octets_received != 0; },
                            sim.now() + 60s);
    }
};

using with = stack_of<net::ecn>;
using without = stack_of<>;
const ip_address addresses[] = {ipv4_address{10, 0, 0, 2}, *ipv6_address::parse("2001:db8::2")};

} // namespace

TEST_CASE("a router marks instead of dropping: the window shrinks and nothing is sent again (RFC 3168 sections 5 and 6.1)") {
    for (const ip_address& to : addresses) {
        transfer<with, with> t{true, to};
        CHECK(t.got == t.text);
        CHECK(t.sender.ecn);
        CHECK(t.receiver.marked > 100);
        CHECK(t.sender.marked_reductions > 3);
        CHECK(t.sender.cwnd < 10'000);
        CHECK(t.sender.retransmits == 0);
        CHECK(t.server.tcp().statistics().bad_checksum == 0);
    }
}

TEST_CASE("where nobody marks, the window grows as ever; what is no text is not to be marked (RFC 3168 section 6.1.4)") {
    for (const ip_address& to : addresses) {
        transfer<with, with> t{false, to};
        CHECK(t.got == t.text);
        CHECK(t.sender.ecn);
        CHECK(t.router.capable >= 300'000 / 1460);
        CHECK(t.router.others >= 2); // a SYN, an acknowledgement
        CHECK(t.sender.marked_reductions == 0);
    }
}

TEST_CASE("nothing is sent to be marked unless both ends want it (RFC 3168 section 6.1.1)") {
    for (const ip_address& to : addresses) {
        transfer<with, without> refused{true, to};
        CHECK(refused.got == refused.text);
        CHECK_FALSE(refused.sender.ecn);
        CHECK(refused.router.capable == 0);
        transfer<without, with> unasked{true, to};
        CHECK(unasked.got == unasked.text);
        CHECK(unasked.router.capable == 0);
    }
}
