// SPDX-License-Identifier: MIT
#include "mirage/host/spin_policy.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

/// Runs `waits` waits, each of whose inputs comes `delay` after its start; with `shared`, only once we sleep,
/// since its sender needs our core. Returns the time that was spent on looking.
duration run(host::spin_policy& policy, int waits, duration delay, bool shared = false) {
    duration looking{};
    for (int i = 0; i < waits; ++i) {
        const duration budget = policy.budget();
        if (!shared && budget >= delay) {
            looking += delay;
            policy.found(delay);
        } else {
            looking += budget;
            policy.woken(shared ? budget + delay : std::max(budget, delay), budget);
        }
    }
    return looking;
}

} // namespace

TEST_CASE("looks for input that comes soon") {
    host::spin_policy policy;
    run(policy, 100, 10us);
    CHECK(run(policy, 100, 10us) == 100 * 10us);
}

TEST_CASE("sleeps at once when input comes rarely") {
    host::spin_policy policy;
    run(policy, 100, 5ms);
    CHECK(run(policy, 100, 5ms) == 0us);
}

TEST_CASE("hardly keeps a sender waiting that shares the core") {
    host::spin_policy policy;
    run(policy, 10'000, 5us, true);
    CHECK(run(policy, 10'000, 5us, true) < 10'000 * 5us / 100);
}

TEST_CASE("starts to look again when things have changed") {
    host::spin_policy policy;
    run(policy, 1000, 5us, true);
    run(policy, 20'000, 10us);
    CHECK(run(policy, 1000, 10us) == 1000 * 10us);
}
