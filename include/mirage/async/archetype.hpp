// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/buffer.hpp"
#include "mirage/async/token.hpp"
#include <array>
#include <coroutine>

/// The weakest type that models each concept of async/: what the concept demands and nothing else. A template that
/// compiles with them asks no more than the concept says. For compilation only: most operations are declared, not
/// defined.
namespace mirage::archetype {

struct executor {
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    void post(operation&) noexcept;
};

/// Something to await, not something to keep.
class transfer {
public:
    transfer(const transfer&) = delete;
    transfer& operator=(const transfer&) = delete;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<>) noexcept;
    result<std::size_t> await_resume() noexcept;
};

struct read_stream {
    read_stream(const read_stream&) = delete;
    read_stream& operator=(const read_stream&) = delete;
    executor& get_executor() noexcept;
    transfer async_read_some(mutable_octets);
};

struct write_stream {
    write_stream(const write_stream&) = delete;
    write_stream& operator=(const write_stream&) = delete;
    executor& get_executor() noexcept;
    transfer async_write_some(octets);
};

/// An element that only converts, in a sequence that is only copied and walked.
template <class Octets>
class buffer_sequence {
    struct element {
        operator Octets() const noexcept;
    };
    std::array<element, 2> elements_;

public:
    buffer_sequence(const buffer_sequence&) = default;
    buffer_sequence& operator=(const buffer_sequence&) = delete;
    const element* begin() const noexcept;
    const element* end() const noexcept;
};
using const_buffer_sequence = buffer_sequence<octets>;
using mutable_buffer_sequence = buffer_sequence<mutable_octets>;

struct dynamic_buffer {
    dynamic_buffer(const dynamic_buffer&) = default;
    dynamic_buffer& operator=(const dynamic_buffer&) = delete;
    std::size_t size() const noexcept;
    std::size_t max_size() const noexcept;
    std::size_t capacity() const noexcept;
    mutable_buffer_sequence data(std::size_t, std::size_t) noexcept;
    const_buffer_sequence data(std::size_t, std::size_t) const noexcept;
    void grow(std::size_t) noexcept;
    void shrink(std::size_t) noexcept;
    void consume(std::size_t) noexcept;
};

/// A handler that is only moved and called, once.
struct completion_handler {
    completion_handler(completion_handler&&) noexcept;
    completion_handler& operator=(completion_handler&&) = delete;
    void operator()(result<std::size_t>) && noexcept;
};

static_assert(async::executor<executor>);
static_assert(async::async_read_stream<read_stream> && !async::async_write_stream<read_stream>);
static_assert(async::async_write_stream<write_stream> && !async::async_read_stream<write_stream>);
static_assert(async::const_buffer_sequence<const_buffer_sequence>);
static_assert(async::mutable_buffer_sequence<mutable_buffer_sequence>);
static_assert(!async::mutable_buffer_sequence<const_buffer_sequence>);
static_assert(async::dynamic_buffer<dynamic_buffer>);
static_assert(async::completion_token<completion_handler, result<std::size_t>>);

} // namespace mirage::archetype
