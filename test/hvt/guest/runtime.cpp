// SPDX-License-Identifier: MIT
//
// Checks, inside the guest, what the guest brings instead of a libc: memory functions, heap, time, random octets, and
// the parts of the standard library that applications are told they may use. Says SUCCESS or where it failed.
#include "mirage/core/check.hpp"
#include "mirage/core/task.hpp"
#include "mirage/platform.hpp"
#include "mirage/runtime/heap.hpp"
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <vector>

using namespace mirage;
using disk = platform::block<"disk">;

template <class...>
class runtime_test {};

MIRAGE_PLATFORM_NOTES(runtime_test<disk, platform::console, platform::clock, platform::random>)

namespace {

unsigned constructed = 0;
struct counts_construction {
    counts_construction() noexcept { ++constructed; }
};
counts_construction global; // through .init_array

/// All lengths and offsets up to a few blocks, against the obvious loop; overlapping both ways.
void memory_functions() noexcept {
    static std::array<unsigned char, 1024> expected, got;
    const auto fill = [](auto& a, unsigned seed) {
        for (std::size_t i = 0; i < a.size(); ++i)
            a[i] = static_cast<unsigned char>(i * 31 + seed);
    };
    for (std::size_t n = 0; n <= 300; ++n)
        for (const std::size_t from : {300uz, 301uz, 316uz, 290uz}) {
            for (const std::size_t to : {300uz, 299uz, 310uz, 370uz, 230uz, 650uz}) {
                fill(expected, static_cast<unsigned>(n));
                got = expected;
                if (to <= from)
                    for (std::size_t i = 0; i < n; ++i)
                        *(expected.data() + to + i) = *(expected.data() + from + i);
                else
                    for (std::size_t i = n; i-- > 0;)
                        *(expected.data() + to + i) = *(expected.data() + from + i);
                std::memmove(got.data() + to, got.data() + from, n);
                check(std::ranges::equal(got, expected), "memmove");
            }
            fill(expected, 1);
            got = expected;
            std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(from), n, static_cast<unsigned char>(0xa5));
            std::memset(got.data() + from, 0xa5, n);
            check(std::ranges::equal(got, expected), "memset");
            if (n > 0) {
                check(std::memcmp(got.data() + from, expected.data() + from, n) == 0, "memcmp of equals");
                got[from + n - 1] ^= 0x80;
                check(std::memcmp(got.data() + from, expected.data() + from, n) < 0, "memcmp: less");
                check(std::memcmp(expected.data() + from, got.data() + from, n) > 0, "memcmp: greater");
                check(std::memchr(got.data() + from, 0x25, n) == &got[from + n - 1], "memchr");
                check(std::memchr(got.data() + from, 0x26, n) == nullptr, "memchr of nothing");
            }
        }
    const char* text = "twelve chars";
    asm volatile("" : "+r"(text));
    check(std::strlen(text) == 12, "strlen");
}

void standard_library() noexcept {
    std::vector<unsigned> v;
    for (unsigned i = 0; i < 1000; ++i)
        v.push_back(i * 7919 % 1000);
    std::ranges::sort(v);
    check(std::ranges::is_sorted(v) && v[999] == 999, "vector, sort");
    std::array<char, 16> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), 1234567);
    int back = 0;
    check(error == std::errc{} && std::from_chars(digits.data(), end, back).ec == std::errc{} && back == 1234567,
          "charconv");
    const auto shared = std::make_unique<std::optional<std::expected<int, errc>>>(std::unexpected(errc::io));
    check(shared->has_value() && !(**shared).has_value(), "unique_ptr, optional, expected");
    volatile double half = 0.5;
    check(static_cast<int>(half * 7.0) == 3, "floating point");
}

