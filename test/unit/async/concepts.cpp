// SPDX-License-Identifier: MIT
// What each concept accepts and rejects.
#include "mirage/async/archetype.hpp"
#include "mirage/async/memory_stream.hpp"
#include "mirage/async/transfer.hpp"
#include <array>
#include <doctest/doctest.h>
#include <forward_list>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace mirage;
using namespace mirage::async;

template <class... Ts>
struct types {};
template <class... Ts>
constexpr bool all_const(types<Ts...>) { return (const_buffer_sequence<Ts> && ...); }
template <class... Ts>
constexpr bool all_mutable(types<Ts...>) { return (mutable_buffer_sequence<Ts> && ...); }
template <class... Ts>
constexpr bool no_const(types<Ts...>) { return (!const_buffer_sequence<Ts> && ...); }
template <class... Ts>
constexpr bool no_mutable(types<Ts...>) { return (!mutable_buffer_sequence<Ts> && ...); }

using read_only = types<octets, std::array<octets, 2>, std::list<octets>, std::span<const octets>>;
using writable = types<mutable_octets, std::array<mutable_octets, 2>, std::list<mutable_octets>, std::span<mutable_octets>>;
using neither = types<int, std::byte*, std::string, std::string_view, std::vector<std::byte>, std::vector<int>,
                      std::forward_list<octets>, std::vector<std::string_view>>;
static_assert(all_const(read_only{}) && no_mutable(read_only{}));
static_assert(all_const(writable{}) && all_mutable(writable{}));
static_assert(no_const(neither{}) && no_mutable(neither{}));

// executors
struct posts_const {
    void post(const operation&) const noexcept;
};
struct posts_nothing {
    void post() noexcept;
};
struct may_throw {
    void post(operation&);
};
static_assert(executor<scheduler> && executor<posts_const>);
static_assert(!executor<int> && !executor<posts_nothing> && !executor<may_throw>);

// dynamic buffers, by what each lacks
struct cannot_shrink : archetype::dynamic_buffer {
    void shrink(std::size_t) = delete;
};
struct signed_size : archetype::dynamic_buffer {
    int size() const noexcept;
};
struct only_const : archetype::dynamic_buffer {
    archetype::const_buffer_sequence data(std::size_t, std::size_t) const noexcept;
};
struct not_copied : archetype::dynamic_buffer {
    not_copied(const not_copied&) = delete;
};
static_assert(dynamic_buffer<dynamic_octets>);
static_assert(!dynamic_buffer<cannot_shrink> && !dynamic_buffer<signed_size> && !dynamic_buffer<only_const> &&
              !dynamic_buffer<not_copied> && !dynamic_buffer<std::vector<std::byte>>);

// streams
struct without_executor {
    archetype::transfer async_read_some(mutable_octets);
};
struct gives_a_count : archetype::read_stream {
    std::size_t async_read_some(mutable_octets);
};
struct reads_into_const : archetype::read_stream {
    archetype::transfer async_read_some(int);
};
struct executor_may_throw : archetype::write_stream {
    archetype::executor& get_executor();
};
static_assert(async_stream<memory_stream>);
static_assert(!async_read_stream<without_executor> && !async_read_stream<gives_a_count> &&
              !async_read_stream<reads_into_const> && !async_write_stream<executor_may_throw> && !async_stream<int>);

// tokens
using count = result<std::size_t>;
struct ignore_t {};
template <class T>
struct mirage::async::async_result<ignore_t, T> {
    static int initiate(ignore_t, auto&, task<T>) noexcept { return 7; }
};
static_assert(completion_token<use_awaitable_t, count> && completion_token<const use_awaitable_t&, count>);
static_assert(completion_token<void (*)(count), count> && completion_token<void (*)(errc, std::size_t), count>);
static_assert(completion_token<ignore_t, count> && completion_token<void (*)(int), int>);
static_assert(!completion_token<int, count> && !completion_token<void (*)(), count> &&
              !completion_token<void (*)(const char*), count> && !completion_token<void (*)(errc, std::size_t), int>);

TEST_CASE("async: a token of one's own says what the initiating function returns") {
    scheduler loop;
    memory_wire wire{loop};
    memory_stream stream{wire};
    CHECK(async_write(stream, as_octets("abc"), ignore_t{}) == 7);
    CHECK(wire.output().empty());
}

TEST_CASE("async: dynamic_octets grows, shrinks and is consumed within its memory") {
    std::array<std::byte, 8> memory{};
    octet_store store{memory};
    dynamic_octets d{store};
    CHECK(d.max_size() == 8);
    d.grow(6);
    std::ranges::copy(as_octets("abcdef"), d.data(0, 6).begin());
    d.consume(2);
    CHECK(as_text(d.data(0, 100)) == "cdef");
    CHECK(as_text(d.data(1, 2)) == "de");
    CHECK(d.data(4, 1).empty());
    CHECK(d.data(5, 1).empty());
    d.shrink(1);
    CHECK(as_text(std::as_const(d).data(0, 8)) == "cde");
    d.grow(100);
    CHECK(d.size() == 8);
    d.consume(100);
    CHECK(d.size() == 0);
    d.shrink(1);
    CHECK(d.size() == 0);
}
