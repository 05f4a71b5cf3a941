// SPDX-License-Identifier: MIT
// Two flows of ours share a bottleneck of 100 Mbit/s: neither gets less than 40 of 100, whoever came first. On a virtual clock.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <array>
#include <cstdio>
#include <cstdlib>

using namespace mirage;
using namespace std::chrono_literals;

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::printf("panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

constexpr ipv4_address client_address{10, 0, 0, 1}, server_address{10, 0, 0, 2};

struct contest {
    using stack_type = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::tcp<>>;

    memory::simulation sim;
    memory::link<> link{sim.loop(), {.buffers = 4096, .ring = 4096}};
    memory::seeded_random client_random{1}, server_random{2};
    stack_type client{sim.loop(), link.a(), sim.clock(), client_random, {.network = {.ipv4 = {client_address, 24}}}};
    stack_type server{sim.loop(), link.b(), sim.clock(), server_random, {.network = {.ipv4 = {server_address, 24}}}};
    std::array<std::uint64_t, 2> received{};
    nursery tasks{sim.loop()};

    contest(duration delay, std::size_t queue) {
        link.impair({.delay = delay, .bits_per_second = 100'000'000, .queue = queue});
        (void)tasks.spawn(client.run());
        (void)tasks.spawn(server.run());
    }
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
        }
    }
    void pass(duration d) { (void)sim.run_until([] { return false; }, sim.now() + d); }
};

/// The second flow's share of 30 s, in percent. It comes `later` than the first.
bool fair(duration delay, std::size_t queue, duration later) {
    contest c{delay, queue};
    for (std::size_t flow : {0u, 1u}) {
        (void)c.tasks.spawn(contest::receive(c, flow));
        (void)c.tasks.spawn(contest::send(c, flow));
        c.pass(later);
    }
    c.received = {};
    c.pass(30s);
    const std::uint64_t all = c.received[0] + c.received[1];
    const unsigned share = static_cast<unsigned>(100 * c.received[1] / all);
    const bool good = share >= 40 && share <= 60;
    std::printf("%s%lld ms each way, a queue of %zu frames, %lld ms later: %u of 100, together %.1f Mbit/s\n", good ? "" : "FAILED: ",
                static_cast<long long>(delay / 1ms), queue, static_cast<long long>(later / 1ms), share,
                static_cast<double>(all) * 8 / 30e6);
    return good;
}

} // namespace

int main() {
    // As `tc netem` has it, the queue holds what is delayed, too: a thousand frames.
    bool good = true;
    for (const duration delay : {5ms, 10ms, 25ms, 50ms})
        good &= fair(delay, 1000, 3s);
    for (const duration delay : {25ms, 50ms}) // two slow starts at once; at 5 and 10 ms half a minute is too short to forget who was first
        good &= fair(delay, 1000, 100ms);
    return good ? 0 : 1;
}
