// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/access_log.hpp"
#include "mirage/app/http/chunked.hpp"
#include "mirage/app/http/counters.hpp"
#include "mirage/app/http/date_cache.hpp"
#include "mirage/app/http/deadline.hpp"
#include "mirage/app/http/limits.hpp"
#include "mirage/app/http/output.hpp"
#include "mirage/async/stream.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/task.hpp"

namespace mirage::http {

/// What the connections of one server share.
struct shared_state {
    scheduler& loop;
    buffer_pool& pages;  ///< for heads and small contents of responses, and for the input of streams that copy
    buffer_pool heads;   ///< for request heads that came in pieces
    http::limits limits;
    http::counters counters{};
    access_log log{};
    date_cache date{};
    event vacancy;

    shared_state(scheduler& s, buffer_pool& p, const http::limits& l) noexcept
        : loop{s}, pages{p}, heads{l.split_heads, l.head.head + 64u}, limits{l}, vacancy{s} {}
};

/// How much of a request's body was read, and how it ends.
struct body_state {
    bool chunked = false, done = true, wants_continue = false;
    std::uint64_t left = 0, received = 0; ///< octets
    instant begun{};
    chunk_decoder chunks;
    std::optional<errc> error;
};

/// One connection: its stream, what was received and not used, what is to be sent. The serving coroutine is in
/// server.hpp; handlers read and write through body_reader and body_writer.
template <async::async_stream Stream>
class connection {
public:
    static constexpr bool zero_copy = async::zero_copy_stream<Stream>;

    shared_state& home;
    Stream stream;
    output out;
    head_parser parser;
    body_state body;
    bool streaming = false; ///< the response's head is written and its content follows: `out` may be sent any time

    connection(shared_state& shared, Stream&& s) noexcept
        : home{shared}, stream{std::move(s)}, out{shared.pages}, parser{home.limits.head} {}

    auto peer() const noexcept {
        if constexpr (requires { stream.remote().address; })
            return stream.remote().address;
        else
            return ipv4_address{};
    }

    /// Octets that were received and belong to nothing yet.
    slice current;

    /// Awaitable: more octets, as result<slice>. errc::timed_out; errc::eof; whatever the stream reports.
    auto receive(instant deadline) noexcept {
        if constexpr (zero_copy)
            return expiring{home.loop, deadline, [this] { return stream.async_receive(); }};
        else
            return receive_copy(deadline);
    }

    /// Parses what there is of a head; a part of one that is already in pieces is put together first.
    head_parser::outcome parse() noexcept {
        if (!split_)
            return parser.parse(current.view());
        const std::size_t n = std::min(current.size(), split_.room().size() - split_size_);
        std::memcpy(split_.room().data() + split_size_, current.data(), n);
        const auto o = parser.parse(octets{split_.room()}.first(split_size_ + n));
        if (o == head_parser::outcome::complete) {
            current.remove_prefix(parser.head().size - split_size_);
            split_size_ = parser.head().size;
        } else {
            split_size_ += static_cast<std::uint32_t>(n);
            current.remove_prefix(n);
        }
        if (current.empty())
            current.reset();
        return o;
    }

    /// An incomplete head moves to memory of its own, so that a slow peer does not pin the device's.
    /// errc::no_buffers: too many such heads.
    result<> keep_incomplete_head() noexcept {
        if (current.empty()) {
            current.reset();
            return {};
        }
        split_ = home.heads.take();
        if (!split_)
            return std::unexpected(errc::no_buffers);
        std::memcpy(split_.room().data(), current.data(), current.size());
        split_size_ = static_cast<std::uint32_t>(current.size());
        current.reset();
        return {};
    }

    std::string_view head_text() const noexcept {
        return as_text(split_ ? octets{split_.room()}.first(split_size_) : head_.empty() ? current.view() : head_.view());
    }

