// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/nursery.hpp"
#include "mirage/device/block.hpp"
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
    }
    SUBCASE("transfers that are not whole sectors are refused") {
        content odd(sector + 1), half(sector / 2);
        CHECK(read(0, odd).error() == block_error{errc::invalid_argument, 0});
        CHECK(read(3, half).error() == block_error{errc::invalid_argument, 3});
    }
    SUBCASE("past the end nothing is transferred") {
        content two = pattern(2 * sector, 9);
        const content before = two;
        CHECK(read(end - 1, two).error().code == errc::too_large);
        CHECK(read(end, two).error().code == errc::too_large);
        CHECK(read(end + 1, two).error().code == errc::too_large);
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
    SUBCASE("several operations may be under way at once") {
        std::array<std::optional<block_result>, 8> done;
        std::vector<content> data;
        for (unsigned i = 0; i < 8; ++i)
            data.push_back(pattern(sector, i + 10));
        {
            nursery tasks{h.loop()};
            for (std::size_t i = 0; i < 8; ++i)
                (void)tasks.spawn(block_detail::keep([&, i] { return device.write(i * 2, data[i]); }, done[i]));
            for (int turns = 0; !tasks.empty() && turns < 1'000'000; ++turns)
                h.turn();
            CHECK(tasks.empty());
        }
        for (std::size_t i = 0; i < 8; ++i) {
            REQUIRE(done[i].has_value());
            CHECK(done[i]->has_value());
            content back(sector);
            CHECK(read(i * 2, back).has_value());
            CHECK(back == data[i]);
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
