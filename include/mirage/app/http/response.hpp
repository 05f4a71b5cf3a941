// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/output.hpp"
#include "mirage/app/http/request.hpp"
#include "mirage/core/line.hpp"
#include <initializer_list>

namespace mirage::http {

/// What every response of a connection says beside what its handler says.
struct response_context {
    std::string_view fields{};    ///< Server and Date, with the end of the status line before them
    std::int64_t now = 0;         ///< Unix seconds
    bool keep_alive = true;       ///< the connection goes on after this response
};

/// An answer that fits into memory: set what is to be said and return. Sent when the handler has returned.
/// Without a word from the handler it is 200 with no content.
class response {
public:
    enum class phase : std::uint8_t { open, queued, streaming };

    response(output& out, const request& asked, const response_context& context) noexcept
        : out_{out}, asked_{&asked}, context_{context}, hole_{out.hole()} {}
    response(const response&) = delete;
    response& operator=(const response&) = delete;

    response& status(http::status s) noexcept {
        status_ = s;
        touched_ = true;
        return *this;
    }
    /// Content-Type; static text, or text that lives as long as the request.
    response& type(std::string_view t) noexcept {
        type_ = t;
        return *this;
    }
    /// One more field; at most three, further ones are ignored. Lives as long as the request; no line ends in it.
    response& field(std::string_view name, std::string_view value) noexcept {
        if (extra_count_ < extra_.size())
            extra_[extra_count_++] = {name, value};
        return *this;
    }
    /// Adds text to the content; copies it.
    response& text(std::string_view t) noexcept {
        touched_ = true;
        if (out_.free() < 2 || !out_.put(t))
            overflow_ = true;
        content_ += t.size();
        return *this;
    }
    response& text(std::initializer_list<std::string_view> pieces) noexcept {
        for (const auto piece : pieces)
            text(piece);
        return *this;
    }
    /// Adds octets to the content without copying them.
    response& body(slice s) noexcept {
        touched_ = true;
        content_ += s.size();
        if (out_.free() < 2 || !out_.put(std::move(s)))
            overflow_ = true;
        return *this;
    }
    /// The connection ends with this response.
    response& close() noexcept {
        context_.keep_alive = false;
        return *this;
    }

    http::status status() const noexcept { return status_; }
    std::uint64_t content_size() const noexcept { return content_; } ///< octets of content sent so far
    bool keep_alive() const noexcept { return context_.keep_alive; }
    bool touched() const noexcept { return touched_; }
    bool broken() const noexcept { return broken_; } ///< nothing sensible can be sent any more
    phase state() const noexcept { return phase_; }
    std::int64_t now() const noexcept { return context_.now; }

    /// Answers with a status and a line of text instead of whatever was put together so far.
    void fail(http::status s) noexcept {
        if (phase_ != phase::open) {
            broken_ = true;
            return;
        }
        restart();
        status(s).type("text/plain; charset=utf-8");
        if (allows_content(s))
            text(code_and_reason(s)).text("\n");
    }

    /// For those who write whole heads (static files): a head of status, Server, Date, Connection and `parts`, which
    /// end in an empty line, then `content` unless the request was HEAD.
    void raw(http::status s, std::initializer_list<std::string_view> parts, slice content = {}) noexcept {
        status_ = s;
        touched_ = true;
        head({parts.begin(), parts.size()});
        if (!asked_->is_head() && !content.empty()) {
            content_ = content.size();
            broken_ |= !out_.put(std::move(content));
        }
    }

    /// The same for content that text() and body() have put together already.
    void raw_head(http::status s, std::initializer_list<std::string_view> parts) noexcept {
        status_ = s;
        if (overflow_)
            return;
        head({parts.begin(), parts.size()});
        if (asked_->is_head()) {
            out_.drop_after(hole_);
            content_ = 0;
        }
    }

    /// Formats the head of a response that is in memory. Called by the server.
    void finish() noexcept {
        if (phase_ != phase::open)
            return;
        if (overflow_) {
            overflow_ = false;
            fail(http::status::service_unavailable);
        }
        std::array<char, 24> digits;
        const auto length = decimal(content_, digits);
        if (!allows_content(status_))
            head_with({}, {});
        else
            head_with("Content-Length", length);
        if (asked_->is_head() || !allows_content(status_)) {
            out_.drop_after(hole_);
            content_ = 0;
        }
    }

protected:
    output& out_;
    const request* asked_;
    response_context context_;
    std::size_t hole_;
    http::status status_ = http::status::ok;
    phase phase_ = phase::open;
    bool touched_ = false, overflow_ = false, broken_ = false;
    std::uint8_t extra_count_ = 0;
    std::uint64_t content_ = 0;
    std::string_view type_{"text/plain; charset=utf-8"};
    std::array<std::array<std::string_view, 2>, 3> extra_{};

    static std::string_view decimal(std::uint64_t value, std::array<char, 24>& room) noexcept {
        return line_builder{room}.digits(value).view();
    }

    void restart() noexcept {
        out_.drop_after(hole_);
        overflow_ = false;
        content_ = 0;
        extra_count_ = 0;
    }

    /// Status line, Server, Date, Connection, `parts`.
    void head(std::span<const std::string_view> parts) noexcept {
        out_.seal(); // text of the content that is no slice yet stays where it is
        constexpr std::string_view version{"HTTP/1.1 "};
        const auto line = code_and_reason(status_);
        const std::string_view connection = !context_.keep_alive ? "Connection: close\r\n"
                                            : asked_->http_1_0() ? "Connection: keep-alive\r\n"
                                                                 : "";
        std::size_t size = version.size() + line.size() + context_.fields.size() + connection.size();
        for (const auto part : parts)
            size += part.size();
        char* at = out_.reserve(size);
        if (at == nullptr) {
            broken_ = true;
            return;
        }
        const auto put = [&at](std::string_view text) {
            at = std::copy(text.begin(), text.end(), at);
        };
        put(version);
        put(line);
        put(context_.fields);
        put(connection);
        for (const auto part : parts)
            put(part);
        out_.commit(size);
        out_.fill(hole_);
        phase_ = phase::queued;
    }

    /// The head of what a handler said, with one more field.
    void head_with(std::string_view name, std::string_view value) noexcept {
        std::array<std::string_view, 4 * (1 + 3 + 1) + 2> parts;
        std::size_t count = 0;
        const auto add = [&](std::string_view n, std::string_view v) {
            if (n.empty())
                return;
            parts[count] = n;
            parts[count + 1] = ": ";
            parts[count + 2] = v;
            parts[count + 3] = "\r\n";
            count += 4;
        };
        if (allows_content(status_)) {
            add("Content-Type", type_);
            parts[count++] = "X-Content-Type-Options: nosniff\r\n";
        }
        for (const auto& [n, v] : extra_)
            add(n, v);
        add(name, value);
        parts[count++] = "\r\n";
        head(std::span{parts}.first(count));
    }
};

} // namespace mirage::http
