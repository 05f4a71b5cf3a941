// SPDX-License-Identifier: MIT
#include "machine.hpp"
#include "mirage/net/tcp/congestion/cubic.hpp"
#include <cmath>

using namespace test;

namespace {

constexpr std::uint32_t mss = 1000;

/// A flow in congestion avoidance that loses at `window` octets and then goes on for `time`, its window always full.
struct flow {
    cubic policy{};
    instant now{};
    duration rtt;

    flow(std::uint32_t window, duration round_trip) : rtt{round_trip} {
        policy.on_start({.mss = mss});
        while (policy.window() < window) // slow start
            policy.on_ack({.acked = policy.window(), .flight = policy.window(), .mss = mss, .now = now, .srtt = rtt});
        lose();
    }
    void lose() { policy.on_loss({.flight = policy.window(), .mss = mss, .now = now, .srtt = rtt}); }
    void round() {
        const std::uint32_t window = policy.window();
        for (std::uint32_t acked = 0; acked < window; acked += 2 * mss) {
            now += rtt * 2 * mss / window;
            policy.on_ack({.acked = 2 * mss, .flight = policy.window(), .mss = mss, .now = now, .srtt = rtt});
        }
    }
};

} // namespace

TEST_CASE("the integer cube root") {
    for (std::uint64_t n : {0ull, 1ull, 7ull, 8ull, 26ull, 27ull, 28ull, 1'000'000ull, 999'999'999'999ull, 1ull << 62}) {
        const std::uint64_t r = cube_root(n);
        CHECK(r * r * r <= n);
        CHECK((r + 1) * (r + 1) * (r + 1) > n);
    }
}

TEST_CASE("cubic: a loss takes three tenths of the window (RFC 9438 section 4.6)") {
    flow f{1'000'000, 100ms};
    const double before = 10'000 * std::pow(2, 7); // doubled from ten segments until it was a million
    CHECK(f.policy.window() == doctest::Approx(0.7 * before).epsilon(0.01));
    CHECK(f.policy.ssthresh() == f.policy.window());
}

TEST_CASE("cubic: the window follows the curve of RFC 9438 section 4.2") {
    flow f{1'000'000, 100ms};
    const double w_max = 1280, k = std::cbrt(w_max * 0.3 / 0.4); // segments, seconds
    const instant begin = f.now;
    double last = f.policy.window();
    for (int i = 0; i < 150; ++i) {
        f.round();
        const double t = std::chrono::duration<double>(f.now - begin).count();
        const double want = 0.4 * std::pow(t - k, 3) + w_max;
        CAPTURE(t);
        CHECK(f.policy.window() >= last); // it never shrinks by itself
        last = f.policy.window();
        if (want > 900) // the curve's own begin is below the window of the loss by rounding
            CHECK(last / mss == doctest::Approx(want).epsilon(0.06));
    }
    CHECK(last / mss > w_max);
}

TEST_CASE("cubic: never slower than Reno, where the window is small (RFC 9438 section 4.3)") {
    flow f{20'000, 10ms};
    const std::uint32_t begin = f.policy.window();
    for (int i = 0; i < 40; ++i)
        f.round();
    // 9/17 of a segment for a round trip at least; the curve alone would give 0.4 * 0.4^3 segments by now
    CHECK(f.policy.window() >= begin + 40 * mss * 9 / 17 - 3 * mss);
}

TEST_CASE("cubic: a second loss below the first makes room for others (RFC 9438 section 4.7)") {
    flow f{1'000'000, 100ms};
    for (int i = 0; i < 10; ++i)
        f.round();
    f.lose();
    const instant begin = f.now;
    const double w_max = f.policy.window() / 0.7 / mss * 0.85;
    while (f.now - begin < 8s)
        f.round();
    CHECK(f.policy.window() / mss == doctest::Approx(w_max).epsilon(0.1));
}

TEST_CASE("cubic: a window that was not used does not grow (RFC 9438 section 5.8)") {
    flow f{100'000, 100ms};
    const auto before = f.policy.window();
    for (int i = 0; i < 100; ++i) {
        f.now += 100ms;
        f.policy.on_ack({.acked = 2000, .flight = 2000, .mss = mss, .now = f.now, .srtt = f.rtt});
    }
    CHECK(f.policy.window() == before);
}

TEST_CASE("cubic: a timeout leaves one segment (RFC 9438 section 4.8)") {
    flow f{100'000, 100ms};
    f.policy.on_timeout({.flight = 100'000, .mss = mss, .now = f.now});
    CHECK(f.policy.window() == mss);
    CHECK(f.policy.ssthresh() == 70'000);
}

TEST_CASE("slow start ends when round trips grow longer, before anything is lost (RFC 9406 section 4.2)") {
    cubic policy;
    policy.on_start({.mss = mss});
    instant now{};
    const auto round = [&](duration rtt) {
        const std::uint32_t window = policy.window();
        for (std::uint32_t acked = 0; acked < window; acked += mss) {
            now += rtt * mss / window;
            policy.on_ack({.acked = mss, .flight = policy.window(), .mss = mss, .now = now, .srtt = rtt, .rtt = rtt});
        }
    };
    SUBCASE("as long as they do not, the window doubles") {
        for (int i = 0; i < 5; ++i)
            round(50ms);
        CHECK(policy.window() >= 300'000);
        CHECK(policy.ssthresh() == 0xffff'ffff);
    }
    SUBCASE("by more than an eighth, for five rounds: congestion avoidance") {
        for (int i = 0; i < 3; ++i)
            round(50ms);
        for (int i = 0; i < 9; ++i)
            round(60ms);
        CHECK(policy.ssthresh() < 0xffff'ffff);
        CHECK(policy.window() < 2'000'000);
    }
    SUBCASE("for a moment only: slow start goes on") {
        for (int i = 0; i < 3; ++i)
            round(50ms);
        round(60ms);
        for (int i = 0; i < 4; ++i)
            round(50ms);
        CHECK(policy.ssthresh() == 0xffff'ffff);
    }
}
