// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/body_writer.hpp"
#include "mirage/app/http/connection.hpp"
#include "mirage/app/http/router.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/clock.hpp"

namespace mirage::http {

/// An HTTP/1.1 server (RFC 9110, RFC 9112) over streams of any kind. `Handler` is a router, or any callable that
/// http::invoke() can call. Everything given by reference must outlive the server, and the server its tasks.
template <clock Clock, class Handler>
class server {
    shared_state shared_;
    const Clock& clock_;
    Handler& handler_;

public:
    /// `pages`: a pool of buffers of at least 1024 octets; one per connection that is being answered is enough.
    server(scheduler& loop, const Clock& clk, buffer_pool& pages, Handler& handler,
           const http::limits& l = {}) noexcept
        : shared_{loop, pages, l}, clock_{clk}, handler_{handler} {
        check(pages.size() != 0 && pages.buffer_size() >= 1024, "http::server: no memory for pages of 1024 octets");
    }

    http::counters& counters() noexcept { return shared_.counters; }
    /// Where the access log goes; nowhere, as long as this is not called.
    void log_to(octet_sink sink) noexcept { shared_.log = access_log{sink}; }

    /// Accepts connections and serves each in a task of `tasks`, until the listener is closed or cannot listen.
    template <class Listener>
    task<> run(Listener& listener, nursery& tasks) {
        for (;;) {
            while (shared_.counters.open.value() >= shared_.limits.connections)
                co_await shared_.vacancy.wait();
            auto accepted = co_await listener.accept();
            if (!accepted) {
                if (accepted.error() != errc::no_buffers && accepted.error() != errc::would_block)
                    co_return;
                co_await shared_.loop.sleep_for(std::chrono::milliseconds{10}); // memory is short: it comes back
                continue;
            }
            (void)tasks.spawn(serve(std::move(*accepted))); // without memory for it the connection just ends
        }
    }

