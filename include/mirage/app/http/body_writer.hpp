// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/response.hpp"
#include "mirage/core/task.hpp"

namespace mirage::http {

/// A response that can be written piece by piece: what a streaming handler is given. Either it is put together in
/// memory like any other, or: status(), type(), field(); start(); write() as often as needed.
template <class Connection>
class body_writer : public response {
    static constexpr std::size_t batch = 64 * 1024; ///< octets that are sent together
    Connection& connection_;
    std::uint64_t left_ = 0;
    bool chunked_ = false, counted_ = false, mute_ = false;

public:
    body_writer(Connection& c, const request& asked, const response_context& context) noexcept
        : response{c.out, asked, context}, connection_{c} {}

    // The same as in response, with start() at the end of the chain.
    using response::status;
    body_writer& status(http::status s) noexcept {
        response::status(s);
        return *this;
    }
    body_writer& type(std::string_view t) noexcept {
        response::type(t);
        return *this;
    }
    body_writer& field(std::string_view name, std::string_view value) noexcept {
        response::field(name, value);
        return *this;
    }

    /// Sends the head. With a length, exactly as many octets have to follow; without one, the chunked coding is used
    /// (RFC 9112 section 7.1), towards HTTP/1.0 the end of the connection.
    void start(std::optional<std::uint64_t> length = std::nullopt) noexcept {
        check(phase_ == phase::open, "http: a response was started twice");
        touched_ = true;
        mute_ = asked_->is_head() || !allows_content(status_);
        std::array<char, 24> digits;
        if (!allows_content(status_)) {
            head_with({}, {});
        } else if (length) {
            counted_ = true;
            left_ = *length;
            head_with("Content-Length", decimal(*length, digits));
        } else if (asked_->http_1_0()) {
            close();
            head_with({}, {});
        } else {
            chunked_ = true;
            head_with("Transfer-Encoding", "chunked");
        }
        phase_ = phase::streaming;
        drop_content();
        connection_.streaming = true;
    }

    /// Whether written content goes anywhere: not in the answer to HEAD.
    bool wants_content() const noexcept { return !mute_; }

    /// Takes `s` over. Waits while the peer is slower than us. errc::invalid_argument: more than start() was told.
    task<result<>> write(slice s) {
        if (phase_ == phase::open)
            start();
        if (mute_ || s.empty())
            co_return result<>{};
        if (counted_ && s.size() > left_) {
            broken_ = true;
            co_return std::unexpected(errc::invalid_argument);
        }
        if (out_.size() >= batch || !connection_.has_room()) {
            const auto sent = co_await drain();
            if (!sent)
                co_return sent;
        }
        content_ += s.size();
        left_ -= counted_ ? s.size() : 0;
        if (chunked_)
            chunk_size(s.size());
        broken_ |= !out_.put(std::move(s));
        if (chunked_)
            broken_ |= !out_.put("\r\n");
        co_return result<>{};
    }

    /// Copies `text`, which is the caller's again when this is done.
    task<result<>> write(std::string_view text) {
        if (phase_ == phase::open)
            start();
        while (!text.empty() && !mute_) {
            const auto piece = text.substr(0, std::min<std::size_t>(text.size(), 256));
            if (counted_ && piece.size() > left_) {
                broken_ = true;
                co_return std::unexpected(errc::invalid_argument);
            }
            if (out_.size() >= batch || !connection_.has_room()) {
                const auto sent = co_await drain();
                if (!sent)
                    co_return sent;
            }
            content_ += piece.size();
            left_ -= counted_ ? piece.size() : 0;
            if (chunked_)
                chunk_size(piece.size());
            broken_ |= !out_.put(piece);
            if (chunked_)
                broken_ |= !out_.put("\r\n");
            text.remove_prefix(piece.size());
        }
        co_return result<>{};
    }

    /// Lets go what was written so far, without waiting for more of it.
    task<result<>> flush() {
        if (phase_ == phase::open)
            start();
        return drain();
    }

    /// Ends the content; called by the server.
    void end() noexcept {
        if (phase_ != phase::streaming)
            return finish();
        if (counted_ && left_ > 0 && !mute_)
            broken_ = true; // less than was promised: the peer must not take it for all
        if (chunked_ && !mute_)
            broken_ |= !out_.put("0\r\n\r\n");
    }

private:
    task<result<>> drain() {
        const auto sent = co_await connection_.make_room(true);
        broken_ |= !sent;
        co_return sent;
    }
    void chunk_size(std::size_t n) noexcept {
        std::array<char, 18> digits;
        broken_ |= !out_.put(line_builder{digits}.digits(n, 16).put("\r\n").view());
    }
    /// What was put together before start() is not content of a streamed response.
    void drop_content() noexcept {
        if (content_ > 0) {
            out_.drop_after(hole_);
            content_ = 0;
        }
    }
};

} // namespace mirage::http
