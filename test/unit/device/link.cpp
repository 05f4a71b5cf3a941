// SPDX-License-Identifier: MIT
#include "frames.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;
using memory::impairment;
using memory::impairment_counters;
using test::frame_of;

namespace {

std::vector<std::string> received(auto& end) {
    std::vector<std::string> all;
    std::array<received_frame, 7> burst;
    while (const std::size_t n = end.receive(burst))
        for (std::size_t i = 0; i < n; ++i) {
            all.emplace_back(as_text(burst[i].data.view()));
            burst[i].data.reset();
        }
    return all;
}

/// Sends 1000 numbered frames, 10 us apart, and says in what order and when they arrive.
struct journey {
    std::vector<unsigned> order;
    std::vector<instant> times;
    std::size_t damaged = 0;
    impairment_counters counters{};

    explicit journey(const impairment& rules, unsigned count = 1000, std::size_t size = 200) {
        memory::simulation world;
        memory::link<> cable{world.loop(), {.buffers = 2000, .ring = 2048}};
        cable.a().impair(rules);
        const auto collect = [&] {
            for (const std::string& f : received(cable.b())) {
                if (f.substr(4) != std::string(size - 4, 'x'))
                    ++damaged;
                unsigned n = 0;
                std::memcpy(&n, f.data(), sizeof n);
                if (n < count) {
                    order.push_back(n);
                    times.push_back(world.now());
                }
            }
        };
        for (unsigned i = 0; i < count; ++i) {
            std::string frame(size, 'x');
            std::memcpy(frame.data(), &i, sizeof i);
            REQUIRE(cable.a().transmit(frame_of(frame)).has_value());
            world.run_for(10us);
            collect();
        }
        while (cable.a().in_flight() != 0) {
            world.run_for(1ms);
            collect();
        }
        counters = cable.a().line_counters();
    }
    bool in_order() const { return std::ranges::is_sorted(order); }
};

constexpr auto percent = impairment::percent;

} // namespace


TEST_CASE("a plain link delivers at once, in order, header and fragments joined, with one copy") {
    memory::simulation world;
    memory::link<> cable{world.loop()};
    const std::string header = "fourteen octets";
    std::array<slice, 3> payload{slice::of_static("abc"), slice{}, slice::of_static("defg")};
    CHECK(cable.a().transmit({.headers = as_octets(header), .payload = payload}).has_value());
    CHECK(cable.b().readable().is_set());
    CHECK_FALSE(cable.a().readable().is_set());
    CHECK(received(cable.b()) == std::vector<std::string>{header + "abcdefg"});
    CHECK(cable.a().counters().payload_copied == 7);
    CHECK(cable.a().counters().payload_referred == 7);
    CHECK(received(cable.a()).empty());
}

TEST_CASE("payload sent out of watched memory is told from payload that was copied somewhere else") {
    memory::simulation world;
    memory::link<> cable{world.loop()};
    const std::string page(1000, 'p'), copy = page;
    cable.a().watch(as_octets(page));
    std::array<slice, 2> payload{slice::of_static(std::string_view{page}.substr(100, 300)), slice::of_static(copy)};
    CHECK(cable.a().transmit({.headers = as_octets("h"), .payload = payload}).has_value());
    CHECK(cable.a().counters().payload_watched == 300);
    CHECK(cable.a().counters().payload_referred == 1300);
}

TEST_CASE("the same seed gives the same run, another seed another") {
    const impairment rules{.delay = 1ms, .jitter = 300us, .loss = 5 * percent, .duplicate = 3 * percent,
                           .corrupt = 2 * percent, .reorder = 10 * percent, .seed = 7};
    const journey a{rules}, b{rules};
    CHECK(a.order == b.order);
    CHECK(a.times == b.times);
    auto other = rules;
    other.seed = 8;
    CHECK(journey{other}.order != a.order);
}

TEST_CASE("every impairment does what it says, about as often as it says") {
    SUBCASE("none") {
        const journey j{{}};
        CHECK(j.order.size() == 1000);
        CHECK(j.in_order());
        CHECK(j.damaged == 0);
    }
    SUBCASE("loss") {
        const journey j{{.loss = 10 * percent}};
        CHECK(j.counters.lost > 60);
        CHECK(j.counters.lost < 140);
        CHECK(j.order.size() == 1000 - j.counters.lost);
        CHECK(j.in_order());
    }
    SUBCASE("everything is lost") { CHECK(journey{{.loss = 100 * percent}}.order.empty()); }
    SUBCASE("duplication") {
        const journey j{{.duplicate = 10 * percent}};
        CHECK(j.counters.duplicated > 60);
        CHECK(j.counters.duplicated < 140);
        CHECK(j.order.size() == 1000 + j.counters.duplicated);
    }
    SUBCASE("corruption flips one bit") {
        const journey j{{.corrupt = 10 * percent}};
        CHECK(j.counters.corrupted > 60);
        CHECK(j.counters.corrupted < 140);
        CHECK(j.damaged <= j.counters.corrupted);
        CHECK(j.damaged > j.counters.corrupted * 9 / 10); // the rest hit the number in front
    }
    SUBCASE("reordering delays single frames") {
        const journey j{{.reorder = 10 * percent, .reorder_delay = 100us}};
        CHECK(j.counters.reordered > 60);
        CHECK(j.order.size() == 1000);
        CHECK_FALSE(j.in_order());
    }
    SUBCASE("a constant delay keeps the order") {
        const journey j{{.delay = 20ms}};
        CHECK(j.order.size() == 1000);
        CHECK(j.in_order());
        for (std::size_t i = 0; i < j.times.size(); ++i) {
            const instant sent{10us * i};
            REQUIRE(j.times[i] >= sent + 20ms);
            REQUIRE(j.times[i] < sent + 20ms + 1100us); // a tick, and the step of this test
        }
    }
    SUBCASE("jitter does not") {
        const journey j{{.delay = 1ms, .jitter = 500us}};
        CHECK(j.order.size() == 1000);
        CHECK_FALSE(j.in_order());
    }
}