    /// Serves one connection until it ends. Takes the stream over.
    template <async::async_stream Stream>
    task<> serve(Stream stream) {
        connection<Stream> c{shared_, std::move(stream)};
        if constexpr (requires { c.stream.no_delay(true); })
            c.stream.no_delay(true); // what can be sent together is sent together already
        const presence here{shared_};
        const limits& limits = shared_.limits;
        bool unread = false;      // the peer may have sent what we never looked at
        bool left = false;        // the peer left between requests
        std::optional<errc> lost; // nothing sensible can be said any more
        for (std::uint32_t count = 1;; ++count) {
            // 1. A head. Responses to what came before it go out when we have to wait for it.
            c.parser.reset();
            auto seen = c.parse();
            instant deadline = shared_.loop.now() + (count == 1 ? limits.head_timeout : limits.idle_timeout);
            bool begun = false;
            std::optional<status> refusal;
            while (seen == head_parser::outcome::incomplete && !refusal) {
                if (!c.out.empty()) {
                    result<> sent;
                    if constexpr (connection<Stream>::zero_copy) {
                        const instant limit = c.send_deadline(c.out.size());
                        sent = co_await expiring{shared_.loop, limit, c.stream.async_send(c.out.take())};
                        c.out.clear();
                    } else {
                        sent = co_await c.flush();
                    }
                    if (!sent) {
                        lost = sent.error();
                        break;
                    }
                }
                c.out.release();
                if (!begun && c.parser.begun()) {
                    begun = true;
                    deadline = shared_.loop.now() + limits.head_timeout;
                }
                if (!c.keep_incomplete_head()) {
                    refusal = status::service_unavailable;
                    break;
                }
                result<slice> got = std::unexpected(errc::eof);
                if constexpr (connection<Stream>::zero_copy)
                    got = co_await expiring{shared_.loop, deadline, c.stream.async_receive()};
                else
                    got = co_await c.receive(deadline);
                if (got) {
                    c.current = std::move(*got);
                    seen = c.parse();
                    continue;
                }
                if (got.error() != errc::timed_out || !begun) {
                    if (got.error() == errc::timed_out)
                        shared_.counters.timeouts.add();
                    left = true; // between requests everybody may leave without a word
                    break;
                }
                shared_.counters.timeouts.add();
                refusal = status::request_timeout;
            }
            if (lost || left)
                break;
            if (seen == head_parser::outcome::failed)
                refusal = c.parser.error();

            // 2. Whom it is for.
            const request_head& head = c.parser.head();
            const std::string_view text = refusal ? std::string_view{} : c.head_text();
            request_target target;
            if (!refusal) {
                const auto parsed
                    = parse_target(head.target.of(text), [&c](std::size_t n) { return c.path_room(n); });
                if (parsed)
                    target = *parsed;
                else
                    refusal = parsed.error() == errc::too_large ? status::uri_too_long : status::bad_request;
            }
            static constexpr request_head nothing{};
            const request plain{refusal ? nothing : head, refusal ? std::string_view{} : text, target};
            body_reader<connection<Stream>> asked{c, plain};
            const bool has_body = !refusal && asked.has_body();
            if ((has_body && !c.out.empty()) || !c.has_room()) {
                // an interim response goes on its own: nothing may wait before it
                const auto room = co_await c.make_room(has_body);
                if (!room) {
                    lost = room.error();
                    break;
                }
            }

            // 3. The answer.
            const auto fields = shared_.date.fields(shared_.loop.now(), clock_);
            const bool stay = !refusal && head.keep_alive && count < limits.requests;
            body_writer<connection<Stream>> answer{c, asked, {fields, shared_.date.wall(), stay}};
            c.body = {};
            c.streaming = false;
            task<> rest;
            if (has_body) {
                c.body.chunked = head.chunked;
                c.body.left = head.content_length;
                c.body.done = false;
                c.body.wants_continue = head.expects_continue;
                c.body.begun = shared_.loop.now();
            }
            if (refusal)
                answer.fail(*refusal);
            else if (head.has(field_name::expect) && !head.expects_continue && !head.http_1_0)
                answer.fail(status::expectation_failed);
            else if (has_body && !head.chunked && head.content_length > limits.body)
                answer.fail(status::content_too_large);
            else
                rest = invoke(handler_, asked, answer);
            if (rest || has_body) {
                c.hold_head();
                if (rest)
                    co_await rest;
                rest.reset();
                if (c.body.error && !answer.touched())
                    answer.fail(status_of(*c.body.error));
            }

            // 4. What is left of the request's body is read away if it is little, for the sake of the connection,
            // but the answer goes first: the peer may wait for it. When 100 was never sent, nobody knows whether the
            // body comes at all (RFC 9110 section 10.1.1).
            const bool rest_of_body = has_body && !c.body.done;
            const bool worth_it = !c.body.error && !c.body.wants_continue && c.body.left <= limits.drain
                                  && head.content_length <= limits.body;
            if (rest_of_body && !worth_it)
                answer.close();
            answer.end();
            if (answer.broken()) {
                lost = errc::truncated;
                break;
            }
            record(c, refusal && target.path.empty() ? nullptr : &asked, answer);
            // The request is over, and its memory free, before the last response waits for a slow peer.
            if (!refusal)
                c.drop_head();
            c.drop_path();
            if (rest_of_body || !answer.keep_alive()) {
                const auto sent = co_await c.flush();
                if (!sent) {
                    lost = sent.error();
                    break;
                }
            }
            bool whole = !rest_of_body;
            if (rest_of_body && answer.keep_alive()) {
                for (const auto most = c.body.received + limits.drain; !whole && c.body.received <= most;) {
                    const auto piece = co_await asked.read();
                    whole = !piece && piece.error() == errc::eof;
                    if (!piece)
                        break;
                }
            }

            // 5. And on.
            if (!answer.keep_alive() || !whole) {
                unread = !whole || refusal.has_value() || !c.current.empty();
                break;
            }
            if (count % burst == 0)
                co_await shared_.loop.yield(); // a peer that pipelines without end does not keep out the others
        }
        if (lost)
            co_return cut(c, *lost);
        finish(c);
        // RFC 9112 section 9.6: a reset would destroy the response on its way; let the peer see it first.
        const instant until = shared_.loop.now() + limits.linger_timeout;
        for (std::uint64_t dropped = 0; unread && dropped < limits.drain;) {
            c.current.reset();
            const auto got = co_await c.receive(until);
            unread = got.has_value();
            dropped += got ? got->size() : 0;
        }
    }

private:
    static constexpr std::uint32_t burst = 64;

    /// Counts the connection as long as it lives.
    struct presence {
        shared_state& home;
        explicit presence(shared_state& s) noexcept : home{s} {
            home.counters.connections.add();
            home.counters.open.add();
        }
        presence(const presence&) = delete;
        ~presence() {
            home.counters.open.add(-1);
            home.vacancy.set();
        }
    };

    static constexpr status status_of(errc e) noexcept {
        return e == errc::too_large   ? status::content_too_large
               : e == errc::timed_out ? status::request_timeout
                                      : status::bad_request;
    }

    /// No more from us.
    template <class Connection>
    static void finish(Connection& c) noexcept {
        if constexpr (async::closable_stream<decltype(c.stream)>)
            c.stream.shutdown_send();
    }
    /// Nothing sensible can be said any more.
    template <class Connection>
    void cut(Connection& c, errc why) noexcept {
        if (why == errc::timed_out)
            shared_.counters.timeouts.add();
        if constexpr (async::closable_stream<decltype(c.stream)>)
            c.stream.abort();
    }

    template <class Connection>
    void record(Connection& c, const request* asked, const response& answer) noexcept {
        shared_.counters.responses[static_cast<unsigned>(answer.status()) / 100].add();
        shared_.counters.content.add(answer.content_size());
        if (shared_.log.enabled()) [[unlikely]]
            shared_.log.write(c.peer(), answer.now(), asked, answer.status(), answer.content_size());
    }
};

} // namespace mirage::http
