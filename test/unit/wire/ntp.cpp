// SPDX-License-Identifier: MIT
#include "mirage/wire/ntp.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace std::chrono_literals;
using namespace test;

namespace {

constexpr wall_time at(std::int64_t seconds, std::int64_t ns = 0) { return wall_time{std::chrono::seconds{seconds} + duration{ns}}; }

} // namespace

TEST_CASE("points of time (RFC 5905 section 6, figure 4)") {
    static_assert(ntp_time::of(at(0)).value == 2'208'988'800ull << 32); // the first day of Unix
    static_assert(ntp_time{2'208'988'800ull << 32}.wall() == at(0));
    static_assert(ntp_time{0xffffffffull << 32}.wall() == at(2'085'978'495)); // the last second of era 0
    static_assert(ntp_time{0}.wall() == at(2'085'978'496));                  // 2036-02-07 06:28:16, the first of era 1
    static_assert(ntp_time::of(at(2'085'978'496)).value == 0);
    static_assert(ntp_time::of(at(-1, 999'999'999)).wall() == at(-1, 999'999'999));
    static_assert(ntp_time{(3'900'000'000ull << 32) + 0x80000000}.wall() == at(3'900'000'000 - 2'208'988'800, 500'000'000));
    dice throws{3};
    for (int i = 0; i < 1000; ++i) {
        const auto t = at(throws.word() % 2'000'000'000u, throws(1'000'000'000));
        const auto there = ntp_time::of(t).wall();
        CHECK((there - t < 2ns && t - there < 2ns));
    }
    CHECK(ntp_short(0x00018000) == 1500ms);
}

TEST_CASE("a message, there and back (RFC 5905 section 7.3, figure 8)") {
    constexpr ntp_packet packet{.leap = 1,
                                .version = 4,
                                .mode = ntp_mode::server,
                                .stratum = 2,
                                .poll = 6,
                                .precision = -20,
                                .root_delay = 0x10000,
                                .root_dispersion = 0x8000,
                                .reference_id = 0x0a000001,
                                .reference = {1ull << 32},
                                .origin = {2ull << 32},
                                .receive = {3ull << 32},
                                .transmit = {4ull << 32}};
    static_assert(same(emitted<48>(packet), "64 02 06 ec 00010000 00008000 0a000001 00000001 00000000 00000002 00000000"
                                            "00000003 00000000 00000004 00000000"_hex));
    const auto room = emitted<48>(packet);
    const auto view = ntp_view::parse(room);
    REQUIRE(view);
    CHECK(view->leap() == 1);
    CHECK(view->version() == 4);
    CHECK(view->mode() == ntp_mode::server);
    CHECK(view->stratum() == 2);
    CHECK(view->poll() == 6);
    CHECK(view->root_delay() == 1s);
    CHECK(view->root_dispersion() == 500ms);
    CHECK(view->reference_id() == 0x0a000001);
    CHECK(view->reference().value == 1ull << 32);
    CHECK(view->origin().value == 2ull << 32);
    CHECK(view->receive().value == 3ull << 32);
    CHECK(view->transmit().value == 4ull << 32);
    CHECK(ntp_view::parse(octets{room}.first(47)).error() == errc::truncated);
    CHECK(ntp_view::parse(with(room, 0, 0x14)).error() == errc::unsupported); // version 2
    CHECK(ntp_view::parse(with(room, 0, 0x1c)));
    CHECK(ntp_view::parse(with(room, 0, 0x2c)).error() == errc::unsupported); // version 5
}
