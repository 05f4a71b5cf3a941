// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/nursery.hpp"
#include "mirage/device/block.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <vector>

namespace mirage::contract {

namespace block_detail {

template <class Begin>
task<> keep(Begin begin, std::optional<block_result>& out) {
    out = co_await begin();
}

using content = std::vector<std::byte>;

inline content pattern(std::size_t size, unsigned seed) {
    content c(size);
    for (std::size_t i = 0; i < size; ++i)
        c[i] = static_cast<std::byte>((i * 31 + i / 256 + seed * 101) & 0xff);
    return c;
}

} // namespace block_detail

/// What every block device promises. A `Harness` is made anew for each part, with a device of at least 16 sectors
/// whose content does not matter, and has
///   device()  the block device
///   loop()    its scheduler
///   turn()    one turn of the loop: what is ready runs, what the device has finished arrives, time goes on
/// and, where the disk behind the device can be made to,
///   fail(n)   lets sector n, and no other, fail from now on
template <class Harness>
void block_contract() {
    using block_detail::content;
    using block_detail::pattern;
    Harness h;
    auto& device = h.device();
    static_assert(mirage::block<std::remove_reference_t<decltype(device)>>);

    const std::uint64_t end = device.sectors();
    const std::size_t sector = device.sector_size();
    const auto run = [&](auto begin) {
        std::optional<block_result> out;
        {
            nursery tasks{h.loop()};
            (void)tasks.spawn(block_detail::keep(begin, out));
            for (int turns = 0; !out && turns < 1'000'000; ++turns)
                h.turn();
        }
        REQUIRE(out.has_value());
        return out ? *out : block_result{std::unexpected(block_error{errc::timed_out, 0})};
    };
    const auto read = [&](std::uint64_t s, content& to) { return run([&, s] { return device.read(s, to); }); };
    const auto write = [&](std::uint64_t s, const content& from) {
        return run([&, s] { return device.write(s, from); });
    };
    const auto flush = [&] { return run([&] { return device.flush(); }); };

    SUBCASE("geometry") {
        CHECK(end >= 16);
        CHECK(sector >= 512);
        CHECK(std::has_single_bit(sector));
        CHECK(device.queue_depth() >= 1);
    }
    SUBCASE("transfers that are not whole sectors are refused") {
        content odd(sector + 1), half(sector / 2);
        CHECK(read(0, odd).error() == block_error{errc::invalid_argument, 0});
        CHECK(read(3, half).error() == block_error{errc::invalid_argument, 3});
        if (!device.read_only())
            CHECK(write(3, half).error() == block_error{errc::invalid_argument, 3});
    }
    SUBCASE("past the end nothing is transferred") {
        content two = pattern(2 * sector, 9);
        const content before = two;
        CHECK(read(end - 1, two).error().code == errc::too_large);
        CHECK(read(end, two).error().code == errc::too_large);
        CHECK(read(end + 1, two).error() == block_error{errc::too_large, end + 1});
        CHECK(read(~std::uint64_t{0}, two).error().code == errc::too_large); // no overflow on the way
        CHECK(read(~std::uint64_t{0} / sector, two).error().code == errc::too_large);
        CHECK(two == before);
        content one(sector);
        CHECK(read(end - 1, one).has_value());
    }
    SUBCASE("reading twice gives the same") {
        content a(4 * sector), b(4 * sector, std::byte{0xee});
        CHECK(read(1, a).has_value());
        CHECK(read(1, b).has_value());
        CHECK(a == b);
    }
    if (device.read_only()) {
        SUBCASE("a read-only device stays as it is") {
            content before(sector), after(sector);
            CHECK(read(2, before).has_value());
            CHECK(write(2, pattern(sector, 1)).error() == block_error{errc::read_only, 2});
            CHECK(read(2, after).has_value());
            CHECK(before == after);
            CHECK(flush().has_value());
        }
        return;
    }
    SUBCASE("what is written is read back, after a flush too") {
        for (const std::size_t count : {1u, 2u, 7u}) {
            const content data = pattern(count * sector, static_cast<unsigned>(count));
            content back(count * sector);
            CHECK(write(5, data).has_value());
            CHECK(read(5, back).has_value());
            CHECK(back == data);
            CHECK(flush().has_value());
            std::ranges::fill(back, std::byte{0});
            CHECK(read(5, back).has_value());
            CHECK(back == data);
        }
    }
    SUBCASE("writing leaves the neighbours alone, at both ends of the device") {
        for (const std::uint64_t at : {std::uint64_t{1}, end - 2}) {
            content room = pattern(3 * sector, 1);
            CHECK(write(at - 1, room).has_value());
            const content middle = pattern(sector, 2);
            CHECK(write(at, middle).has_value());
            content back(3 * sector);
            CHECK(read(at - 1, back).has_value());
            std::ranges::copy(middle, room.begin() + static_cast<std::ptrdiff_t>(sector));
            CHECK(back == room);
        }
    }
    SUBCASE("the whole disk is one transfer, whatever fits a request of the device") {
        const content all = pattern(static_cast<std::size_t>(end) * sector, 5);
        content back(all.size());
        CHECK(write(0, all).has_value());
        CHECK(read(0, back).has_value());
        CHECK(back == all);
    }
    SUBCASE("memory may begin anywhere, and nothing beside it is touched") {
        for (const std::size_t offset : {1u, 8u, 511u, 512u, 4095u}) {
            const content data = pattern(offset + 3 * sector + 9, static_cast<unsigned>(offset));
            content back(data.size(), std::byte{0xcc});
            CHECK(run([&] { return device.write(4, octets{data}.subspan(offset, 3 * sector)); }).has_value());
            CHECK(run([&] { return device.read(4, mutable_octets{back}.subspan(offset, 3 * sector)); }).has_value());
            for (std::size_t i = 0; i < back.size(); ++i)
                if (back[i] != (i < offset || i >= offset + 3 * sector ? std::byte{0xcc} : data[i])) {
                    FAIL_CHECK("octet " << i << " is wrong, memory at " << offset);
                    break;
                }
        }
    }
    SUBCASE("more operations may be begun than the device has under way at once") {
        const std::size_t count = 3 * device.queue_depth() + 2;
        std::vector<std::optional<block_result>> done(count);
        std::vector<content> data;
        for (std::size_t i = 0; i < count; ++i)
            data.push_back(pattern(sector, static_cast<unsigned>(i % (end - 1)) + 10));
        {
            nursery tasks{h.loop()};
            for (std::size_t i = 0; i < count; ++i)
                REQUIRE(tasks.spawn(
                    block_detail::keep([&, i] { return device.write(i % (end - 1), data[i]); }, done[i])));
            for (int turns = 0; !tasks.empty() && turns < 1'000'000; ++turns)
                h.turn();
            CHECK(tasks.empty());
        }
        for (std::size_t i = 0; i < count; ++i) {
            REQUIRE(done[i].has_value());
            CHECK(done[i]->has_value());
            content back(sector);
            CHECK(read(i % (end - 1), back).has_value());
            CHECK(back == data[i]);
        }
    }
    SUBCASE("a task that does nothing but transfer does not keep others from running") {
        std::array<unsigned, 2> transfers{};
        std::optional<unsigned> of_the_other; // when the first is done
        nursery tasks{h.loop()};
        const auto transfer = [&](std::size_t i) -> task<> {
            content data(sector);
            while (transfers[i] < 50 && co_await device.read(i, data))
                ++transfers[i];
            if (!of_the_other)
                of_the_other = transfers[1 - i];
        };
        REQUIRE(tasks.spawn(transfer(0)));
        REQUIRE(tasks.spawn(transfer(1)));
        for (int turns = 0; !tasks.empty() && turns < 1'000'000; ++turns)
            h.turn();
        CHECK(transfers == std::array{50u, 50u});
        REQUIRE(of_the_other.has_value());
        CHECK(*of_the_other > 0);
    }
    if constexpr (requires { h.fail(end); }) {
        SUBCASE("an error names the sector that fails, wherever it is in the transfer") {
            const std::uint64_t bad = end / 2 + 1;
            CHECK(write(0, pattern(static_cast<std::size_t>(end) * sector, 7)).has_value());
            h.fail(bad);
            for (const std::uint64_t before : {0u, 1u, 3u, 5u}) {
                content back((bad + 2 - before) * sector);
                CHECK(read(before, back).error() == block_error{errc::io, bad});
                const content whole = pattern(static_cast<std::size_t>(end) * sector, 7);
                const auto good = static_cast<std::ptrdiff_t>((bad - before) * sector);
                CHECK(std::equal(back.begin(), back.begin() + good,
                                 whole.begin() + static_cast<std::ptrdiff_t>(before * sector)));
            }
            CHECK(write(1, pattern(static_cast<std::size_t>(end - 1) * sector, 8)).error()
                  == block_error{errc::io, bad});
            content back(sector);
            CHECK(read(bad - 1, back).has_value());
            CHECK(read(bad + 1, back).has_value());
        }
    }
    if constexpr (discarding_block<std::remove_reference_t<decltype(device)>>) {
        SUBCASE("what is discarded can be written again, and its neighbours are as they were") {
            const content data = pattern(12 * sector, 4);
            content back(2 * sector);
            CHECK(write(2, data).has_value());
            const auto r = run([&] { return device.discard(4, 8); });
            CHECK((r.has_value() || r.error().code == errc::unsupported));
            for (const std::uint64_t beside : {2u, 12u}) {
                CHECK(read(beside, back).has_value());
                const auto at = data.begin() + static_cast<std::ptrdiff_t>((beside - 2) * sector);
                CHECK(std::equal(back.begin(), back.end(), at));
            }
            CHECK(write(4, data).has_value());
            content again(12 * sector);
            CHECK(read(4, again).has_value());
            CHECK(again == data);
            CHECK(run([&] { return device.discard(end - 1, 2); }).error().code == errc::too_large);
            CHECK(run([&] { return device.discard(end, ~std::uint64_t{0}); }).error().code == errc::too_large);
        }
    }
    SUBCASE("an operation may be given up; its memory is free at once") {
        CHECK(write(3, pattern(sector, 1)).has_value());
        for (int turns = 0; turns < 4; ++turns) {
            std::optional<block_result> out;
            auto room = std::make_unique<content>(sector);
            auto tasks = std::make_unique<nursery>(h.loop());
            (void)tasks->spawn(block_detail::keep([&] { return device.read(3, *room); }, out));
            for (int i = 0; i < turns; ++i)
                h.turn();
            tasks.reset();
            room.reset();
            for (int i = 0; i < 10; ++i)
                h.turn();
        }
        for (int turns = 0; turns < 4; ++turns) { // and a write that waits for its turn, or is under way
            std::vector<std::optional<block_result>> out(device.queue_depth() + 4);
            std::vector<content> rooms(out.size(), pattern(sector, 2));
            nursery tasks{h.loop()};
            for (std::size_t i = 0; i < out.size(); ++i)
                (void)tasks.spawn(block_detail::keep([&, i] { return device.write(7, rooms[i]); }, out[i]));
            for (int i = 0; i < turns; ++i)
                h.turn();
        }
        content back(sector);
        CHECK(read(3, back).has_value());
        CHECK(back == pattern(sector, 1));
    }
    SUBCASE("an empty transfer is nothing, and succeeds") {
        content none;
        CHECK(read(0, none).has_value());
        CHECK(write(0, none).has_value());
    }
}

} // namespace mirage::contract
