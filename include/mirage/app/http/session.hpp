// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/body_writer.hpp"
#include "mirage/app/http/connection.hpp"
#include "mirage/app/http/target.hpp"

namespace mirage::http {

/// What serving one connection remembers, and what it decides between its waits. The waits themselves are in
/// server::serve(), and nothing else is: what stands in a coroutine lives in its frame, and takes room for it.
template <async::async_stream Stream>
class session {
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

    shared_state& home_;
    const limits& limits_;
    std::uint32_t count_ = 0; ///< requests
    head_parser::outcome seen_{};
    bool begun_ = false;        ///< there is a part of a head
    bool has_body_ = false;
    bool rest_of_body_ = false; ///< a part of the request's body is on its way
    bool unread_ = false;       ///< the peer may have sent what we never looked at
    bool left_ = false;         ///< the peer left between requests
    std::optional<status> refusal_;
    std::optional<errc> lost_; ///< nothing sensible can be said any more
    instant deadline_{};
    request_target target_;

public:
    connection<Stream> c;

private:
    presence here_;

    static constexpr status status_of(errc e) noexcept {
        return e == errc::too_large   ? status::content_too_large
               : e == errc::timed_out ? status::request_timeout
                                      : status::bad_request;
    }

    void record(const request* asked, const response& answer) noexcept {
        home_.counters.responses[static_cast<unsigned>(answer.status()) / 100 - 1].add();
        home_.counters.content.add(answer.content_size());
        if (home_.log.enabled()) [[unlikely]]
            home_.log.write(c.peer(), answer.now(), asked, answer.status(), answer.content_size());
    }

public:

    session(shared_state& shared, Stream&& stream) noexcept
        : home_{shared}, limits_{shared.limits}, c{shared, std::move(stream)}, here_{shared} {
        if constexpr (requires { c.stream.no_delay(true); })
            c.stream.no_delay(true); // what can be sent together is sent together already
    }

    instant deadline() const noexcept { return deadline_; }
    std::uint32_t count() const noexcept { return count_; }
    bool has_body() const noexcept { return has_body_; }

    // --- 1. A head.

    /// Begins with the next request: reads what is here already.
    void next() noexcept {
        ++count_;
        c.parser.reset();
        seen_ = c.parse();
        deadline_ = home_.loop.now() + (count_ == 1 ? limits_.head_timeout : limits_.idle_timeout);
        begun_ = false;
        refusal_.reset();
    }
    bool needs_octets() const noexcept { return seen_ == head_parser::outcome::incomplete && !refusal_; }

    /// What became of something that was to be sent: whether serving goes on.
    bool sent(const result<>& how) noexcept {
        if (!how)
            lost_ = how.error();
        return how.has_value();
    }

    /// Before a wait for octets; false: there will be none.
    bool prepare_to_wait() noexcept {
        c.out.release();
        if (!begun_ && c.parser.begun()) {
            begun_ = true;
            deadline_ = home_.loop.now() + limits_.head_timeout;
        }
        if (c.keep_incomplete_head())
            return true;
        refusal_ = status::service_unavailable;
        return false;
    }

    /// What the wait brought.
    bool received(result<slice>&& got) noexcept {
        if (got) {
            c.current = std::move(*got);
            seen_ = c.parse();
            return true;
        }
        const bool late = got.error() == errc::timed_out;
        if (late)
            home_.counters.timeouts.add();
        if (late && begun_)
            refusal_ = status::request_timeout;
        else
            left_ = true; // between requests everybody may leave without a word
        return false;
    }

    bool ends_without_request() const noexcept { return lost_ || left_; }

    // --- 2. Whom it is for.