void heap_is_bounded() noexcept {
    const std::size_t before = runtime::memory.used();
    std::array<void*, 4096> held{};
    std::size_t n = 0;
    while (n < held.size() && (held[n] = ::operator new(4096, std::nothrow)) != nullptr)
        std::memset(held[n++], 0x5a, 4096);
    check(n > 16 && n < held.size(), "the heap has an end, and it is usable up to it");
    check(::operator new(4096, std::nothrow) == nullptr, "an exhausted heap gives nullptr");
    for (std::size_t i = 0; i < n; ++i)
        ::operator delete(held[i]);
    check(runtime::memory.used() == before, "all of it came back");
    void* const large = ::operator new(n * 4096, std::align_val_t{65536}, std::nothrow);
    check(large == nullptr || reinterpret_cast<std::uintptr_t>(large) % 65536 == 0, "alignment");
    ::operator delete(large, std::align_val_t{65536});
}

void time(platform& here) noexcept {
    platform::clock clock{here};
    const instant before = clock.now();
    (void)here.wait(before + std::chrono::milliseconds{5});
    const instant after = clock.now();
    check(after - before >= std::chrono::milliseconds{5}, "wait() returns before its deadline");
    (void)here.wait(instant::min());
    const auto wall = clock.wall().time_since_epoch();
    check(wall > std::chrono::hours{24} * 365 * 50, "UTC is past 2020");
    check(clock.wall().time_since_epoch() >= wall, "UTC goes on");
    std::array<char, 24> text{};
    std::to_chars(text.data(), text.data() + text.size(), wall.count());
    hvt::put("wall ");
    hvt::put(text.data());
    hvt::put("\n");
}

void random_octets(platform& here) noexcept {
    platform::random random{here};
    check(random.open().has_value(), "random: open");
    std::array<std::byte, 4096> a, b;
    random.fill(a);
    random.fill(b);
    check(!std::ranges::equal(a, b), "random: repeats itself");
    unsigned ones = 0;
    for (const std::byte o : a)
        ones += static_cast<unsigned>(std::popcount(static_cast<unsigned char>(o)));
    check(ones > 16384 - 600 && ones < 16384 + 600, "random: not half of the bits are set"); // 6.6 sigma
    hvt::put("random ");
    for (std::size_t i = 0; i < 16; ++i) {
        const auto o = static_cast<unsigned char>(a[i]);
        const char hex[2] = {"0123456789abcdef"[o >> 4], "0123456789abcdef"[o & 15]};
        hvt::put({hex, 2});
    }
    hvt::put("\n");
}

void disk_sectors(platform& here) noexcept {
    const auto run = [&](auto&& operation) {
        block_result outcome;
        const auto waiting = [](auto& what, block_result& to) -> task<> { to = co_await what; };
        task<> work = waiting(operation, outcome);
        bool done = false;
        work.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done);
        while (!done)
            check(here.loop().run_ready(), "block: an operation does not end");
        return outcome;
    };
    disk d{here};
    check(d.open().has_value(), "block: open");
    check(d.sectors() == 2048 && d.sector_size() == 512, "block: geometry");
    std::vector<std::byte> out(512 * 512), in(512 * 512);
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::byte>(i >> 9 ^ i);
    check(run(d.write(100, out)).has_value(), "block: write of many sectors");
    check(run(d.flush()).has_value(), "block: flush");
    check(run(d.read(100, in)).has_value() && in == out, "block: read what was written");
    const auto past = run(d.read(2047, mutable_octets{in}.first(1024)));
    check(!past && past.error() == block_error{errc::too_large, 2047}, "block: past the end names the sector");
    const auto part = run(d.write(3, octets{out}.first(100)));
    check(!part && part.error() == block_error{errc::invalid_argument, 3}, "block: part of a sector");
    check(!run(d.read(~std::uint64_t{0} / 512, in)).has_value(), "block: far past the end");
}

} // namespace

int mirage_application(platform& here) noexcept {
    check(constructed == 1, "a global was not constructed once");
    memory_functions();
    standard_library();
    heap_is_bounded();
    time(here);
    random_octets(here);
    disk_sectors(here);
    hvt::put("SUCCESS\n");
    return 0;
}
