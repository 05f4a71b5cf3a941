// SPDX-License-Identifier: MIT
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/ram_disk.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <string>

using namespace mirage;
using namespace std::chrono_literals;
using memory::ram_disk;

namespace {

template <class Begin>
task<> keep(Begin begin, std::optional<block_result>& out) {
    out = co_await begin();
}

block_result run(memory::simulation& world, auto begin) {
    std::optional<block_result> out;
    nursery tasks{world.loop()};
    (void)tasks.spawn(keep(begin, out));
    CHECK_FALSE(out.has_value()); // never inside the call that began it
    (void)world.run_until([&] { return out.has_value(); }, 1s);
    REQUIRE(out.has_value());
    return *out;
}

const std::string ones(512, '1'), twos(1024, '2');

} // namespace

TEST_CASE("faults hit the sector they were put on, in the direction they were put on") {
    memory::simulation world;
    ram_disk disk{world.loop(), {.sectors = 16}};
    std::string room(4 * 512, '?');
    const mutable_octets to = std::as_writable_bytes(std::span{room});
    CHECK(disk.fail(5, 2, ram_disk::access::reads));
    CHECK(run(world, [&] { return disk.read(3, to); }).error() == block_error{errc::io, 5});
    CHECK(room[1023] == '\0'); // the sectors before it are done
    CHECK(room[1024] == '?');
    CHECK(run(world, [&] { return disk.read(6, to); }).error() == block_error{errc::io, 6});
    CHECK(run(world, [&] { return disk.read(7, to); }).has_value());
    CHECK(run(world, [&] { return disk.write(5, as_octets(twos)); }).has_value());
    CHECK(disk.fail(6, 1, ram_disk::access::writes));
    CHECK(run(world, [&] { return disk.write(5, as_octets(twos)); }).error() == block_error{errc::io, 6});
    disk.repair();
    CHECK(run(world, [&] { return disk.read(3, to); }).has_value());
    CHECK(room.substr(1024) == twos);
    for (int i = 0; i < 16; ++i)
        CHECK(disk.fail(0));
    CHECK_FALSE(disk.fail(0));
}

TEST_CASE("a power cut loses what was not flushed, and only that") {
    memory::simulation world;
    ram_disk disk{world.loop(), {.sectors = 4}};
    CHECK(run(world, [&] { return disk.write(0, as_octets(ones)); }).has_value());
    CHECK(run(world, [&] { return disk.flush(); }).has_value());
    CHECK(run(world, [&] { return disk.write(1, as_octets(twos)); }).has_value());
    disk.power_cut();
    CHECK(as_text(disk.contents()).substr(0, 512) == ones);
    CHECK(as_text(disk.contents()).substr(512) == std::string(3 * 512, '\0'));
    disk.fail_flush();
    CHECK(run(world, [&] { return disk.write(1, as_octets(twos)); }).has_value());
    CHECK(run(world, [&] { return disk.flush(); }).error().code == errc::io);
    disk.power_cut();
    CHECK(as_text(disk.contents()).substr(512, 1024) != twos);
}

TEST_CASE("an operation that is given up touches nothing, however long it was under way") {
    for (const duration latency : {duration{0}, duration{5ms}}) {
        memory::simulation world;
        ram_disk disk{world.loop(), {.sectors = 4, .latency = latency}};
        std::string room(512, '?');
        std::optional<block_result> out;
        {
            nursery tasks{world.loop()};
            (void)tasks.spawn(keep([&] { return disk.read(0, std::as_writable_bytes(std::span{room})); }, out));
            (void)tasks.spawn(keep([&] { return disk.write(0, as_octets(ones)); }, out));
            world.loop().advance(instant{1ms});
        }
        world.run_for(20ms);
        CHECK_FALSE(out.has_value());
        CHECK(room == std::string(512, '?'));
        CHECK(disk.contents()[0] == std::byte{0});
    }
}

TEST_CASE("latency is virtual time, and operations overlap") {
    memory::simulation world;
    ram_disk disk{world.loop(), {.sectors = 4, .latency = 5ms}};
    std::optional<block_result> a, b;
    nursery tasks{world.loop()};
    (void)tasks.spawn(keep([&] { return disk.write(0, as_octets(ones)); }, a));
    (void)tasks.spawn(keep([&] { return disk.write(1, as_octets(ones)); }, b));
    world.run_for(4ms);
    CHECK_FALSE(a.has_value());
    world.run_for(2ms);
    CHECK(a.has_value());
    CHECK(b.has_value());
    CHECK(disk.writes() == 2);
}
