// SPDX-License-Identifier: MIT
#include "mirage/net/rate_limit.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace std::chrono_literals;

TEST_CASE("a burst passes at once, then one event per interval (RFC 1812 section 4.3.2.8)") {
    net::rate_limit limit{100ms, 3};
    const instant start{5s};
    CHECK(limit.take(start));
    CHECK(limit.take(start));
    CHECK(limit.take(start));
    CHECK_FALSE(limit.take(start));
    CHECK(limit.available_at() == start + 100ms);
    CHECK_FALSE(limit.take(start + 99ms));
    CHECK(limit.take(start + 100ms));
    CHECK_FALSE(limit.take(start + 199ms));
    CHECK(limit.take(start + 200ms));
}

TEST_CASE("a quiet time fills the bucket and no more") {
    net::rate_limit limit{100ms, 2};
    const instant later{std::chrono::hours{1000}};
    CHECK(limit.take(instant{}));
    CHECK(limit.take(later));
    CHECK(limit.take(later));
    CHECK_FALSE(limit.take(later));
}

TEST_CASE("in the long run the rate holds whatever is asked") {
    net::rate_limit limit{10ms, 5};
    unsigned passed = 0;
    for (instant now{}; now < instant{10s}; now += 137us)
        passed += limit.take(now) ? 1u : 0u;
    CHECK(passed >= 1000);
    CHECK(passed <= 1005);
}
