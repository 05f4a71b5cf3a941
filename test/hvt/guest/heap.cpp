// SPDX-License-Identifier: MIT
#include "mirage/runtime/heap.hpp"
#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <random>
#include <vector>

using mirage::runtime::heap;

namespace {

struct arena {
    static constexpr std::size_t size = 1 << 20;
    std::vector<std::max_align_t> storage{size / sizeof(std::max_align_t) + 2};
    std::byte* begin = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(storage.data()) + 15) & ~15ull);
    heap h;
    arena() { h.open(begin, begin + size); }
    bool holds(const void* p, std::size_t n) const {
        const auto* const at = static_cast<const std::byte*>(p);
        return at >= begin && at + n <= begin + size;
    }
};

} // namespace

SCENARIO("the heap is one piece again when everything has been freed") {
    arena a;
    const std::size_t all = arena::size - 16;
    void* const whole = a.h.allocate(all);
    REQUIRE(whole != nullptr);
    CHECK(a.h.allocate(1) == nullptr);
    a.h.deallocate(whole);

    GIVEN("three neighbours") {
        void* const p[] = {a.h.allocate(100), a.h.allocate(200), a.h.allocate(300)};
        for (const auto order : {"012", "021", "102", "120", "201", "210"}) {
            void* q[] = {p[0], p[1], p[2]};
            CAPTURE(order);
            for (const char* o = order; *o != '\0'; ++o)
                a.h.deallocate(q[*o - '0']);
            CHECK(a.h.used() == 0);
            void* const again = a.h.allocate(all);
            CHECK(again == whole);
            a.h.deallocate(again);
            CHECK(a.h.allocate(100) == p[0]);
            CHECK(a.h.allocate(200) == p[1]);
            CHECK(a.h.allocate(300) == p[2]);
        }
    }
}

SCENARIO("memory in several pieces") {
    GIVEN("a heap with a hole in its memory") {
        arena a; // [0, 1/4) and [1/2, 1) of it
        heap h;
        std::byte *const hole = a.begin + arena::size / 4, *const rest = a.begin + arena::size / 2;
        h.open(a.begin, hole);
        std::memset(hole, 0x5a, static_cast<std::size_t>(rest - hole));
        h.add(rest, a.begin + arena::size);
        CHECK(h.capacity() == arena::size / 4 * 3);
        CHECK(h.used() == 0);

        THEN("all of it is given out, and none of the hole") {
            std::vector<void*> given;
            while (void* const p = h.allocate(1000)) {
                auto* const at = static_cast<std::byte*>(p);
                REQUIRE((at + 1000 <= hole || at >= rest));
                std::memset(p, 1, 1000);
                given.push_back(p);
            }
            CHECK(given.size() * 1024 > arena::size / 4 * 3 - 4 * 1024);
            CHECK(std::all_of(hole, rest, [](std::byte b) { return b == std::byte{0x5a}; }));
            for (void* const p : given)
                h.deallocate(p);
            CHECK(h.used() == 0);
            CHECK(h.allocate(arena::size / 2 - 16) == rest + 16);
            CHECK(h.allocate(arena::size / 4 - 32) == a.begin + 16);
        }
    }
    GIVEN("two pieces without a hole") {
        arena a;
        heap h;
        h.open(a.begin, a.begin + 4096);
        h.add(a.begin + 4096, a.begin + 8192);
        THEN("they stay two") {
            CHECK(h.allocate(5000) == nullptr);
            CHECK(h.allocate(4096 - 16) != nullptr);
            CHECK(h.allocate(4096 - 32) != nullptr);
        }
    }
}

TEST_CASE("random use: no block overlaps another, all is aligned, all comes back") {
    arena a;
    std::mt19937 rng{7};
    struct held {
        std::byte* at;
        std::size_t size;
        std::byte mark;
    };
    std::vector<held> blocks;
    std::size_t failures = 0;
    for (int step = 0; step < 100'000; ++step) {
        if (blocks.empty() || rng() % 100 < 52) {
            const std::size_t size = rng() % (rng() % 8 == 0 ? 20'000 : 300);
            const std::size_t alignment = std::size_t{1} << rng() % 13;
            auto* const p = static_cast<std::byte*>(a.h.allocate(size, alignment));
            if (p == nullptr) {
                ++failures;
                continue;
            }
            REQUIRE(a.holds(p, size));
            REQUIRE(reinterpret_cast<std::uintptr_t>(p) % std::max<std::size_t>(alignment, 16) == 0);
            const held b{p, size, static_cast<std::byte>(rng())};
            std::memset(p, static_cast<int>(b.mark), size);
            blocks.push_back(b);
        } else {
            const std::size_t i = rng() % blocks.size();
            const held b = blocks[i];
            for (std::size_t k = 0; k < b.size; ++k)
                REQUIRE(b.at[k] == b.mark);
            a.h.deallocate(b.at);
            blocks[i] = blocks.back();
            blocks.pop_back();
        }
    }
    CHECK(failures > 0); // it was full at times
    for (const held& b : blocks)
        a.h.deallocate(b.at);
    CHECK(a.h.used() == 0);
    CHECK(a.h.allocate(arena::size - 16) != nullptr);
}

TEST_CASE("requests that cannot be met give nullptr, and nothing is lost") {
    arena a;
    CHECK(a.h.allocate(arena::size) == nullptr);
    CHECK(a.h.allocate(~std::size_t{0}) == nullptr);
    CHECK(a.h.allocate(~std::size_t{0} - 15) == nullptr);
    CHECK(a.h.allocate(16, arena::size * 2) == nullptr);
    CHECK(a.h.allocate(0) != nullptr);
    a.h.deallocate(nullptr);
    CHECK(a.h.used() == 32);
    CHECK(a.h.peak() == 32);
}
