// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/clock.hpp"
#include <doctest/doctest.h>

namespace mirage::contract {

/// What every clock promises. A `Harness` has
///   device()        the clock
///   pass(duration)  lets that much time pass; how much more is its affair
template <class Harness>
void clock_contract() {
    using namespace std::chrono_literals;
    Harness h;
    const auto& device = h.device();
    static_assert(mirage::clock<std::remove_cvref_t<decltype(device)>>);

    SUBCASE("the time never goes back") {
        instant last = device.now();
        bool monotonic = true;
        for (int i = 0; i < 100'000; ++i) {
            const instant now = device.now();
            monotonic &= now >= last;
            last = now;
        }
        CHECK(monotonic);
    }
    SUBCASE("the time goes on, and starts near boot") {
        const instant before = device.now();
        CHECK(before >= instant{});
        CHECK(before < instant{24h * 365 * 100});
        h.pass(2ms);
        CHECK(device.now() >= before + 2ms);
    }
    SUBCASE("the wall clock shows a time of this century") {
        CHECK(device.wall() > wall_time{24h * 365 * 50});
        CHECK(device.wall() < wall_time{24h * 365 * 130});
    }
    SUBCASE("both clocks go at the same pace") {
        const auto offset = [&] { return device.wall().time_since_epoch() - device.now().time_since_epoch(); };
        const duration before = offset();
        h.pass(2ms);
        // Generous: the two are not read at the same moment, and UTC may be slewed.
        CHECK(offset() - before < 1s);
        CHECK(before - offset() < 1s);
    }
}

} // namespace mirage::contract
