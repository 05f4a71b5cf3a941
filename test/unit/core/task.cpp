// SPDX-License-Identifier: MIT
#include "mirage/core/event.hpp"
#include "support.hpp"
#include <array>
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;
using test::probe;

namespace {

[[gnu::noinline]] void escape(void* p) { asm volatile("" : : "r"(p) : "memory"); }

task<int> number(int n) { co_return n; }

task<std::unique_ptr<int>> owned(int n) { co_return std::make_unique<int>(n); }

task<int> later(scheduler& loop, int n) {
    const probe held;
    co_await loop.yield();
    co_return n;
}

task<> note(std::vector<int>& log, int n) {
    log.push_back(n);
    co_return;
}

/// Six suspension points in three nested coroutines, with something to destroy at each.
task<int> leaf(scheduler& loop, probe) {
    const probe a;
    co_await loop.yield();
    const probe b;
    co_await loop.sleep_for(1ms);
    co_return 1;
}
task<int> middle(scheduler& loop, event& e, probe p) {
    const probe a;
    const int one = co_await leaf(loop, p);
    co_await e.wait();
    const probe b;
    co_return one + co_await leaf(loop, probe{});
}
task<> root(scheduler& loop, event& e, int& out) {
    const probe a;
    out = co_await middle(loop, e, probe{});
    co_await loop.sleep_for(2ms);
    ++out;
}

} // namespace

TEST_CASE("a task is lazy: nothing runs before it is awaited") {
    std::vector<int> log;
    task<> t = note(log, 1);
    CHECK(log.empty());
    CHECK_FALSE(t.done());
    CHECK(static_cast<bool>(t));
    const test::runner run{std::move(t)};
    CHECK(log == std::vector{1});
    CHECK(run.ended());
}

TEST_CASE("values come through await: plain, move-only, after a wait") {
    scheduler loop;
    int sum = 0;
    const test::runner run{[](scheduler& l, int& s) -> task<> {
        s += co_await number(1);
        s += *co_await owned(10);
        s += co_await later(l, 100);
    }(loop, sum)};
    CHECK(sum == 11);
    CHECK(loop.run_ready());
    CHECK(sum == 111);
    CHECK(run.ended());
    CHECK(probe::live == 0);
}

TEST_CASE("a value that nobody takes is destroyed with the task") {
    {
        task<probe> t = []() -> task<probe> { co_return probe{}; }();
        t.start([](void*) noexcept {}, nullptr);
        CHECK(t.done());
        CHECK(probe::live == 1);
    }
    CHECK(probe::live == 0);
}

TEST_CASE("a task that never ran releases its parameters") {
    scheduler loop;
    {
        task<int> t = leaf(loop, probe{});
        CHECK(probe::live == 1);
    }
    CHECK(probe::live == 0);
}

TEST_CASE("a task may be destroyed at every suspension point") {
    for (int steps = 0;; ++steps) {
        scheduler loop;
        event e{loop};
        int out = 0;
        bool ended = false;
        {
            const test::runner run{root(loop, e, out)};
            for (int i = 0; i < steps && !run.ended(); ++i)
                if (!test::step(loop))
                    e.set(); // the only thing left to wait for
            ended = run.ended();
        }
        INFO("destroyed after step " << steps);
        CHECK(probe::live == 0);
        CHECK(loop.idle());
        CHECK(loop.next_deadline() == never);
        e.set();
        CHECK(loop.idle()); // nobody waits for it any more
        if (ended) {
            CHECK(out == 3);
            CHECK(steps > 6);
            break;
        }
        REQUIRE(steps < 100);
    }
}

TEST_CASE("moving a task moves the coroutine, and assignment destroys the old one") {
    scheduler loop;
    task<int> a = leaf(loop, probe{}), b = leaf(loop, probe{});
    CHECK(probe::live == 2);
    a = std::move(b);
    CHECK(probe::live == 1);
    CHECK_FALSE(static_cast<bool>(b)); // NOLINT: that is the question
    a.reset();
    CHECK(probe::live == 0);
    CHECK_FALSE(static_cast<bool>(a));
}

TEST_CASE("short memory gives an empty task, and awaiting that panics") {
    // Larger than every size class of the frame arena: the heap is asked each time.
    const auto large = [](scheduler& l) -> task<> {
        std::array<std::byte, 8192> room{};
        escape(room.data());
        co_await l.yield();
        escape(room.data());
    };
    scheduler loop;
    {
        const test::memory_is_short now;
        CHECK_FALSE(static_cast<bool>(large(loop)));
    }
    CHECK(static_cast<bool>(large(loop)));
    CHECK(test::panics("no memory for its frame", [] {
        const test::runner run{[]() -> task<> { co_await task<>{}; }()};
    }));
}

TEST_CASE("frames of all sizes come from the arena and go back to it") {
    static frame_arena arena; // keeps its memory for good, as the image's does
    for (const std::size_t size : {1u, 63u, 64u, 65u, 2048u, 2049u, 100'000u}) {
        void* const a = arena.allocate(size);
        void* const b = arena.allocate(size);
        REQUIRE(a != nullptr);
        REQUIRE(b != nullptr);
        CHECK(a != b);
        CHECK(reinterpret_cast<std::uintptr_t>(a) % 16 == 0);
        std::fill_n(static_cast<unsigned char*>(a), size, 0xaa);
        std::fill_n(static_cast<unsigned char*>(b), size, 0xbb);
        CHECK(static_cast<unsigned char*>(a)[size - 1] == 0xaa);
        if (size <= 2048) {
            arena.deallocate(a, size);
            CHECK(arena.allocate(size) == a); // the memory most likely still in the cache
        }
        arena.deallocate(b, size);
        arena.deallocate(a, size);
    }
    const test::memory_is_short now;
    CHECK(arena.allocate(700) == nullptr);
    CHECK(arena.allocate(5000) == nullptr);
}
