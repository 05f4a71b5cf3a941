// SPDX-License-Identifier: MIT
#include "support.hpp"
#include <doctest/doctest.h>
#include <future>
#include <list>

using namespace mirage;
using namespace mirage::test;
using namespace std::string_view_literals;

using stream_type = asio_stream<memory_stream>;
using executor = asio_context::executor_type;

// Asio's own word for it.
static_assert(asio::execution::is_executor<executor>::value && asio::is_executor<executor>::value);
static_assert(asio::can_require<executor, asio::execution::blocking_t::never_t>::value);
static_assert(asio::can_query<executor, asio::execution::context_t>::value);
static_assert(std::is_convertible_v<executor, asio::any_io_executor>);
static_assert(std::is_convertible_v<asio_context&, asio::execution_context&>);

namespace {

/// The least that Asio's requirements name: nothing but what they say may be asked of a handler and a sequence.
struct handler_archetype {
    int* calls;
    explicit handler_archetype(int& c) : calls{&c} {}
    handler_archetype(handler_archetype&&) noexcept = default;
    handler_archetype(const handler_archetype&) = delete;
    handler_archetype& operator=(const handler_archetype&) = delete;
    void operator()(const error_code&, std::size_t) { ++*calls; }
};

/// Allocates for a handler, and counts.
template <class T>
struct counting_allocator {
    using value_type = T;
    int* live;
    int* ever;
    counting_allocator(int& l, int& e) noexcept : live{&l}, ever{&e} {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) noexcept : live{other.live}, ever{other.ever} {}
    T* allocate(std::size_t n) {
        ++*live;
        ++*ever;
        return std::allocator<T>{}.allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        --*live;
        std::allocator<T>{}.deallocate(p, n);
    }
    bool operator==(const counting_allocator&) const = default;
};
struct allocating_handler {
    using allocator_type = counting_allocator<std::byte>;
    allocator_type from;
    int* live_at_call;
    allocator_type get_allocator() const noexcept { return from; }
    void operator()(error_code, std::size_t) { *live_at_call = *from.live; }
};

} // namespace

TEST_CASE("asio: a completion never runs inside the call that initiates it") {
    asio_bench bench;
    outcome read, written;
    std::array<char, 8> room{};
    bench.wire.feed("abc");
    bench.stream.async_read_some(asio::buffer(room), read.handler());
    bench.stream.async_write_some(asio::buffer("xyz"sv), written.handler());
    bool posted = false;
    asio::dispatch(bench.context.get_executor(), [&] { posted = true; });
    CHECK(read.calls + written.calls == 0);
    CHECK_FALSE(posted);
    bench.run();
    CHECK(read.calls == 1);
    CHECK_FALSE(read.error);
    CHECK(std::string_view{room.data(), read.count} == "abc");
    CHECK(written.calls == 1);
    CHECK(bench.wire.output() == "xyz");
    CHECK(posted);
}

TEST_CASE("asio: post, defer and dispatch run in order") {
    asio_bench bench;
    std::string order;
    asio::post(bench.context, [&] { order += 'a'; });
    asio::defer(bench.context.get_executor(), [&] { order += 'b'; });
    asio::post(asio::any_io_executor{bench.context.get_executor()}, [&] { order += 'c'; });
    CHECK(order.empty());
    bench.run();
    CHECK(order == "abc");
}

TEST_CASE("asio: a move-only handler and sequences with empty buffers are enough") {
    asio_bench bench;
    int calls = 0;
    std::array<char, 4> room{};
    const std::list<asio::mutable_buffer> in{asio::mutable_buffer{}, asio::buffer(room)};
    const std::list<asio::const_buffer> out{asio::const_buffer{}, asio::buffer("12"sv), asio::buffer("34"sv)};
    bench.wire.feed("qwertz");
    bench.stream.async_read_some(in, handler_archetype{calls});
    bench.stream.async_write_some(out, handler_archetype{calls});
    bench.run();
    CHECK(calls == 2);
    CHECK(std::string_view{room.data(), 4} == "qwer");
    CHECK(bench.wire.output() == "12");

    outcome none;
    bench.stream.async_read_some(asio::mutable_buffer{}, none.handler());
    bench.run();
    CHECK(none.calls == 1);
    CHECK_FALSE(none.error);
    CHECK(none.count == 0);
}

