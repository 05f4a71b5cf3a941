// SPDX-License-Identifier: MIT
// However many tasks end without waiting, the stack stays as deep as it was; on either compiler, at any
// optimisation level. Built several times, and run with a small stack.
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/nursery.hpp"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/resource.h>

using namespace mirage;
using namespace std::chrono_literals;

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

std::uintptr_t lowest, highest;

[[gnu::noinline]] void here() noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    lowest = at < lowest ? at : lowest;
    highest = at > highest ? at : highest;
}

task<int> ready(int n) {
    here();
    co_return n;
}
task<int> deep(int n, int depth) {
    if (depth == 0)
        co_return co_await ready(n);
    co_return co_await deep(n, depth - 1);
}
task<> nothing() {
    here();
    co_return;
}
task<int> yields(scheduler& loop, int n) {
    co_await loop.yield();
    here();
    co_return n;
}

constexpr int times = 1'000'000;

task<> awaits(scheduler&, int& n) {
    for (; n < times; ++n)
        (void)co_await ready(n);
}
task<> awaits_deeply(scheduler&, int& n) {
    for (; n < times; n += 10)
        (void)co_await deep(n, 5);
}
task<> limits(scheduler& loop, int& n) {
    for (; n < times; n += 4)
        (void)co_await with_timeout(loop, ready(n), 1s);
}
task<> joins(scheduler&, int& n) {
    for (; n < times; n += 4)
        (void)co_await when_all(ready(1), ready(2));
}
task<> races(scheduler&, int& n) {
    for (; n < times; n += 4)
        (void)co_await when_any(ready(1), ready(2));
}
task<> spawns(scheduler& loop, int& n) {
    nursery tasks{loop};
    for (; n < times; ++n)
        (void)tasks.spawn(nothing());
    co_return;
}
task<> waits(scheduler& loop, int& n) {
    for (; n < times; n += 4)
        (void)co_await yields(loop, n);
}
task<> waits_with_limit(scheduler& loop, int& n) {
    for (; n < times; n += 10)
        (void)co_await with_timeout(loop, yields(loop, n), 1s);
}
task<> set_events(scheduler& loop, int& n) {
    event e{loop};
    for (; n < times; ++n) {
        e.set();
        co_await e.wait();
        here();
    }
}
task<> ping(scheduler& loop, event& mine, event& other, int& n) {
    for (; n < times; n += 4) {
        other.set();
        co_await mine.wait();
        here();
    }
    other.set();
    co_await loop.yield();
}
task<> ping_pong(scheduler& loop, int& n) {
    event a{loop}, b{loop};
    (void)co_await when_any(ping(loop, a, b, n), ping(loop, b, a, n));
}

bool flat(const char* name, task<> (*scenario)(scheduler&, int&)) {
    scheduler loop;
    nursery tasks{loop};
    int n = 0;
    lowest = ~std::uintptr_t{0};
    highest = 0;
    (void)tasks.spawn(scenario(loop, n));
    while (loop.run_ready()) {
    }
    const bool ended = tasks.empty() && n >= times;
    const auto depth = highest - lowest;
    const bool good = ended && depth < 8192;
    std::printf("%-18s %s, stack moves by %zu octets\n", name, good ? "ok" : "FAILED", static_cast<std::size_t>(depth));
    return good;
}

} // namespace

int main() {
    // The stack grows on demand up to this limit; beyond it the process is killed.
    constexpr rlim_t small = 256 * 1024;
    const rlimit limit{small, small};
    setrlimit(RLIMIT_STACK, &limit);
    bool good = true;
    good &= flat("awaits", awaits);
    good &= flat("awaits deeply", awaits_deeply);
    good &= flat("with_timeout", limits);
    good &= flat("when_all", joins);
    good &= flat("when_any", races);
    good &= flat("spawns", spawns);
    good &= flat("waits", waits);
    good &= flat("waits with limit", waits_with_limit);
    good &= flat("set events", set_events);
    good &= flat("ping pong", ping_pong);
    return good ? 0 : 1;
}
