// SPDX-License-Identifier: MIT
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "support.hpp"
#include <doctest/doctest.h>
#include <memory>

using namespace mirage;
using namespace std::chrono_literals;
using test::probe;

namespace {

/// Takes `steps` milliseconds, one wait after the other.
task<int> work(scheduler& loop, int steps, int value) {
    const probe whole;
    for (int i = 0; i < steps; ++i) {
        const probe held;
        co_await loop.sleep_for(1ms);
    }
    co_return value;
}
task<> rest(scheduler& loop, int steps) { (void)co_await work(loop, steps, 0); }
task<result<int>> fallible(scheduler& loop, int steps, result<int> r) {
    (void)co_await work(loop, steps, 0);
    co_return r;
}
task<std::unique_ptr<int>> owner(scheduler& loop, int steps) {
    co_return std::make_unique<int>(co_await work(loop, steps, 5));
}

template <class T>
T run(scheduler& loop, task<T> t) {
    std::optional<T> value;
    {
        const test::runner r{test::keep(std::move(t), value)};
        test::drain(loop);
        REQUIRE(r.ended());
    }
    CHECK(probe::live == 0);
    CHECK(loop.idle());
    CHECK(loop.next_deadline() == never);
    return std::move(*value);
}

/// Some tree of combinators over short tasks.
task<int> tree(scheduler& loop, memory::seeded_random& random, int depth) {
    const probe held;
    const int steps = static_cast<int>(random.below(4));
    if (depth == 0)
        co_return co_await work(loop, steps, 1);
    switch (random.below(3)) {
    case 0: {
        const auto r = co_await with_timeout(loop, tree(loop, random, depth - 1), 1ms * steps);
        co_return r ? *r : -1;
    }
    case 1: {
        const auto [a, b] = co_await when_all(tree(loop, random, depth - 1), tree(loop, random, depth - 1));
        co_return a + b;
    }
    default: {
        const auto first = co_await when_any(tree(loop, random, depth - 1), tree(loop, random, depth - 1));
        const int* const a = std::get_if<0>(&first);
        co_return a != nullptr ? *a : *std::get_if<1>(&first);
    }
    }
}

} // namespace

TEST_CASE("with_timeout gives the value in time and errc::timed_out after it, for every limit") {
    for (int limit = 0; limit < 8; ++limit) {
        scheduler loop;
        const auto r = run(loop, with_timeout(loop, work(loop, 4, 7), 1ms * limit + 500us));
        INFO("limit " << limit << " ms");
        // Each of the four waits may end up to one tick late.
        if (limit >= 4) {
            REQUIRE(r.has_value());
            CHECK(*r == 7);
        } else {
            REQUIRE_FALSE(r.has_value());
            CHECK(r.error() == errc::timed_out);
            CHECK(loop.now() >= instant{1ms * limit + 500us});
            CHECK(loop.now() < instant{1ms * (limit + 1)});
        }
    }
}

TEST_CASE("a task that needs no wait is never timed out") {
    scheduler loop;
    CHECK(*run(loop, with_timeout(loop, work(loop, 0, 7), 0ms)) == 7);
    CHECK(*run(loop, with_timeout(loop, work(loop, 0, 7), -1h)) == 7);
    CHECK(run(loop, with_timeout(loop, rest(loop, 0), 0ms)).has_value());
    CHECK_FALSE(run(loop, with_timeout(loop, rest(loop, 1), 0ms)).has_value());
}

TEST_CASE("with_timeout without a limit that can be reached") {
    scheduler loop{instant{1h}};
    CHECK(*run(loop, with_timeout(loop, work(loop, 3, 7), duration::max())) == 7);
}

