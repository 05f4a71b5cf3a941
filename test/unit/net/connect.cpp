// SPDX-License-Identifier: MIT
#include "mirage/net/connect.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;

using stack_type =
    net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::tcp<>>;
using stream = std::remove_cvref_t<decltype(std::declval<stack_type&>().tcp())>::stream;

constexpr ipv4_address here_address{10, 0, 0, 1}, there_address{10, 0, 0, 2};
constexpr ipv4_endpoint serves{there_address, 80}, serves_too{there_address, 81}, refuses{there_address, 9},
    silent{ipv4_address{10, 0, 0, 77}, 80};

struct bench {
    memory::simulation world{};
    memory::seeded_random random{31}, other{32};
    memory::link<> wire{world.loop()};
    stack_type here{world.loop(), wire.a(), world.clock(), random, {.network = {.ipv4 = {here_address, 24}}}};
    stack_type there{world.loop(), wire.b(), world.clock(), other, {.network = {.ipv4 = {there_address, 24}}}};
    std::vector<std::uint16_t> accepted{};
    nursery tasks{world.loop()};

    bench() {
        spawn(here.run());
        spawn(there.run());
        spawn(serve(80));
        spawn(serve(81));
    }
    void spawn(task<> t) { REQUIRE(tasks.spawn(std::move(t))); }
    task<> serve(std::uint16_t port) {
        auto listener = there.tcp().listen(port);
        while (auto peer = co_await listener.accept()) {
            accepted.push_back(port);
            REQUIRE(tasks.spawn([](stream s) -> task<> { (void)co_await s.async_receive(); }(std::move(*peer))));
        }
    }
    /// Where it connects to, or why not.
    result<ipv4_endpoint> reach(std::vector<ipv4_endpoint> peers, duration limit = 5min) {
        std::optional<result<ipv4_endpoint>> got;
        spawn([](bench& b, std::vector<ipv4_endpoint> to, auto& out) -> task<> {
            auto s = co_await net::connect_to_any<stack_type, ipv4_endpoint>(b.here, to);
            if (s)
                out = s->remote();
            else
                out = std::unexpected(s.error());
        }(*this, std::move(peers), got));
        REQUIRE(world.run_until([&] { return got.has_value(); }, limit));
        return *got;
    }
};

} // namespace

TEST_CASE("the first that answers is taken, and nobody else is bothered (RFC 8305 section 5)") {
    bench b;
    CHECK(*b.reach({serves, serves_too}) == serves);
    b.world.run_for(10s);
    CHECK(b.accepted == std::vector<std::uint16_t>{80});
}

TEST_CASE("the next one begins when the one before it takes long (RFC 8305 section 5)") {
    bench b;
    CHECK(*b.reach({silent, serves}) == serves);
    CHECK(b.world.now() >= instant{250ms});
    CHECK(b.world.now() < instant{300ms});
    b.world.run_for(10min);
    CHECK(b.here.tcp().connections() == 0); // the other attempt is over
}

TEST_CASE("and at once when it failed") {
    bench b;
    CHECK(*b.reach({refuses, serves}) == serves);
    CHECK(b.world.now() < instant{50ms});
}

TEST_CASE("an early attempt may still win") {
    bench b;
    b.wire.impair({.delay = 200ms}); // ARP and SYN take 800 ms
    CHECK(*b.reach({serves, silent}) == serves);
    CHECK(b.world.now() >= instant{800ms});
    CHECK(b.world.now() < instant{900ms});
    bench c;
    c.wire.impair({.delay = 200ms});
    CHECK(*c.reach({serves, serves_too}) == serves); // the second is half-way when the first is there
    c.world.run_for(10min);
    CHECK(c.here.tcp().connections() == 0);
    CHECK(c.there.tcp().connections() == 0);
}

TEST_CASE("nobody answers") {
    bench b;
    CHECK(b.reach({}).error() == errc::not_found);
    CHECK(b.reach({refuses}).error() == errc::refused);
    CHECK(b.reach({refuses, refuses}).error() == errc::refused);
    CHECK(b.reach({silent, refuses}).error() == errc::unreachable); // the last one's reason
    CHECK(b.here.tcp().connections() == 0);
}

TEST_CASE("by name (RFC 8305 section 3)") {
    bench b;
    struct addresses {
        std::array<ipv4_address, 2> all{silent.address, there_address};
        std::span<const ipv4_address> ipv4() const noexcept { return all; }
    };
    struct {
        task<result<addresses>> resolve(std::string_view name) {
            if (name != "www.example")
                co_return std::unexpected(errc::not_found);
            co_return addresses{};
        }
    } resolver;
    std::optional<result<ipv4_endpoint>> got;
    const auto connect = [&](std::string_view name) {
        got.reset();
        b.spawn([](bench& home, auto& names, std::string_view n, auto& out) -> task<> {
            auto s = co_await net::connect(home.here, names, n, 81);
            if (s)
                out = s->remote();
            else
                out = std::unexpected(s.error());
        }(b, resolver, name, got));
        REQUIRE(b.world.run_until([&] { return got.has_value(); }, 1min));
        return *got;
    };
    CHECK(*connect("www.example") == serves_too);
    CHECK(connect("ftp.example").error() == errc::not_found);
}