TEST_CASE("bandwidth spaces frames, and a full queue drops what comes last") {
    // 1000 frames of 200 + 24 octets at 1.792 Mbit/s take a second.
    const journey j{{.bits_per_second = 1'792'000, .queue = 2000}};
    CHECK(j.order.size() == 1000);
    CHECK(j.in_order());
    CHECK(j.times.back() >= instant{1s});
    CHECK(j.times.back() < instant{1010ms});
    CHECK(j.times[500] >= instant{501ms});

    const journey k{{.bits_per_second = 1'792'000, .queue = 50}};
    CHECK(k.counters.overflowed == 1000 - k.order.size());
    CHECK(k.order.size() >= 50);
    CHECK(k.order.size() < 70);
    CHECK(k.order[49] == 49);
}

TEST_CASE("a filter takes off what it wants") {
    memory::simulation world;
    memory::link<> cable{world.loop()};
    int seen = 0;
    const auto second = [&seen](octets) { return ++seen != 2; };
    cable.a().filter(second);
    for (const char* const text : {"one", "two", "three"})
        CHECK(cable.a().transmit(frame_of(text)).has_value());
    CHECK(received(cable.b()) == std::vector<std::string>{"one", "three"});
    CHECK(cable.a().counters().filtered == 1);
    cable.a().filter({});
    CHECK(cable.a().transmit(frame_of("four")).has_value());
    CHECK(received(cable.b()).size() == 1);
    CHECK(seen == 3);
}

TEST_CASE("what does not fit is refused, lost or counted, never more than that") {
    memory::simulation world;
    memory::link<> cable{world.loop(), {.mtu = 100, .buffers = 4, .ring = 8}};
    CHECK(cable.a().transmit(frame_of(std::string(114, 'x'))).has_value());
    CHECK(cable.a().transmit(frame_of(std::string(115, 'x'))).error() == errc::too_large);
    CHECK(received(cable.b()).size() == 1);

    for (int i = 0; i < 8; ++i)
        CHECK(cable.a().transmit(frame_of("x")).has_value()); // four of them find no buffer
    CHECK(cable.b().counters().no_buffer == 4);
    CHECK(received(cable.b()).size() == 4);

    cable.a().up(false);
    CHECK(cable.a().transmit(frame_of("x")).error() == errc::io);
    cable.a().up(true);
    CHECK(cable.a().transmit(frame_of("x")).has_value());

    memory::link<> narrow{world.loop(), {.buffers = 64, .ring = 8}};
    for (int i = 0; i < 8; ++i)
        CHECK(narrow.a().transmit(frame_of("x")).has_value());
    CHECK(narrow.a().transmit(frame_of("x")).error() == errc::would_block);
    CHECK(narrow.a().counters().transmitted == 8);
    CHECK(received(narrow.b()).size() == 8);
    CHECK(narrow.a().transmit(frame_of("x")).has_value());
}

TEST_CASE("a capture has what each side saw, with its time") {
    for (const bool nanoseconds : {true, false}) {
        memory::simulation world;
        memory::link<> cable{world.loop()};
        std::string file;
        const auto sink = [&file](octets o) { file += as_text(o); };
        using resolution = memory::pcap_writer::resolution;
        memory::pcap_writer capture{sink, nanoseconds ? resolution::nanoseconds : resolution::microseconds};
        cable.a().capture(capture, wall_time{1000s});
        cable.impair({.loss = 100 * percent});
        world.run_for(1500ms);
        const instant at = world.loop().now();
        CHECK(cable.a().transmit(frame_of("to b")).has_value());
        CHECK(cable.b().transmit(frame_of("lost before a")).has_value());
        cable.b().repair();
        CHECK(cable.b().transmit(frame_of("to a")).has_value());

        const auto word = [&](std::size_t offset) {
            std::uint32_t w = 0;
            REQUIRE(offset + 4 <= file.size());
            std::memcpy(&w, file.data() + offset, 4);
            return w;
        };
        REQUIRE(file.size() == 24 + 2 * (16 + 4));
        CHECK(word(0) == (nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4));
        CHECK(file.substr(4, 4) == std::string("\2\0\4\0", 4));
        CHECK(word(20) == 1);
        CHECK(word(24) == 1001);
        const auto fraction = static_cast<std::uint32_t>((at - instant{1s}).count());
        CHECK(word(28) == (nanoseconds ? fraction : fraction / 1000));
        CHECK(word(32) == 4);
        CHECK(word(36) == 4);
        CHECK(file.substr(40, 4) == "to b");
        CHECK(file.substr(60, 4) == "to a");
    }
}

TEST_CASE("a capture cuts frames at its limit and keeps their size") {
    std::string file;
    const auto sink = [&file](octets o) { file += as_text(o); };
    memory::pcap_writer capture{sink, memory::pcap_writer::resolution::nanoseconds, 10};
    capture.frame(wall_time{}, as_octets("fifteen octets!"));
    CHECK(file.size() == 24 + 16 + 10);
    CHECK(file[32] == 10);
    CHECK(file[36] == 15);
}