TEST_CASE("with_timeout keeps a result flat, and move-only values move") {
    scheduler loop;
    static_assert(std::is_same_v<timed_result<result<int>>, result<int>>);
    CHECK(*run(loop, with_timeout(loop, fallible(loop, 1, 3), 1s)) == 3);
    CHECK(run(loop, with_timeout(loop, fallible(loop, 1, std::unexpected(errc::reset)), 1s)).error() == errc::reset);
    CHECK(run(loop, with_timeout(loop, fallible(loop, 9, 3), 1ms)).error() == errc::timed_out);
    CHECK(**run(loop, with_timeout(loop, owner(loop, 2), 1s)) == 5);
    CHECK(run(loop, with_timeout(loop, task<int>{}, 1s)).error() == errc::no_buffers);
}

TEST_CASE("when_all gives all values, in the order of the tasks") {
    scheduler loop;
    auto [a, b, c, d] =
        run(loop, when_all(work(loop, 3, 1), owner(loop, 0), rest(loop, 1), fallible(loop, 2, std::unexpected(errc::eof))));
    CHECK(a == 1);
    CHECK(*b == 5);
    CHECK(d.error() == errc::eof);
    static_assert(std::is_same_v<decltype(c), std::monostate>);
    CHECK(loop.now() < instant{4ms}); // side by side, not one after the other
}

TEST_CASE("when_any gives the first value and destroys the others") {
    for (int winner = 0; winner < 3; ++winner) {
        scheduler loop;
        const auto steps = [&](int i) { return i == winner ? 2 : 5; };
        const auto r = run(loop, when_any(work(loop, steps(0), 10), owner(loop, steps(1)), rest(loop, steps(2))));
        CHECK(r.index() == static_cast<std::size_t>(winner));
        if (winner == 0)
            CHECK(*std::get_if<0>(&r) == 10);
        if (winner == 1)
            CHECK(**std::get_if<1>(&r) == 5);
        CHECK(loop.now() < instant{3ms});
    }
}

TEST_CASE("when_any does not start what stands behind a task that ends at once") {
    scheduler loop;
    bool started = false;
    const auto r = run(loop, when_any(rest(loop, 2), work(loop, 0, 1), [](bool& s) -> task<> {
        s = true;
        co_return;
    }(started)));
    CHECK(r.index() == 1);
    CHECK_FALSE(started);
}

TEST_CASE("two that end at the same moment: the first one counts, the other is destroyed") {
    scheduler loop;
    event go{loop};
    const auto wait = [](event& e, int v) -> task<int> {
        const probe held;
        co_await e.wait();
        co_return v;
    };
    std::optional<std::variant<int, int>> value;
    {
        const test::runner r{test::keep(when_any(wait(go, 1), wait(go, 2)), value)};
        go.set();
        test::drain(loop);
        CHECK(r.ended());
    }
    REQUIRE(value.has_value());
    CHECK(value->index() == 0);
    CHECK(probe::live == 0);
}

TEST_CASE("combinators may be destroyed at every step, and any tree of them ends") {
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        INFO("seed " << seed);
        bool ended = false;
        for (int steps = 0; !ended; steps += 1 + steps / 8) {
            scheduler loop;
            memory::seeded_random random{seed};
            std::optional<int> value;
            {
                const test::runner r{test::keep(tree(loop, random, 4), value)};
                for (int i = 0; i < steps && test::step(loop); ++i) {
                }
                ended = r.ended();
            }
            REQUIRE(ended == value.has_value());
            REQUIRE(probe::live == 0);
            REQUIRE(loop.idle());
            REQUIRE(loop.next_deadline() == never);
            REQUIRE(steps < 10'000);
        }
    }
}

TEST_CASE("a task for which there was no memory is not waited for silently") {
    CHECK(test::panics("when_all: there was no memory", [] {
        const test::runner r{[]() -> task<> { (void)co_await when_all(task<int>{}, task<>{}); }()};
    }));
    CHECK(test::panics("when_any: there was no memory", [] {
        const test::runner r{[]() -> task<> { (void)co_await when_any(task<int>{}, task<>{}); }()};
    }));
}
