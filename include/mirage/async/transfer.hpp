// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/buffer.hpp"
#include "mirage/async/token.hpp"
#include <string_view>

namespace mirage::async {

namespace detail {

template <class S, class B>
task<result<std::size_t>> read_all(S& stream, B buffers) {
    std::size_t done = 0;
    for (auto room = piece_at<mutable_octets>(buffers, 0); !room.empty(); room = piece_at<mutable_octets>(buffers, done)) {
        const result<std::size_t> read = co_await stream.async_read_some(room);
        if (!read)
            co_return read;
        done += *read;
    }
    co_return done;
}

template <class S, class B>
task<result<std::size_t>> write_all(S& stream, B buffers) {
    std::size_t done = 0;
    for (auto text = piece_at<octets>(buffers, 0); !text.empty(); text = piece_at<octets>(buffers, done)) {
        const result<std::size_t> written = co_await stream.async_write_some(text);
        if (!written)
            co_return written;
        done += *written;
    }
    co_return done;
}

/// Whether `delimiter` lies at `position`, wherever the pieces of the buffer end.
template <class D>
bool lies_at(const D& buffer, std::size_t position, std::string_view delimiter) noexcept {
    for (std::size_t i = 0; i < delimiter.size(); ++i) {
        const octets o = piece_at<octets>(buffer.data(position + i, 1), 0);
        if (o.empty() || o.front() != static_cast<std::byte>(delimiter[i]))
            return false;
    }
    return true;
}

template <class S, class D>
task<result<std::size_t>> read_to_delimiter(S& stream, D buffer, std::string_view delimiter) {
    constexpr std::size_t most = 512; ///< octets asked for at a time
    for (std::size_t looked = 0;;) {
        for (; looked + delimiter.size() <= buffer.size(); ++looked)
            if (lies_at(std::as_const(buffer), looked, delimiter))
                co_return looked + delimiter.size();
        const std::size_t size = buffer.size(), room = std::min(most, buffer.max_size() - size);
        if (room == 0)
            co_return std::unexpected(errc::not_found);
        buffer.grow(room);
        const result<std::size_t> read =
            co_await stream.async_read_some(piece_at<mutable_octets>(buffer.data(size, room), 0));
        buffer.shrink(room - (read ? *read : 0));
        if (!read)
            co_return read;
    }
}

} // namespace detail

/// Asio's async_read: fills all of `buffers`. The count is theirs; an error, errc::eof among them, when the stream
/// failed before. The stream and the memory outlive the operation.
template <async_read_stream S, mutable_buffer_sequence B, completion_token<result<std::size_t>> Token = use_awaitable_t>
auto async_read(S& stream, B buffers, Token token = {}) noexcept {
    return async_initiate<result<std::size_t>>(std::move(token), stream.get_executor(),
                                               detail::read_all(stream, std::move(buffers)));
}

/// Asio's async_write: all of `buffers`, or an error; then some may have been written.
template <async_write_stream S, const_buffer_sequence B, completion_token<result<std::size_t>> Token = use_awaitable_t>
auto async_write(S& stream, B buffers, Token token = {}) noexcept {
    return async_initiate<result<std::size_t>>(std::move(token), stream.get_executor(),
                                               detail::write_all(stream, std::move(buffers)));
}

/// Asio's async_read_until: reads into `buffer` until it holds `delimiter`; the count is of the octets up to its end.
/// There may be more behind it. errc::not_found when the buffer is full without it; on any error what was read stays
/// in the buffer. The text of `delimiter` outlives the operation.
template <async_read_stream S, dynamic_buffer D, completion_token<result<std::size_t>> Token = use_awaitable_t>
auto async_read_until(S& stream, D buffer, std::string_view delimiter, Token token = {}) noexcept {
    return async_initiate<result<std::size_t>>(std::move(token), stream.get_executor(),
                                               detail::read_to_delimiter(stream, std::move(buffer), delimiter));
}

} // namespace mirage::async
