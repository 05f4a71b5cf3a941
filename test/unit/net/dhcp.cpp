// SPDX-License-Identifier: MIT
#include "mirage/net/dhcp.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>

namespace {

using namespace mirage;
using namespace std::chrono_literals;

using wire_type = memory::link<>;
using stack_type =
    net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::udp>;

constexpr ipv4_address server_address{10, 0, 0, 1}, offered{10, 0, 0, 50};

/// A DHCP server that gives everybody the same address for ten minutes, as long as it is `awake`.
struct server {
    bool awake = true, refuses = false;
    unsigned renewals = 0, discovers = 0;

    task<> run(stack_type& stack) {
        auto socket = stack.udp().bind(wire::dhcp_server_port);
        for (;;) {
            const auto asked = co_await socket.receive();
            const auto message =
                asked ? wire::dhcp_view::parse(asked->data.view()) : std::unexpected(errc::eof);
            if (!message || !awake)
                continue;
            const bool discovers_now = message->type() == wire::dhcp_type::discover;
            discovers += discovers_now ? 1 : 0;
            const bool renews = !message->client_address().is_unspecified();
            renewals += renews ? 1 : 0;
            std::array<std::byte, 400> room{};
            wire::dhcp_writer out{room,
                                  {.op = wire::dhcp_view::boot_reply,
                                   .transaction = message->transaction(),
                                   .your_address = offered,
                                   .client_hardware = message->client_hardware()}};
            out.add(discovers_now ? wire::dhcp_type::offer
                    : refuses     ? wire::dhcp_type::nak
                                  : wire::dhcp_type::ack);
            out.add(wire::dhcp_option::server_identifier, server_address);
            out.add(wire::dhcp_option::lease_time, std::uint32_t{600});
            out.add(wire::dhcp_option::subnet_mask, ipv4_address{255, 255, 255, 0});
            out.add(wire::dhcp_option::routers, server_address);
            const auto to = renews ? asked->from.address : ipv4_address::broadcast();
            (void)socket.send_to({to, wire::dhcp_client_port}, octets{room}.first(*out.finish()));
        }
    }
};

struct bench {
    memory::simulation world{};
    memory::seeded_random random{7};
    wire_type wire{world.loop()};
    stack_type here{world.loop(), wire.a(), world.clock(), random, {}};
    stack_type there{
        world.loop(), wire.b(), world.clock(), random, {.network = {.ipv4 = {server_address, 24}}}};
    server peer{};
    net::dhcp<stack_type> client{here, "unikernel"};
    nursery tasks{world.loop()};

    bench() {
        (void)tasks.spawn(here.run());
        (void)tasks.spawn(there.run());
        (void)tasks.spawn(peer.run(there));
        (void)tasks.spawn(client.run());
    }
    bool has_address() { return here.ip().address() == offered; }
};

} // namespace

SCENARIO("a stack gets its address by DHCP (RFC 2131 section 3.1)") {
    bench b;
    WHEN("a server is there") {
        REQUIRE(b.world.run_until([&] { return b.has_address(); }, 1s));
        THEN("the interface is configured, and the lease is kept alive by unicast") {
            CHECK(b.here.ip().routes().own().length == 24);
            CHECK(b.here.ip().routes().gateway() == server_address);
            CHECK(b.client.changed().is_set());
            b.world.run_for(1h);
            CHECK(b.has_address());
            CHECK(b.peer.renewals >= 11);
            CHECK(b.peer.discovers == 1);
        }
        AND_WHEN("it falls silent") {
            b.peer.awake = false;
            THEN("the address is given up at the end of the lease, not before") {
                b.world.run_for(598s);
                CHECK(b.has_address());
                b.world.run_for(3s);
                CHECK(b.here.ip().address().is_unspecified());
                CHECK(b.client.lease() == nullptr);
            }
            AND_WHEN("it wakes up again") {
                b.world.run_for(1h);
                b.peer.awake = true;
                THEN("the address comes back within the longest pause (section 4.1)") {
                    CHECK(b.world.run_until([&] { return b.has_address(); }, 70s));
                }
            }
        }
        AND_WHEN("it refuses to renew") {
            b.peer.refuses = true;
            THEN("the address is gone at once") {
                CHECK(b.world.run_until([&] { return !b.has_address(); }, 301s));
            }
        }
    }
}
