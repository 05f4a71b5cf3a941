// SPDX-License-Identifier: MIT
#include "mirage/core/event.hpp"
#include "support.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;
using test::probe;

namespace {

struct step_once : operation {
    std::vector<int>& log;
    int name;
    scheduler* again = nullptr;
    operation* victim = nullptr;
    step_once(std::vector<int>& l, int n) noexcept
        : operation{[](operation& self) noexcept {
              auto& s = static_cast<step_once&>(self);
              s.log.push_back(s.name);
              if (s.again != nullptr)
                  s.again->post(s);
              if (s.victim != nullptr)
                  s.victim->unlink();
          }},
          log{l}, name{n} {}
};

task<> count(scheduler& loop, std::vector<int>& log, int name, int times) {
    for (int i = 0; i < times; ++i) {
        log.push_back(name);
        co_await loop.yield();
    }
}

task<> sleeper(scheduler& loop, std::vector<int>& log, int name, duration d) {
    const probe held;
    const instant due = loop.now() + d;
    co_await loop.sleep_for(d);
    CHECK(loop.now() >= due);
    log.push_back(name);
}

task<> waiter(event& e, std::vector<int>& log, int name) {
    const probe held;
    co_await e.wait();
    log.push_back(name);
}

} // namespace

TEST_CASE("run_ready runs what was ready, each once and in order; what is posted meanwhile comes next time") {
    scheduler loop;
    std::vector<int> log;
    step_once a{log, 1}, b{log, 2};
    a.again = &loop;
    loop.post(a);
    loop.post(b);
    CHECK(loop.run_ready());
    CHECK(log == std::vector{1, 2});
    CHECK(loop.run_ready());
    CHECK(log == std::vector{1, 2, 1});
    a.again = nullptr;
    CHECK(loop.run_ready());
    CHECK_FALSE(loop.run_ready());
    CHECK(loop.idle());
}

TEST_CASE("posting twice moves to the end and runs once") {
    scheduler loop;
    std::vector<int> log;
    step_once a{log, 1}, b{log, 2};
    loop.post(a);
    loop.post(b);
    loop.post(a);
    loop.run_ready();
    CHECK(log == std::vector{2, 1});
    CHECK(loop.idle());
}

TEST_CASE("an operation that dies, or that another withdraws, does not run") {
    scheduler loop;
    std::vector<int> log;
    step_once a{log, 1}, c{log, 3};
    {
        step_once b{log, 2};
        loop.post(a);
        loop.post(b);
        loop.post(c);
    }
    a.victim = &c;
    loop.run_ready();
    CHECK(log == std::vector{1});
}

TEST_CASE("coroutines that yield take turns") {
    scheduler loop;
    std::vector<int> log;
    const test::runner a{count(loop, log, 1, 3)}, b{count(loop, log, 2, 3)};
    test::drain(loop);
    CHECK(log == std::vector{1, 2, 1, 2, 1, 2});
}

TEST_CASE("sleepers wake in the order of their deadlines, those in the past at the next turn") {
    scheduler loop{instant{1h}};
    std::vector<int> log;
    const test::runner a{sleeper(loop, log, 3, 30ms)}, b{sleeper(loop, log, 1, 10ms)},
        c{sleeper(loop, log, 2, 20ms)}, d{sleeper(loop, log, 4, 40ms)}, e{sleeper(loop, log, 0, -1ms)};
    CHECK(log.empty());
    test::drain(loop);
    CHECK(log == std::vector{0, 1, 2, 3, 4});
    CHECK(probe::live == 0);
}

TEST_CASE("the time never goes back") {
    scheduler loop{instant{5s}};
    loop.advance(instant{4s});
    CHECK(loop.now() == instant{5s});
}

TEST_CASE("an event wakes all that wait, through the queue") {
    scheduler loop;
    event e{loop};
    std::vector<int> log;
    const test::runner a{waiter(e, log, 1)}, b{waiter(e, log, 2)};
    e.set();
    CHECK(log.empty()); // a completion never runs inside the call that causes it
    CHECK_FALSE(e.is_set());
    loop.run_ready();
    CHECK(log == std::vector{1, 2});
}

TEST_CASE("an event that is set with nobody waiting lets one wait through at once") {
    scheduler loop;
    event e{loop};
    std::vector<int> log;
    e.set();
    e.set();
    CHECK(e.is_set());
    const test::runner a{waiter(e, log, 1)};
    CHECK(log == std::vector{1});
    const test::runner b{waiter(e, log, 2)};
    CHECK(log == std::vector{1});
    e.set();
    loop.run_ready();
    CHECK(log == std::vector{1, 2});

    e.set();
    e.reset();
    const test::runner c{waiter(e, log, 3)};
    CHECK_FALSE(c.ended());
}

TEST_CASE("a waiter that dies before or after the event is set does not run") {
    scheduler loop;
    event e{loop};
    std::vector<int> log;
    {
        const test::runner a{waiter(e, log, 1)};
    }
    e.set();
    CHECK(e.is_set()); // nobody was waiting
    e.reset();
    {
        const test::runner b{waiter(e, log, 2)};
        e.set();
    }
    loop.run_ready();
    CHECK(log.empty());
    CHECK(probe::live == 0);
}

TEST_CASE("an event may die before the frames that wait for it") {
    scheduler loop;
    std::vector<int> log;
    auto e = std::make_unique<event>(loop);
    const test::runner a{waiter(*e, log, 1)};
    e.reset();
    CHECK_FALSE(a.ended());
}
