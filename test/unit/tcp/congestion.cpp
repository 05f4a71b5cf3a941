// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

TEST_CASE("reno: slow start, avoidance, loss (RFC 5681 section 3.1)") {
    reno policy;
    policy.on_start({.mss = 1000});
    CHECK(policy.window() == 10'000); // RFC 6928 section 2
    SUBCASE("large segments: at most 14600 octets, or two segments") {
        policy.on_start({.mss = 9000});
        CHECK(policy.window() == 18'000);
    }
    SUBCASE("slow start grows by what is acknowledged") {
        policy.on_ack({.acked = 4000, .flight = 10'000, .mss = 1000});
        CHECK(policy.window() == 14'000);
    }
    SUBCASE("a window that was not used does not grow (RFC 7661)") {
        policy.on_ack({.acked = 1000, .flight = 1000, .mss = 1000});
        CHECK(policy.window() == 10'000);
    }
    SUBCASE("a timeout: half the flight is the threshold, one segment the window") {
        policy.on_timeout({.flight = 10'000, .mss = 1000});
        CHECK(policy.ssthresh() == 5000);
        CHECK(policy.window() == 1000);
        SUBCASE("then slow start up to the threshold, and one segment per round trip beyond") {
            for (int i = 0; i < 4; ++i)
                policy.on_ack({.acked = policy.window(), .flight = policy.window(), .mss = 1000});
            const auto reached = policy.window();
            CHECK(reached >= 5000);
            CHECK(reached <= 6000);
            policy.on_ack({.acked = reached, .flight = reached, .mss = 1000});
            CHECK(policy.window() == reached + 1000);
        }
    }
    SUBCASE("the threshold is never below two segments (equation (4))") {
        policy.on_timeout({.flight = 1000, .mss = 1000});
        CHECK(policy.ssthresh() == 2000);
    }
    SUBCASE("after an idle time the window is the initial one again (section 4.1)") {
        policy.on_ack({.acked = 10'000, .flight = 10'000, .mss = 1000});
        policy.on_idle({.mss = 1000});
        CHECK(policy.window() == 10'000);
    }
}
