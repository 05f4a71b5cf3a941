// SPDX-License-Identifier: MIT
#include "mirage/async/transfer.hpp"
#include "../core/support.hpp"
#include "mirage/async/memory_stream.hpp"
#include <array>
#include <doctest/doctest.h>
#include <list>
#include <optional>

using namespace mirage;
using namespace mirage::async;
using namespace std::string_view_literals;

namespace {

using count = result<std::size_t>;

/// A line, then an exact number of octets, then an answer: every composed operation, in one sequence of steps.
struct exchange {
    scheduler loop;
    memory_wire wire{loop};
    memory_stream stream{wire};
    std::array<std::byte, 32> memory{};
    octet_store store{memory};
    std::array<std::byte, 3> first{};
    std::array<std::byte, 2> second{};
    const std::array<octets, 3> answer{as_octets("an"), octets{}, as_octets("swer")};
    std::optional<count> line, exact, written;

    task<> body() {
        line = co_await async_read_until(stream, dynamic_octets{store}, "\r\n");
        if (!*line)
            co_return;
        const std::list<mutable_octets> rooms{first, mutable_octets{}, second};
        exact = co_await async_read(stream, rooms);
        if (!*exact)
            co_return;
        written = co_await async_write(stream, answer);
    }
    void run() {
        test::runner whole{body()};
        test::drain(loop);
        CHECK(whole.ended());
    }
};

} // namespace

TEST_CASE("async: composed operations with transfers of one octet") {
    exchange x;
    x.wire.next_read_length = x.wire.next_write_length = 1;
    x.wire.feed("a\rb\r\r\nhello");
    x.run();
    CHECK(**x.line == 6);
    CHECK(as_text(octets{x.memory}.first(x.store.size)) == "a\rb\r\r\n");
    CHECK(**x.exact == 5);
    CHECK(as_text(x.first) == "hel");
    CHECK(as_text(x.second) == "lo");
    CHECK(**x.written == 6);
    CHECK(x.wire.output() == "answer");
    CHECK(x.wire.operations() == 17);
}

TEST_CASE("async: a failure at the Nth step, for all N") {
    for (std::size_t n = 1; n <= 17; ++n) {
        exchange x;
        x.wire.next_read_length = x.wire.next_write_length = 1;
        x.wire.fail_at = n;
        x.wire.feed("a\rb\r\r\nhello");
        x.run();
        const auto failed = [](const std::optional<count>& c) { return c && !*c && c->error() == errc::reset; };
        CHECK(failed(x.line) == (n <= 6));
        CHECK(failed(x.exact) == (n > 6 && n <= 11));
        CHECK(failed(x.written) == (n > 11));
        CHECK(x.store.size == std::min<std::size_t>(n - 1, 6)); // what was read before stays
        CHECK(x.wire.output() == "answer"sv.substr(0, n <= 11 ? 0 : n - 12));
        CHECK(x.wire.operations() == n);
    }
}

TEST_CASE("async: the delimiter is there already, or never comes") {
    exchange x;
    x.wire.feed("one\r\ntwo\r\n");
    std::optional<count> found;
    const auto until = [&]() -> task<> { found = co_await async_read_until(x.stream, dynamic_octets{x.store}, "\r\n"); };
    { test::runner r{until()}; }
    CHECK(**found == 5);
    CHECK(x.store.size == 10); // more may be there
    dynamic_octets{x.store}.consume(**found);
    { test::runner r{until()}; }
    CHECK(**found == 5);
    CHECK(x.wire.operations() == 1);

    x.store.size = 0;
    x.wire.feed("this is one octet too long for it");
    { test::runner r{until()}; }
    CHECK(found->error() == errc::not_found);
    CHECK(x.store.size == x.memory.size());
    x.store.size = 0;
    x.wire.end_input();
    { test::runner r{until()}; }
    CHECK(found->error() == errc::eof);
    CHECK(x.store.size == 1);
}

TEST_CASE("async: nothing to transfer needs no stream") {
    exchange x;
    std::optional<count> done;
    const auto none = [&]() -> task<> { done = co_await async_read(x.stream, mutable_octets{}); };
    test::runner r{none()};
    CHECK(**done == 0);
    CHECK(x.wire.operations() == 0);
}

TEST_CASE("async: a handler is called from the loop, never inside the initiating call") {
    exchange x;
    std::optional<count> heard;
    errc error = errc::io;
    std::size_t n = 0;
    x.wire.feed("abc");
    CHECK(async_read(x.stream, mutable_octets{x.first}, [&](count c) { heard = c; }));
    CHECK(async_write(x.stream, as_octets("xyz"), [&](errc e, std::size_t c) { error = e, n = c; }));
    CHECK_FALSE(heard);
    CHECK(n == 0);
    test::drain(x.loop);
    CHECK(**heard == 3);
    CHECK(error == errc{});
    CHECK(n == 3);
    x.wire.end_input();
    CHECK(async_read(x.stream, mutable_octets{x.first}, [&](errc e, std::size_t c) { error = e, n = c; }));
    test::drain(x.loop);
    CHECK(error == errc::eof);
    CHECK(n == 0);
}