TEST_CASE("asio: composed operations with transfers of one octet") {
    for (const std::size_t length : {std::size_t{1}, std::size_t{3}, memory_wire::unlimited}) {
        asio_bench bench;
        bench.wire.next_read_length = bench.wire.next_write_length = length;
        bench.wire.feed("first line\r\nsecond");
        std::string text;
        outcome line, rest, all;
        asio::async_read_until(bench.stream, asio::dynamic_buffer(text), "\r\n", line.handler());
        bench.run();
        REQUIRE(line.calls == 1);
        CHECK(text.substr(0, line.count) == "first line\r\n");
        text.erase(0, line.count);
        asio::async_read(bench.stream, asio::dynamic_buffer(text), asio::transfer_exactly(6 - text.size()),
                         rest.handler());
        bench.run();
        CHECK(rest.calls == 1);
        CHECK(text == "second");
        asio::async_write(bench.stream, std::array{asio::buffer("one, "sv), asio::buffer("two"sv)}, all.handler());
        bench.run();
        CHECK(all.calls == 1);
        CHECK(all.count == 8);
        CHECK(bench.wire.output() == "one, two");
    }
}

TEST_CASE("asio: a failure at the Nth step, for all N") {
    constexpr std::size_t steps = 12; // of one octet each: "GET /\r\n", and "hello"
    for (std::size_t n = 1; n <= steps + 1; ++n) {
        asio_bench bench;
        bench.wire.next_read_length = bench.wire.next_write_length = 1;
        bench.wire.fail_at = n;
        bench.wire.feed("GET /\r\n");
        std::string line;
        outcome read, written;
        asio::async_read_until(bench.stream, asio::dynamic_buffer(line), "\r\n", read.handler());
        bench.run();
        REQUIRE(read.calls == 1);
        if (!read.error) {
            asio::async_write(bench.stream, asio::buffer("hello"sv), written.handler());
            bench.run();
            REQUIRE(written.calls == 1);
        }
        CHECK((read.error == asio::error::connection_reset) == (n <= 7));
        CHECK((written.error == asio::error::connection_reset) == (n > 7 && n <= steps));
        CHECK(bench.wire.output() == "hello"sv.substr(0, n <= 7 ? 0 : std::min<std::size_t>(n - 8, 5)));
    }
}

TEST_CASE("asio: the reasons of a failure are Asio's") {
    asio_bench bench;
    outcome ended;
    std::array<char, 4> room{};
    bench.wire.end_input();
    asio::async_read(bench.stream, asio::buffer(room), ended.handler());
    bench.run();
    CHECK(ended.error == asio::error::eof);
    CHECK(async::to_error_code(errc::refused) == asio::error::connection_refused);
    const error_code ours = async::to_error_code(errc::bad_checksum);
    CHECK(ours.category() == async::mirage_category());
    CHECK(ours.message() == "bad checksum");
}

TEST_CASE("asio: use_future") {
    asio_bench bench;
    std::array<char, 3> room{};
    auto read = asio::async_read(bench.stream, asio::buffer(room), asio::use_future);
    auto failed = [&] {
        bench.wire.feed("yes");
        bench.run();
        bench.wire.end_input();
        return bench.stream.async_read_some(asio::buffer(room), asio::use_future);
    }();
    bench.run();
    CHECK(read.get() == 3);
    CHECK_THROWS_AS((void)failed.get(), system_error);
}

TEST_CASE("asio: associated executors and allocators are used") {
    asio_bench bench;
    asio::io_context elsewhere;
    outcome read;
    std::array<char, 4> room{};
    bench.wire.feed("hi");
    bench.stream.async_read_some(asio::buffer(room), asio::bind_executor(elsewhere, read.handler()));
    bench.run();
    CHECK(read.calls == 0);
    CHECK(elsewhere.run() == 1); // the work that kept it from stopping is over
    CHECK(read.calls == 1);

    int live = 0, ever = 0, live_at_call = -1;
    bench.stream.async_write_some(asio::buffer("x"sv), allocating_handler{{live, ever}, &live_at_call});
    CHECK(live == 1);
    bench.run();
    CHECK(ever == 1);
    CHECK(live_at_call == 0); // Asio's guarantee: freed before the handler runs
}

