// SPDX-License-Identifier: MIT
// Many connections at once, and many one after the other: what they cost, and that nothing of them stays. Two whole stacks over a link
// in memory, on a virtual clock.
#include "mirage/core/frame_arena.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <string_view>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::printf("panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

using device = memory::netif<>;
using stack_type = net::stack<device, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::tcp<net::syn_cookies>>;
using layer = std::remove_cvref_t<decltype(std::declval<stack_type&>().tcp())>;
using stream = layer::stream;

constexpr ipv4_address client_address{10, 0, 0, 1}, server_address{10, 0, 0, 2};
constexpr std::uint16_t first_port = 1000;

/// The promise: at most 1 KiB for an idle established connection, its buffers apart.
constexpr std::size_t most_per_connection = 1024;
static_assert(sizeof(layer::connection_type) <= most_per_connection);

[[noreturn]] void fail(const char* what, unsigned long long found, unsigned long long wanted) {
    std::printf("FAILED: %s: %llu, wanted %llu\n", what, found, wanted);
    std::exit(1);
}
void same(const char* what, unsigned long long found, unsigned long long wanted) {
    if (found != wanted)
        fail(what, found, wanted);
}

struct hosts {
    memory::simulation sim;
    memory::link<> link;
    memory::seeded_random client_random{1}, server_random{2};
    stack_type client, server;
    nursery tasks{sim.loop()};

    explicit hosts(std::uint32_t connections)
        : link{sim.loop(), {.buffers = 4096, .ring = 4096}},
          client{sim.loop(), link.a(), sim.clock(), client_random,
                 {.network = {.ipv4 = {client_address, 24}}, .tcp = {.max_connections = connections}}},
          server{sim.loop(), link.b(), sim.clock(), server_random,
                 {.network = {.ipv4 = {server_address, 24}}, .tcp = {.max_connections = connections}}} {
        (void)tasks.spawn(client.run());
        (void)tasks.spawn(server.run());
    }
    template <class Done>
    void until(const char* what, Done done, duration limit = 1h) {
        if (!sim.run_until(done, sim.now() + limit))
            fail(what, 0, 1);
    }
};

using listener = layer::listener;

task<> keep_all(listener& from, std::vector<stream>& into) {
    while (auto s = co_await from.accept())
        into.push_back(std::move(*s));
}
task<> open_into(hosts& net, std::uint16_t port, std::vector<stream>& into, std::size_t& failed) {
    auto s = co_await net.client.tcp().connect({server_address, port});
    if (s)
        into.push_back(std::move(*s));
    else
        ++failed;
}

task<> echo_once(stream& s, std::size_t rounds) {
    for (std::size_t i = 0; i < rounds; ++i) {
        auto text = co_await s.async_receive();
        if (!text || !co_await s.async_send(*text))
            co_return;
    }
}
task<> ask(stream& s, std::size_t rounds, std::size_t& answered) {
    for (std::size_t i = 0; i < rounds; ++i) {
        (void)co_await s.async_write_some(as_octets("how are you?"));
        const auto text = co_await s.async_receive();
        answered += text && text->size() == 12;
    }
}