    /// What follows the head becomes the current octets, while the head stays readable.
    void hold_head() noexcept {
        if (split_)
            return;
        head_ = current.share(0, parser.head().size);
        current.remove_prefix(parser.head().size);
        if (current.empty())
            current.reset();
    }
    /// The request is over: its head is no longer needed.
    void drop_head() noexcept {
        if (split_)
            split_ = page{};
        else if (!head_.empty())
            head_.reset();
        else
            current.remove_prefix(parser.head().size);
        if (current.empty())
            current.reset();
    }

    /// A place for a decoded path, for as long as the request lasts.
    std::span<char> path_room(std::size_t n) noexcept {
        path_ = n <= home.pages.buffer_size() ? home.pages.take() : home.heads.take();
        if (!path_)
            return {};
        return {reinterpret_cast<char*>(path_.room().data()), path_.room().size()};
    }
    void drop_path() noexcept { path_ = page{}; }

    instant send_deadline(std::size_t size) const noexcept {
        return home.loop.now() + home.limits.send_timeout
               + std::chrono::seconds{static_cast<std::int64_t>(size / home.limits.least_rate)};
    }

    /// Awaitable: sends everything that waits to be sent, or `instead`, before it. A result<>.
    auto flush(std::span<slice> instead = {}) noexcept {
        if constexpr (zero_copy)
            return sending{*this, instead};
        else
            return send_copies(instead);
    }

    /// Whether a head and a small content can be put together now.
    bool has_room() noexcept { return out.free() >= least_free && out.reserve(head_room) != nullptr; }

    /// Sends what waits, if it is in the way or `at_once`, and waits for memory, until has_room().
    task<result<>> make_room(bool at_once) {
        instant deadline = home.loop.now() + home.limits.send_timeout;
        for (; at_once || !has_room(); at_once = false) {
            if (!out.empty()) {
                const auto sent = co_await flush();
                if (!sent)
                    co_return sent;
                deadline = home.loop.now() + home.limits.send_timeout;
            } else if (!at_once) {
                home.counters.starved.add();
                if (home.loop.now() >= deadline)
                    co_return std::unexpected(errc::no_buffers);
                co_await home.loop.sleep_for(page_wait);
            }
        }
        co_return result<>{};
    }

private:
    /// A response takes its head, its content, and with several ranges twice as many slices and one more.
    static constexpr std::size_t least_free = 12, head_room = 512;
    static constexpr duration page_wait = std::chrono::milliseconds{1};

    std::span<slice> to_send(std::span<slice> instead) noexcept { return instead.empty() ? out.take() : instead; }
    static std::size_t size_of(std::span<const slice> slices) noexcept {
        std::size_t size = 0;
        for (const slice& s : slices)
            size += s.size();
        return size;
    }
    /// Leaves out the lambda's type, which must have a name to be a base.
    struct handing_over {
        connection& from;
        std::span<slice> slices;
        auto operator()() const noexcept { return from.stream.async_send(slices); }
    };
    class sending : expiring<handing_over> {
        connection& from_;
        const bool all_;

    public:
        sending(connection& c, std::span<slice> instead) noexcept
            : sending{c, c.to_send(instead), instead.empty()} {}
        using expiring<handing_over>::await_ready;
        using expiring<handing_over>::await_suspend;
        result<> await_resume() noexcept {
            const result<> sent = expiring<handing_over>::await_resume();
            if (all_)
                from_.out.clear();
            return sent;
        }

    private:
        sending(connection& c, std::span<slice> slices, bool all) noexcept
            : expiring<handing_over>{c.home.loop, c.send_deadline(size_of(slices)), {c, slices}}, from_{c}, all_{all} {}
    };

