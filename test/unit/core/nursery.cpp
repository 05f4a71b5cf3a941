// SPDX-License-Identifier: MIT
#include "mirage/core/nursery.hpp"
#include "mirage/core/event.hpp"
#include "support.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;
using test::probe;

namespace {

task<> at_once(int& runs) {
    const probe held;
    ++runs;
    co_return;
}

task<> after(scheduler& loop, duration d, std::vector<int>& log, int name, probe = {}) {
    const probe held;
    co_await loop.sleep_for(d);
    log.push_back(name);
}

task<> family(nursery& tasks, scheduler& loop, int depth, int& born) {
    ++born;
    co_await loop.yield();
    if (depth > 0)
        for (int i = 0; i < 2; ++i)
            (void)tasks.spawn(family(tasks, loop, depth - 1, born));
}

task<> await_all(nursery& tasks, bool& done) {
    co_await tasks.wait_all();
    done = true;
}

struct farewell {
    std::vector<int>* log;
    int name;
    farewell(std::vector<int>& l, int n) noexcept : log{&l}, name{n} {}
    farewell(farewell&& other) noexcept : log{std::exchange(other.log, nullptr)}, name{other.name} {}
    ~farewell() {
        if (log != nullptr)
            log->push_back(name);
    }
};

task<> hold(event& e, farewell) { co_await e.wait(); }


} // namespace

TEST_CASE("a task that ends inside spawn() is released there") {
    scheduler loop;
    nursery tasks{loop};
    int runs = 0;
    for (int i = 0; i < 1000; ++i)
        CHECK(tasks.spawn(at_once(runs)).has_value());
    CHECK(runs == 1000);
    CHECK(tasks.empty());
    CHECK(probe::live == 0);
}

TEST_CASE("tasks run side by side, and each is released when it ends") {
    scheduler loop;
    nursery tasks{loop};
    std::vector<int> log;
    for (int i = 0; i < 10; ++i)
        (void)tasks.spawn(after(loop, 10ms * (10 - i), log, i));
    CHECK(tasks.size() == 10);
    int live = probe::live;
    CHECK(live == 20);
    while (test::step(loop)) {
        CHECK(probe::live == static_cast<int>(2 * tasks.size()));
        CHECK(probe::live <= live);
        live = probe::live;
    }
    CHECK(log == std::vector{9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
    CHECK(tasks.empty());
}

TEST_CASE("destroying a nursery destroys its tasks, at whatever step, the youngest first") {
    for (int steps = 0; steps < 15; ++steps) {
        scheduler loop;
        std::vector<int> log;
        {
            nursery tasks{loop};
            for (int i = 0; i < 5; ++i)
                (void)tasks.spawn(after(loop, 1ms * i, log, i));
            for (int i = 0; i < steps; ++i)
                (void)test::step(loop);
        }
        CHECK(probe::live == 0);
        CHECK(loop.idle());
        CHECK(loop.next_deadline() == never);
    }
    scheduler loop;
    event e{loop};
    std::vector<int> log;
    {
        nursery tasks{loop};
        for (int i = 0; i < 4; ++i)
            (void)tasks.spawn(hold(e, farewell{log, i}));
    }
    CHECK(log == std::vector{3, 2, 1, 0});
}

TEST_CASE("tasks spawn tasks") {
    scheduler loop;
    nursery tasks{loop};
    int born = 0;
    bool done = false;
    (void)tasks.spawn(family(tasks, loop, 7, born));
    const test::runner waiter{await_all(tasks, done)};
    test::drain(loop);
    CHECK(born == 255);
    CHECK(done);
    CHECK(tasks.empty());
}

TEST_CASE("wait_all waits for all, also for those that are spawned while it is being woken") {
    scheduler loop;
    nursery tasks{loop};
    std::vector<int> log;
    bool done = false;
    {
        const test::runner none{await_all(tasks, done)};
        CHECK(done);
    }
    done = false;
    (void)tasks.spawn(after(loop, 1ms, log, 1));
    const test::runner waiter{await_all(tasks, done)};
    {
        bool never_set = false;
        const test::runner withdrawn{await_all(tasks, never_set)};
    }
    loop.advance(instant{5ms});
    CHECK(tasks.empty());
    CHECK_FALSE(done); // posted, not run
    (void)tasks.spawn(after(loop, 1ms, log, 2));
    loop.run_ready();
    CHECK_FALSE(done);
    test::drain(loop);
    CHECK(done);
    CHECK(log == std::vector{1, 2});
}

TEST_CASE("a nursery may die while somebody waits for it") {
    scheduler loop;
    event e{loop};
    bool done = false;
    std::vector<int> log;
    auto tasks = std::make_unique<nursery>(loop);
    (void)tasks->spawn(hold(e, farewell{log, 1}));
    const test::runner waiter{await_all(*tasks, done)};
    tasks.reset();
    test::drain(loop);
    CHECK_FALSE(done);
    CHECK(log == std::vector{1});
}

TEST_CASE("what cannot be started says so") {
    scheduler loop;
    nursery tasks{loop};
    CHECK(tasks.spawn(task<>{}).error() == errc::no_buffers);
    CHECK(tasks.empty());

    struct spawner {
        nursery* tasks = nullptr;
        result<>* answer = nullptr;
        int* runs = nullptr;
        spawner(nursery& t, result<>& a, int& r) noexcept : tasks{&t}, answer{&a}, runs{&r} {}
        spawner(spawner&& o) noexcept : tasks{std::exchange(o.tasks, nullptr)}, answer{o.answer}, runs{o.runs} {}
        ~spawner() {
            if (tasks != nullptr)
                *answer = tasks->spawn(at_once(*runs));
        }
    };
    result<> answer{};
    int runs = 0;
    event e{loop};
    {
        nursery closing{loop};
        (void)closing.spawn([](event& ev, spawner) -> task<> { co_await ev.wait(); }(e, spawner{closing, answer, runs}));
    }
    CHECK_FALSE(answer.has_value());
    CHECK(answer.error() == errc::closed);
    CHECK(runs == 0);
}

TEST_CASE("what the parameters of an ended task do is seen after the task is gone") {
    scheduler loop;
    nursery tasks{loop};
    std::size_t left = 99;
    struct last {
        nursery* tasks;
        std::size_t* left;
        last(nursery& t, std::size_t& l) noexcept : tasks{&t}, left{&l} {}
        last(last&& o) noexcept : tasks{std::exchange(o.tasks, nullptr)}, left{o.left} {}
        ~last() {
            if (tasks != nullptr)
                *left = tasks->size();
        }
    };
    (void)tasks.spawn([](scheduler& l, last) -> task<> { co_await l.yield(); }(loop, last{tasks, left}));
    CHECK(left == 99);
    loop.run_ready();
    CHECK(left == 0);
}
