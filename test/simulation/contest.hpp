// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <array>
#include <cstdio>
#include <cstdlib>

/// Flows from one host to another over a bottleneck, on a virtual clock.
namespace test {

using namespace mirage;
using namespace std::chrono_literals;

/// Two flows at most. `Tcp` is what both hosts do.
template <class Tcp>
struct contest {
    using stack_type = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, Tcp>;
    static constexpr ipv4_address client_address{10, 0, 0, 1}, server_address{10, 0, 0, 2};

    memory::simulation sim;
    memory::link<> link{sim.loop(), {.buffers = 4096, .ring = 4096}};
    memory::seeded_random client_random{1}, server_random{2};
    stack_type client{sim.loop(), link.a(), sim.clock(), client_random, {.network = {.ipv4 = {client_address, 24}}}};
    stack_type server{sim.loop(), link.b(), sim.clock(), server_random, {.network = {.ipv4 = {server_address, 24}}}};
    std::array<std::uint64_t, 2> received{};
    std::array<tcp::connection_info, 2> sender{}; ///< as of its last write
    nursery tasks{sim.loop()};

    explicit contest(const memory::impairment& cable) {
        link.impair(cable);
        (void)tasks.spawn(client.run());
        (void)tasks.spawn(server.run());
    }
    /// Flow 0 or 1 sends from now on.
    void begin(std::size_t flow) {
        (void)tasks.spawn(receive(*this, flow));
        (void)tasks.spawn(send(*this, flow));
    }
    void pass(duration d) { (void)sim.run_until([] { return false; }, sim.now() + d); }
    /// Passes time; what all flows received in it, in Mbit/s.
    double rate_over(duration d) {
        received = {};
        pass(d);
        return static_cast<double>(received[0] + received[1]) * 8e3 / static_cast<double>(d.count());
    }

private:
    static task<> receive(contest& c, std::size_t flow) {
        auto listener = c.server.tcp().listen(static_cast<std::uint16_t>(80 + flow));
        auto s = co_await listener.accept();
        while (auto part = co_await s->async_receive())
            c.received[flow] += part->size();
    }
    static task<> send(contest& c, std::size_t flow) {
        static const std::array<std::byte, 64 * 1024> text{};
        auto s = co_await c.client.tcp().connect({server_address, static_cast<std::uint16_t>(80 + flow)});
        for (;;) {
            auto data = slice::of_static(octets{text});
            if (!co_await s->async_send(data))
                co_return;
            c.sender[flow] = s->info();
        }
    }
};

} // namespace test
