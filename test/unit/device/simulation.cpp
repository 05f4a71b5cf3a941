// SPDX-License-Identifier: MIT
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/scripted_console.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace std::chrono_literals;

namespace {
task<> ticks(scheduler& loop, int& n) {
    for (;;) {
        co_await loop.sleep_for(10ms);
        ++n;
    }
}
task<> spins(scheduler& loop, int& n) {
    for (;; ++n)
        co_await loop.yield();
}
} // namespace

TEST_CASE("a simulation jumps from deadline to deadline and stands where it was told to") {
    memory::simulation world;
    int n = 0;
    nursery tasks{world.loop()};
    (void)tasks.spawn(ticks(world.loop(), n));
    CHECK(world.run_until([&] { return n == 3; }, 1s));
    CHECK(world.now() >= instant{30ms});
    CHECK(world.now() < instant{31ms});
    CHECK_FALSE(world.run_until([&] { return n == 1000; }, instant{100ms}));
    CHECK(world.now() == instant{100ms});
    CHECK(world.loop().now() == instant{100ms});
    CHECK(n == 9); // each sleep ends up to one tick late
    world.run_for(1h);
    CHECK(world.now() == instant{1h + 100ms});
    CHECK(n > 350'000);
}

TEST_CASE("settle gives up on what never rests") {
    memory::simulation world;
    CHECK(world.settle());
    int n = 0;
    nursery tasks{world.loop()};
    (void)tasks.spawn(spins(world.loop(), n));
    CHECK_FALSE(world.settle(100));
    CHECK(n == 100);
}

TEST_CASE("the wall clock may be set, the monotonic one may not") {
    memory::virtual_clock c{wall_time{10s}};
    c.advance(1s);
    CHECK(c.wall() == wall_time{11s});
    c.step_wall(-5s);
    CHECK(c.wall() == wall_time{6s});
    c.advance(-1s);
    c.advance_to(instant{500ms});
    CHECK(c.now() == instant{1s});
}

TEST_CASE("a script is followed in order, across writes") {
    const std::string_view script[]{"hello", "world", "hello"};
    memory::scripted_console<64> c{script};
    CHECK(c.expected() == "hello");
    c.write(as_octets("world hel"));
    CHECK(c.expected() == "hello");
    c.write(as_octets("lo, "));
    CHECK(c.expected() == "world");
    c.write(as_octets("world"));
    CHECK_FALSE(c.satisfied()); // the first "hello" does not count twice
    c.write(as_octets(" hello"));
    CHECK(c.satisfied());
    CHECK(c.expected().empty());
    c.write(as_octets(std::string_view{"0123456789012345678901234567890123456789012345678901234567890123456789"}));
    CHECK(c.text().size() == 64);
    CHECK(c.lost() > 0);
}

TEST_CASE("seeds decide everything") {
    memory::seeded_random a{1}, b{1}, c{2};
    CHECK(a.next() == b.next());
    CHECK(a.next() != c.next());
    CHECK(a.below(0) == 0);
    CHECK(a.below(1) == 0);
    CHECK_FALSE(a.chance(0));
    CHECK(a.chance(1'000'000));
    // splitmix64 of seed 0, as published with the reference code.
    static_assert(memory::seeded_random{0}.next() == 0xe220a8397b1dcdafu);
}