/// 10,000 that are idle and 1,000 that talk, all established at the same time.
void crowd(std::size_t idle, std::size_t active) {
    constexpr std::size_t batch = 100;
    const std::size_t all = idle + active;
    hosts net{static_cast<std::uint32_t>(all + 1000)};
    auto door = net.server.tcp().listen(first_port, 256);
    std::vector<stream> server_side, client_side;
    server_side.reserve(all);
    client_side.reserve(all);
    std::size_t failed = 0;
    (void)net.tasks.spawn(keep_all(door, server_side));
    const auto fill_up_to = [&](std::size_t count) {
        while (client_side.size() < count) {
            for (std::size_t i = 0; i < batch; ++i)
                (void)net.tasks.spawn(open_into(net, first_port, client_side, failed));
            const std::size_t wanted = client_side.size() + batch;
            net.until("connections are opened", [&] { return client_side.size() == wanted && server_side.size() == wanted; });
        }
    };
    fill_up_to(batch); // pools and tables are warm now
    const auto before = mallinfo2().uordblks;
    fill_up_to(all);
    const auto each = (mallinfo2().uordblks - before) / (2 * (all - batch));
    same("connections that failed", failed, 0);
    if (each > most_per_connection + 64) // the arena hands out multiples of 64, eight at a time
        fail("octets of memory for an idle connection", each, most_per_connection);

    constexpr std::size_t rounds = 10;
    std::size_t answered = 0;
    for (std::size_t i = 0; i < active; ++i) {
        // what was opened first was accepted first
        (void)net.tasks.spawn(echo_once(server_side[i], rounds));
        (void)net.tasks.spawn(ask(client_side[i], rounds, answered));
    }
    net.until("questions are answered", [&] { return answered == active * rounds; });
    same("connections that stand", net.server.tcp().connections(), all);
    std::printf("%zu idle and %zu active connections: %zu octets of state each (sizeof %zu), %zu answers\n", idle, active,
                std::size_t{each}, sizeof(layer::connection_type), answered);
    server_side.clear();
    client_side.clear();
    net.until("all connections are gone", [&] { return net.client.tcp().connections() + net.server.tcp().connections() == 0; });
}

task<> come_and_go(hosts& net, std::uint16_t port, std::size_t times, std::size_t& done) {
    for (std::size_t i = 0; i < times; ++i) {
        auto s = co_await net.client.tcp().connect({server_address, port});
        if (!s)
            fail("connect", static_cast<unsigned long long>(s.error()), 0);
        (void)co_await s->async_write_some(as_octets("how are you?"));
        const auto text = co_await s->async_receive();
        if (!text || text->size() != 12)
            fail("octets of an answer", text ? text->size() : 0, 12);
        if (i % 3 == 0)
            s->abort(); // a RST; otherwise a FIN, from either side first
        ++done;
    }
}
task<> serve(hosts& net, listener& from) {
    const auto one = [](stream s) -> task<> {
        for (;;) {
            auto text = co_await s.async_receive();
            if (!text || !co_await s.async_send(*text))
                co_return;
        }
    };
    while (auto s = co_await from.accept())
        (void)net.tasks.spawn(one(std::move(*s)));
}

/// `count` connections opened, used and closed, 64 at a time; then nothing is left.
void cycles(std::size_t count) {
    constexpr std::size_t at_once = 64;
    hosts net{4096};
    auto door = net.server.tcp().listen(first_port, 256);
    (void)net.tasks.spawn(serve(net, door));
    const auto run = [&](std::size_t times) {
        std::size_t done = 0;
        for (std::size_t i = 0; i < at_once; ++i)
            (void)net.tasks.spawn(come_and_go(net, first_port, times / at_once, done));
        net.until("cycles", [&] { return done == times / at_once * at_once; }, 10h);
        net.until("all connections are gone", [&] { return net.client.tcp().connections() + net.server.tcp().connections() == 0; });
    };
    run(20'000); // arenas have grown to what is needed
    const auto before = mallinfo2().uordblks;
    const auto pool = net.server.device().receive_pool().available();
    run(count);
    same("octets of memory", mallinfo2().uordblks, before);
    same("free pages", net.server.device().receive_pool().available(), pool);
    const auto& s = net.server.tcp().statistics();
    same("connections accepted", s.connections_accepted, (20'000 / at_once + count / at_once) * at_once);
    same("connections closed", s.connections_closed, s.connections_accepted);
    std::printf("%zu connections opened, used and closed: nothing left, %llu octets of memory in use as before\n", count,
                static_cast<unsigned long long>(before));
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t divisor = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1;
    crowd(10'000 / divisor, 1000 / divisor);
    cycles(200'000 / divisor);
    return 0;
}