TEST_CASE("asio: what waits is cancelled by cancel(), by the end of the stream, and destroyed with the context") {
    asio_bench bench;
    std::array<char, 4> room{};
    outcome read, written;
    bench.wire.block_output(true);
    bench.stream.async_read_some(asio::buffer(room), read.handler());
    bench.stream.async_write_some(asio::buffer("x"sv), written.handler());
    bench.run();
    CHECK(read.calls + written.calls == 0);
    bench.stream.cancel();
    CHECK(read.calls + written.calls == 0);
    bench.run();
    CHECK(read.error == asio::error::operation_aborted);
    CHECK(written.error == asio::error::operation_aborted);
    {
        auto moved = std::move(bench.stream);
        moved.async_read_some(asio::buffer(room), read.handler());
        bench.run();
        CHECK(read.calls == 1);
    }
    bench.run();
    CHECK(read.calls == 2);
    CHECK(bench.wire.destroyed());

    scheduler loop;
    memory_wire wire{loop};
    auto shared = std::make_shared<int>();
    {
        asio_context context{loop};
        auto owned = std::make_shared<stream_type>(context, memory_stream{wire});
        owned->async_read_some(asio::buffer(room), [owned, shared](error_code, std::size_t) { FAIL("not run"); });
        asio::post(context, [shared] { FAIL("not run"); });
        owned.reset();
        CHECK(shared.use_count() == 3);
    }
    CHECK(shared.use_count() == 1);
    drain(loop);
}

#ifdef MIRAGE_ASIO_CANCELLATION_SLOTS
TEST_CASE("asio: one operation is cancelled through its slot") {
    asio_bench bench;
    asio::cancellation_signal stop;
    outcome read, written;
    std::string text;
    bench.wire.feed("half a li");
    asio::async_read_until(bench.stream, asio::dynamic_buffer(text), '\n',
                           asio::bind_cancellation_slot(stop.slot(), read.handler()));
    bench.run();
    CHECK(read.calls == 0);
    bench.stream.async_write_some(asio::buffer("goes on"sv), written.handler());
    stop.emit(asio::cancellation_type::terminal);
    CHECK(read.calls == 0);
    bench.run();
    CHECK(read.calls == 1);
    CHECK(read.error == asio::error::operation_aborted);
    CHECK_FALSE(written.error);
    stop.emit(asio::cancellation_type::terminal); // nobody is left to hear it
    bench.wire.feed("ne\n");
    asio::async_read_until(bench.stream, asio::dynamic_buffer(text), '\n', read.handler());
    bench.run();
    CHECK_FALSE(read.error);
    CHECK(text == "half a line\n");
}

TEST_CASE("asio: deferred") {
    asio_bench bench;
    std::array<char, 4> room{};
    outcome read;
    auto operation = bench.stream.async_read_some(asio::buffer(room), asio::experimental::deferred);
    bench.wire.feed("late");
    bench.run();
    CHECK(bench.wire.unread() == 4); // not before it is called
    std::move(operation)(read.handler());
    bench.run();
    CHECK(read.count == 4);
}
#endif

#if defined(ASIO_HAS_CO_AWAIT) || defined(BOOST_ASIO_HAS_CO_AWAIT)
namespace {
asio::awaitable<void> echo_lines(stream_type& stream, int& lines) {
    std::string text;
    for (;;) {
        const std::size_t n = co_await asio::async_read_until(stream, asio::dynamic_buffer(text), '\n', asio::use_awaitable);
        co_await asio::async_write(stream, asio::buffer(text.data(), n), asio::use_awaitable);
        text.erase(0, n);
        ++lines;
    }
}
} // namespace

TEST_CASE("asio: use_awaitable") {
    asio_bench bench;
    bench.wire.next_read_length = bench.wire.next_write_length = 1;
    int lines = 0;
    bool at_end = false;
    asio::co_spawn(bench.context, echo_lines(bench.stream, lines), [&](std::exception_ptr why) {
        try {
            std::rethrow_exception(why);
        } catch (const system_error& e) {
            at_end = e.code() == asio::error::eof;
        }
    });
    bench.wire.feed("one\ntwo\n");
    bench.run();
    CHECK(lines == 2);
    CHECK(bench.wire.output() == "one\ntwo\n");
    CHECK_FALSE(at_end);
    bench.wire.end_input();
    bench.run();
    CHECK(at_end);
}
#endif
