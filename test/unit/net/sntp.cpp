// SPDX-License-Identifier: MIT
#include "mirage/net/sntp.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/adjusted_clock.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <functional>
#include <optional>
#include <set>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::sntp_verdict;
using wire::ntp_packet;
using wire::ntp_time;

static_assert(mirage::clock<adjusted_clock<memory::virtual_clock>>);

constexpr ipv4_address here_address{10, 0, 0, 1}, there_address{10, 0, 0, 2};
constexpr wall_time true_start{std::chrono::seconds{1'800'000'000}}; ///< when the simulations begin

using stack_type = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::udp>;

/// A time server that knows the time.
struct server {
    std::function<bool(ntp_packet&)> spoils{}; ///< changes the answer; false: there is none
    std::vector<instant> asked{};
    std::set<std::uint16_t> ports{};
    std::set<std::uint64_t> cookies{};

    task<> run(stack_type& stack, memory::simulation& world) {
        auto socket = stack.udp().bind(wire::ntp_port);
        while (const auto query = co_await socket.receive()) {
            const auto view = wire::ntp_view::parse(query->data.view());
            REQUIRE(view);
            CHECK(view->mode() == wire::ntp_mode::client);
            CHECK(view->version() == 4);
            asked.push_back(world.now());
            ports.insert(query->from.port);
            cookies.insert(view->transmit().value);
            const wall_time now = true_start + world.now().time_since_epoch();
            ntp_packet answer{.mode = wire::ntp_mode::server,
                              .stratum = 2,
                              .reference = ntp_time::of(now - 10s),
                              .origin = view->transmit(),
                              .receive = ntp_time::of(now),
                              .transmit = ntp_time::of(now)};
            if (spoils && !spoils(answer))
                continue;
            std::array<std::byte, ntp_packet::size> room{};
            answer.emit(room);
            (void)socket.send_to(query->from, octets{room});
        }
    }
};

struct bench {
    memory::simulation world{};
    memory::seeded_random random{21}, other{22};
    memory::link<> wire{world.loop()};
    adjusted_clock<memory::virtual_clock> clock{world.clock()};
    stack_type here{world.loop(), wire.a(), world.clock(), random, {.network = {.ipv4 = {here_address, 24}}}};
    stack_type there{world.loop(), wire.b(), world.clock(), other, {.network = {.ipv4 = {there_address, 24}}}};
    server peer{};
    net::sntp<stack_type, adjusted_clock<memory::virtual_clock>> client{here, clock};
    bool ended = false;
    nursery tasks{world.loop()};

    explicit bench(duration one_way = {}) {
        if (one_way > duration{})
            wire.impair({.delay = one_way});
        spawn(here.run());
        spawn(there.run());
        spawn(peer.run(there, world));
    }
    void spawn(task<> t) { REQUIRE(tasks.spawn(std::move(t))); }
    void start() {
        spawn([](bench& b) -> task<> {
            co_await b.client.run(there_address);
            b.ended = true;
        }(*this));
    }
    duration error() const { return clock.wall() - (true_start + world.now().time_since_epoch()); }
    bool right() const { return error() < 1ms && error() > -1ms; }
    result<duration> ask() {
        std::optional<result<duration>> got;
        spawn([](bench& b, auto& to) -> task<> { to = co_await b.client.ask({there_address, wire::ntp_port}); }(*this, got));
        REQUIRE(world.run_until([&] { return got.has_value(); }, 1min));
        return *got;
    }
};

} // namespace

TEST_CASE("the clock is set from one answer (RFC 5905 sections 8 and 14)") {
    bench b;
    CHECK_FALSE(b.right());
    const auto moved = b.ask();
    REQUIRE(moved);
    CHECK(b.right());
    CHECK(b.clock.offset() == *moved);
    CHECK(b.client.synchronised());
    CHECK(b.world.clock().wall() != b.clock.wall()); // the device's own clock is let alone
}

TEST_CASE("half of the way is added (RFC 5905 section 8)") {
    bench b{40ms};
    REQUIRE(b.ask()); // the first also asks who has the address
    b.world.run_for(1s);
    REQUIRE(b.ask());
    CHECK(b.right());
}

TEST_CASE("what cannot be is not believed (RFC 5905 section 8)") {
    bench b;
    b.peer.spoils = [&](ntp_packet&) { return true; };
    const auto spoiled = [&](auto&& how) {
        b.peer.spoils = [&how](ntp_packet& p) {
            how(p);
            return true;
        };
        const auto got = b.ask();
        CHECK(b.clock.offset() == duration{});
        return got ? errc{} : got.error();
    };
    SUBCASE("not synchronised") { CHECK(spoiled([](ntp_packet& p) { p.leap = 3; }) == errc::io); }
    SUBCASE("stratum 16") { CHECK(spoiled([](ntp_packet& p) { p.stratum = 16; }) == errc::io); }
    SUBCASE("no time") { CHECK(spoiled([](ntp_packet& p) { p.transmit = {}; }) == errc::io); }
    SUBCASE("no time of arrival") { CHECK(spoiled([](ntp_packet& p) { p.receive = {}; }) == errc::io); }
    SUBCASE("sent before it came") {
        CHECK(spoiled([](ntp_packet& p) { p.receive.value += 1ull << 32; }) == errc::io);
    }
    SUBCASE("longer at the server than away") {
        CHECK(spoiled([](ntp_packet& p) { p.receive.value -= 10ull << 32; }) == errc::io);
    }
    SUBCASE("set later than it was asked") {
        CHECK(spoiled([](ntp_packet& p) { p.reference.value += 60ull << 32; }) == errc::io);
    }
    SUBCASE("too far from a true clock") {
        CHECK(spoiled([](ntp_packet& p) { p.root_dispersion = 16u << 16; }) == errc::io);
        CHECK(spoiled([](ntp_packet& p) { p.root_delay = 33u << 16; }) == errc::io);
    }
    SUBCASE("not the answer to this question: the time goes on") {
        CHECK(spoiled([](ntp_packet& p) { p.origin.value ^= 1; }) == errc::timed_out);
        CHECK(spoiled([](ntp_packet& p) { p.origin = {}; }) == errc::timed_out);
        CHECK(spoiled([](ntp_packet& p) { p.mode = wire::ntp_mode::broadcast; }) == errc::timed_out);
    }
    SUBCASE("a kiss of death that is not for us is none") {
        CHECK(spoiled([](ntp_packet& p) {
                  p.stratum = 0;
                  p.reference_id = wire::ntp_kiss::deny;
                  p.origin = {};
              })
              == errc::timed_out);
    }
}

TEST_CASE("the pure exchange takes one answer (RFC 5905 section 8, test 1)") {
    memory::seeded_random random{1};
    net::sntp_exchange exchange;
    const instant t0{10s};
    const auto asked = exchange.request(t0, random);
    CHECK(asked.transmit.value != 0);
    CHECK(asked.reference.value == 0); // tells nothing
    const wall_time now = true_start;
    std::array<std::byte, 48> room{};
    ntp_packet{.mode = wire::ntp_mode::server,
               .stratum = 1,
               .origin = asked.transmit,
               .receive = ntp_time::of(now),
               .transmit = ntp_time::of(now + 20ms)}
        .emit(room);
    const auto sample = exchange.reply(*wire::ntp_view::parse(room), t0 + 120ms, now - 5s);
    CHECK(sample.verdict == sntp_verdict::good);
    CHECK((sample.delay > 99ms && sample.delay < 101ms));
    CHECK((sample.offset > 5069ms && sample.offset < 5071ms)); // 20 ms there, 50 ms back
    CHECK(exchange.reply(*wire::ntp_view::parse(room), t0 + 121ms, now).verdict == sntp_verdict::stray);
}

TEST_CASE("asked again, less and less often, each time from another port (RFC 8633 section 3.1, RFC 9109 section 4)") {
    bench b;
    b.start();
    b.world.run_for(2h);
    CHECK(b.right());
    REQUIRE(b.peer.asked.size() >= 8);
    CHECK(b.peer.asked.size() <= 13);
    CHECK(b.peer.asked[1] - b.peer.asked[0] >= 60s);
    CHECK(b.peer.asked[1] - b.peer.asked[0] <= 64s);
    const auto last = b.peer.asked.back() - b.peer.asked[b.peer.asked.size() - 2];
    CHECK(last >= 960s);
    CHECK(last <= 1024s);
    CHECK(b.peer.ports.size() == b.peer.asked.size());
    CHECK(b.peer.cookies.size() == b.peer.asked.size());
}

TEST_CASE("a clock that goes astray is set again") {
    bench b;
    b.start();
    b.world.run_for(10s);
    CHECK(b.right());
    b.world.clock().step_wall(-90s);
    CHECK_FALSE(b.right());
    b.world.run_for(65s);
    CHECK(b.right());
}

TEST_CASE("but not by more than PANICT (RFC 5905 section 11.2.1)") {
    bench b;
    b.start();
    b.world.run_for(10s);
    b.peer.spoils = [](ntp_packet& p) {
        for (ntp_time* t : {&p.receive, &p.transmit, &p.reference})
            t->value += 1001ull << 32;
        return true;
    };
    b.world.run_for(1h);
    CHECK(b.right());
    CHECK(b.client.statistics().implausible > 0);
}

TEST_CASE("no answer: soon again at first, then with patience") {
    bench b;
    b.peer.spoils = [](ntp_packet&) { return false; };
    b.start();
    b.world.run_for(1h);
    REQUIRE(b.peer.asked.size() >= 5);
    CHECK(b.peer.asked.size() <= 16);
    CHECK(b.peer.asked[1] - b.peer.asked[0] < 8s);
    b.peer.spoils = {};
    b.world.run_for(20min);
    CHECK(b.right());
    const auto before = b.peer.asked.size();
    b.peer.spoils = [](ntp_packet&) { return false; };
    b.world.run_for(1h);
    for (std::size_t i = before; i + 1 < b.peer.asked.size(); ++i) // there is a time: no hurry
        CHECK(b.peer.asked[i + 1] - b.peer.asked[i] >= 60s);
}

TEST_CASE("the kiss of death is obeyed (RFC 5905 section 7.4)") {
    bench b;
    std::uint32_t code = wire::ntp_kiss::deny;
    b.peer.spoils = [&](ntp_packet& p) {
        p.stratum = 0;
        p.reference_id = code;
        return true;
    };
    SUBCASE("DENY") {
        b.start();
        b.world.run_for(1h);
        CHECK(b.peer.asked.size() == 1);
        CHECK(b.ended);
    }
    SUBCASE("RSTR") {
        code = wire::ntp_kiss::restricted;
        b.start();
        b.world.run_for(1h);
        CHECK(b.peer.asked.size() == 1);
        CHECK(b.ended);
    }
    SUBCASE("RATE") {
        code = wire::ntp_kiss::rate;
        b.start();
        b.world.run_for(1h);
        CHECK_FALSE(b.ended);
        CHECK(b.peer.asked.size() <= 6);
        CHECK(b.peer.asked[1] - b.peer.asked[0] >= 120s);
        const auto n = b.peer.asked.size();
        CHECK(b.peer.asked[n - 1] - b.peer.asked[n - 2] > b.peer.asked[1] - b.peer.asked[0]);
        b.peer.spoils = {};
        b.world.run_for(2h);
        CHECK(b.right());
    }
    SUBCASE("another code says nothing") {
        code = 0x58585858;
        b.start();
        b.world.run_for(1min);
        CHECK_FALSE(b.ended);
        CHECK(b.peer.asked.size() > 1);
    }
    CHECK((b.right() || b.clock.offset() == duration{}));
}

TEST_CASE("servers by name and by lease") {
    bench b;
    struct {
        unsigned asked = 0;
        struct addresses {
            std::array<ipv4_address, 2> all{ipv4_address{10, 0, 0, 9}, there_address};
            std::span<const ipv4_address> ipv4() const noexcept { return all; }
        };
        task<result<addresses>> resolve(std::string_view name) {
            CHECK(name == "time.example");
            ++asked;
            co_return addresses{};
        }
    } resolver;
    struct {
        struct lease_type {
        } held{};
        struct names {
            std::array<ipv4_address, 1> all{there_address};
            std::span<const ipv4_address> time_servers() const noexcept { return all; }
        } told{};
        bool has = false;
        const lease_type* lease() const noexcept { return has ? &held : nullptr; }
        const names& extras() const noexcept { return told; }
    } lease;
    SUBCASE("by name: the first does not answer, the second does") {
        b.spawn(b.client.run(resolver, "time.example"));
        b.world.run_for(30s);
        CHECK(b.right());
        CHECK(resolver.asked == 1);
        b.peer.spoils = [](ntp_packet&) { return false; };
        b.world.run_for(10min);
        CHECK(resolver.asked > 1); // asked for anew when they fail
    }
    SUBCASE("by lease, as soon as there is one") {
        b.spawn(b.client.run(lease));
        b.world.run_for(10s);
        CHECK(b.peer.asked.empty());
        lease.has = true;
        b.world.run_for(1min);
        CHECK(b.right());
    }
}