    // The same for streams that copy.
    task<result<slice>> receive_copy(instant deadline) {
        page room = home.pages.take();
        while (!room) {
            if (home.loop.now() >= deadline)
                co_return std::unexpected(errc::no_buffers);
            co_await home.loop.sleep_for(page_wait);
            room = home.pages.take();
        }
        const auto count = co_await expiring{home.loop, deadline, [&] { return stream.async_read_some(room.room()); }};
        if (!count)
            co_return std::unexpected(count.error());
        co_return std::move(room).freeze(0, *count);
    }
    task<result<>> send_copies(std::span<slice> instead) {
        const bool all = instead.empty();
        const std::span<slice> slices = to_send(instead);
        const instant deadline = send_deadline(size_of(slices));
        result<> sent;
        for (slice& s : slices) {
            while (sent && !s.empty()) {
                const auto n = co_await expiring{home.loop, deadline, [&] { return stream.async_write_some(s.view()); }};
                if (n)
                    s.remove_prefix(*n);
                else
                    sent = std::unexpected(n.error());
            }
        }
        if (all)
            out.clear();
        co_return sent;
    }

    page split_, path_;
    std::uint32_t split_size_ = 0;
    slice head_;
};

/// A request whose body can be read: what a streaming handler is given.
template <class Connection>
class body_reader : public request {
    Connection& connection_;


public:
    body_reader(Connection& c, const request& head) noexcept : request{head}, connection_{c} {}

    /// The next octets of the body, at least one; the chunked coding is taken off. errc::eof when it is complete.
    /// errc::malformed, errc::too_large, errc::timed_out, errc::truncated: it will never be, and the connection ends
    /// after the response. Sends 100 Continue when the client waits for it (RFC 9110 section 10.1.1).
    task<result<slice>> read() {
        auto& c = connection_;
        body_state& body = c.body;
        const auto& limits = c.home.limits;
        for (;;) {
            if (body.error)
                co_return std::unexpected(*body.error);
            if (body.done)
                co_return std::unexpected(errc::eof);
            if (c.current.empty()) {
                if (body.wants_continue) {
                    body.wants_continue = false;
                    std::array<slice, 1> interim{slice::of_static(std::string_view{"HTTP/1.1 100 Continue\r\n\r\n"})};
                    const auto sent = co_await c.flush(interim);
                    if (!sent) {
                        body.error = sent.error();
                        continue;
                    }
                }
                if (c.streaming && !c.out.empty()) {
                    // Whoever answers while he reads must not keep his answer, nor its memory, while he waits.
                    const auto sent = co_await c.flush();
                    c.out.release();
                    if (!sent) {
                        body.error = sent.error();
                        continue;
                    }
                }
                const instant now = c.home.loop.now();
                const instant too_slow
                    = body.begun + limits.send_timeout
                      + std::chrono::seconds{static_cast<std::int64_t>(body.received / limits.least_rate)};
                auto got = co_await c.receive(std::min(now + limits.body_timeout, too_slow));
                if (!got) {
                    body.error = got.error() == errc::eof ? errc::truncated : got.error();
                    continue;
                }
                c.current = std::move(*got);
            }
            body.wants_continue = false;
            slice piece = body.chunked ? next_chunk() : next_piece();
            if (!piece.empty()) {
                body.received += piece.size();
                if (body.received > limits.body)
                    body.error = errc::too_large;
                else
                    co_return std::move(piece);
            }
        }
    }

private:
    slice cut(std::size_t n) noexcept {
        auto& current = connection_.current;
        if (n == current.size())
            return std::move(current);
        slice piece = current.share(0, n);
        current.remove_prefix(n);
        return piece;
    }
    slice next_piece() noexcept {
        body_state& body = connection_.body;
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(body.left, connection_.current.size()));
        body.left -= n;
        body.done = body.left == 0;
        return cut(n);
    }
    slice next_chunk() noexcept {
        body_state& body = connection_.body;
        const auto step = body.chunks.next(connection_.current.view());
        (void)cut(step.skipped);
        body.done = body.chunks.done();
        if (body.chunks.failed())
            body.error = errc::malformed;
        return step.content == 0 ? slice{} : cut(step.content);
    }
};

} // namespace mirage::http
