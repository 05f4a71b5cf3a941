// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>

/// Two whole stacks at the ends of an in-memory link, on a virtual clock.
namespace test {

using namespace mirage;
using namespace std::chrono_literals;

template <offload Offloads = offload{}, class Tcp = net::tcp<>>
struct two_hosts {
    using device = memory::netif<Offloads>;
    using stack_type = net::stack<device, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::udp,
                                  Tcp>;
    using stream = typename std::remove_cvref_t<decltype(std::declval<stack_type&>().tcp())>::stream;

    static constexpr ipv4_address client_address{10, 0, 0, 1}, server_address{10, 0, 0, 2};

    memory::simulation sim;
    memory::link<Offloads> link;
    memory::seeded_random client_random, server_random;
    stack_type client, server;
    nursery tasks{sim.loop()};

    explicit two_hosts(std::uint64_t seed = 1, const memory::link_options& options = {}, net::tcp_options tcp = {})
        : link{sim.loop(), options}, client_random{seed}, server_random{~seed},
          client{sim.loop(), link.a(), sim.clock(), client_random,
                 {.network = {.ipv4 = {client_address, 24}}, .tcp = tcp}},
          server{sim.loop(), link.b(), sim.clock(), server_random,
                 {.network = {.ipv4 = {server_address, 24}}, .tcp = tcp}} {
        (void)tasks.spawn(client.run());
        (void)tasks.spawn(server.run());
    }

    /// Runs until `done`; false when that takes more than `limit` of virtual time.
    template <class Done>
    bool until(Done done, duration limit = 1h) {
        return sim.run_until(done, sim.now() + limit);
    }
    void spawn(task<> t) { REQUIRE(tasks.spawn(std::move(t))); }
};

} // namespace test
