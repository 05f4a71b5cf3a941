// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/core/scheduler.hpp"
#include <concepts>
#include <span>

namespace mirage::async {

namespace detail {
template <class A>
concept has_member_co_await = requires(A&& a) { static_cast<A&&>(a).operator co_await(); };

template <class A>
decltype(auto) awaiter_of(A&& a) {
    if constexpr (has_member_co_await<A>)
        return static_cast<A&&>(a).operator co_await();
    else
        return static_cast<A&&>(a);
}
} // namespace detail

/// `co_await` on an `A` gives a `T`.
template <class A, class T>
concept awaits = requires(A&& a) {
    { detail::awaiter_of(static_cast<A&&>(a)).await_resume() } -> std::same_as<T>;
};

/// Asio's executor requirement as far as streams need it: where completions run. Ours is the scheduler.
template <class E>
concept executor = requires(E& e, operation& op) {
    { e.post(op) } noexcept;
};

/// Asio's AsyncReadStream, with result<n> where Asio says (error_code, n).
///
/// `co_await s.async_read_some(b)` waits for at least one octet and reads at most b.size(). An empty `b` completes
/// at once with 0. errc::eof after an orderly close; errc::reset. `b` stays valid until completion. One read at a
/// time. A completion never runs inside the call that initiates it; data that is there already is no reason
/// to suspend.
template <class S>
concept async_read_stream = requires(S& s, mutable_octets b) {
    { s.get_executor() } noexcept -> executor;
    { s.async_read_some(b) } -> awaits<result<std::size_t>>;
};

/// Asio's AsyncWriteStream. `co_await s.async_write_some(b)` takes at least one octet of `b` (none when it is
/// empty) and says how many; the octets are copied, so `b` is the caller's again on completion. One write at a time.
template <class S>
concept async_write_stream = requires(S& s, octets b) {
    { s.get_executor() } noexcept -> executor;
    { s.async_write_some(b) } -> awaits<result<std::size_t>>;
};

template <class S>
concept async_stream = async_read_stream<S> && async_write_stream<S>;

/// A stream that takes and gives memory instead of copying it.
///
/// `co_await s.async_receive()`      the next octets in order, at least one, as a slice of the memory that the
///                                   device wrote; errc::eof at the orderly end. Dropping it re-opens the window.
/// `co_await s.async_send(slices)`   takes over every slice of the span (they are empty afterwards), in order,
///                                   waiting for room as long as it takes. On error some may have been taken.
template <class S>
concept zero_copy_stream = async_stream<S> && requires(S& s, std::span<slice> slices) {
    { s.async_receive() } -> awaits<result<slice>>;
    { s.async_send(slices) } -> awaits<result<>>;
};

/// A stream whose ends are closed one by one. `shutdown_send()`: what was written goes out, then the end (FIN).
/// `abort()`: at once, both ways (RST). Destroying the stream object closes it gracefully in the background.
template <class S>
concept closable_stream = requires(S& s) {
    { s.shutdown_send() } noexcept;
    { s.abort() } noexcept;
};

} // namespace mirage::async