    request understand() noexcept {
        static constexpr request_head nothing{};
        has_body_ = false;
        target_ = {};
        if (seen_ == head_parser::outcome::failed)
            refusal_ = c.parser.error();
        if (refusal_)
            return {nothing, {}, target_};
        const request_head& head = c.parser.head();
        const std::string_view text = c.head_text();
        const auto parsed = parse_target(head.target.of(text), [this](std::size_t n) { return c.path_room(n); });
        if (!parsed) {
            refusal_ = parsed.error() == errc::too_large ? status::uri_too_long : status::bad_request;
            return {nothing, {}, target_};
        }
        target_ = *parsed;
        const request asked{head, text, target_};
        has_body_ = asked.has_body();
        return asked;
    }

    /// An interim response goes on its own: nothing may wait before it.
    bool must_make_room() noexcept { return (has_body_ && !c.out.empty()) || !c.has_room(); }

    // --- 3. The answer.

    bool may_stay() const noexcept {
        return !refusal_ && c.parser.head().keep_alive && count_ < limits_.requests;
    }

    /// Answers what no handler needs to see; otherwise false.
    bool answered(response& answer) noexcept {
        c.body = {};
        c.streaming = false;
        const request_head& head = c.parser.head();
        if (has_body_) {
            c.body.chunked = head.chunked;
            c.body.left = head.content_length;
            c.body.done = false;
            c.body.wants_continue = head.expects_continue;
            c.body.begun = home_.loop.now();
        }
        if (refusal_)
            answer.fail(*refusal_);
        else if (head.has(field_name::expect) && !head.expects_continue && !head.http_1_0)
            answer.fail(status::expectation_failed);
        else if (has_body_ && !head.chunked && head.content_length > limits_.body)
            answer.fail(status::content_too_large);
        else
            return false;
        return true;
    }

    // --- 4. What is left of the request's body is read away if it is little, for the sake of the connection,
    // but the answer goes first: the peer may wait for it. When 100 was never sent, nobody knows whether the
    // body comes at all (RFC 9110 section 10.1.1).

    bool finish(const request& asked, body_writer<connection<Stream>>& answer) noexcept {
        if (c.body.error && !answer.touched())
            answer.fail(status_of(*c.body.error));
        rest_of_body_ = has_body_ && !c.body.done;
        const bool worth_it = !c.body.error && !c.body.wants_continue && c.body.left <= limits_.drain
                              && c.parser.head().content_length <= limits_.body;
        if (rest_of_body_ && !worth_it)
            answer.close();
        answer.end();
        if (answer.broken()) {
            lost_ = errc::truncated;
            return false;
        }
        record(refusal_ && target_.path.empty() ? nullptr : &asked, answer);
        // The request is over, and its memory free, before the last response waits for a slow peer.
        if (!refusal_)
            c.drop_head();
        c.drop_path();
        return true;
    }
    bool must_send(const response& answer) const noexcept { return rest_of_body_ || !answer.keep_alive(); }

    std::uint64_t most_to_drop() const noexcept { return c.body.received + limits_.drain; }
    bool drops_body(std::uint64_t most) const noexcept { return rest_of_body_ && c.body.received <= most; }
    bool dropped(const result<slice>& piece) noexcept {
        if (!piece && piece.error() == errc::eof)
            rest_of_body_ = false;
        return piece.has_value();
    }

    // --- 5. And on.

    bool goes_on(const response& answer) noexcept {
        if (answer.keep_alive() && !rest_of_body_)
            return true;
        unread_ = rest_of_body_ || refusal_ || !c.current.empty();
        return false;
    }

    /// No more from us. False: nor anything to wait for.
    bool close() noexcept {
        if (lost_) {
            if (*lost_ == errc::timed_out)
                home_.counters.timeouts.add();
            if constexpr (async::closable_stream<Stream>)
                c.stream.abort();
            return false;
        }
        if constexpr (async::closable_stream<Stream>)
            c.stream.shutdown_send();
        deadline_ = home_.loop.now() + limits_.linger_timeout;
        c.current.reset();
        return unread_;
    }
    /// What came after the end, counted and dropped.
    static bool lingers(const result<slice>& got, std::uint64_t& dropped) noexcept {
        dropped += got ? got->size() : 0;
        return got.has_value();
    }
};

} // namespace mirage::http
