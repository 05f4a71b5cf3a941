// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/head_parser.hpp"
#include "mirage/app/http/target.hpp"

namespace mirage::http {

/// A request as far as its head goes. Everything it gives borrows from the head, which lives until the handler ends.
class request {
    const request_head* head_;
    std::string_view text_;
    request_target target_;

public:
    request(const request_head& head, std::string_view text, request_target target) noexcept
        : head_{&head}, text_{text}, target_{target} {}

    http::method method() const noexcept { return head_->method; }
    /// Percent-decoded and normalised; begins with "/". "*" when OPTIONS asks about the whole server.
    std::string_view path() const noexcept { return target_.path; }
    /// Behind the first "?", as it was sent.
    std::string_view query() const noexcept { return target_.query; }
    std::string_view line() const noexcept { return head_->request_line.of(text_); }
    const request_head& head() const noexcept { return *head_; }
    bool is_head() const noexcept { return method() == http::method::head; }
    bool http_1_0() const noexcept { return head_->http_1_0; }

    /// Whether a body follows (RFC 9112 section 6.3); its length when that was said.
    bool has_body() const noexcept { return head_->chunked || head_->content_length > 0; }
    std::optional<std::uint64_t> content_length() const noexcept {
        return head_->chunked ? std::nullopt : std::optional{head_->content_length};
    }

    /// A field that the server itself understands: its first line; empty when it is not there.
    std::string_view field(field_name f) const noexcept {
        return head_->fields[static_cast<std::size_t>(f)].of(text_);
    }
    bool has(field_name f) const noexcept { return head_->has(f); }

    /// Calls `each(value)` for every line of the field `name` (in lower case) until one call gives false.
    template <class Each>
    void for_each_line(std::string_view name, Each each) const noexcept {
        std::string_view rest = text_.substr(head_->fields_at, head_->size - head_->fields_at - 2u);
        while (!rest.empty()) {
            const auto end = rest.find("\r\n");
            const auto one = rest.substr(0, end);
            const auto colon = one.find(':');
            if (equals_lower(one.substr(0, colon), name) && !each(trim(one.substr(colon + 1))))
                return;
            rest.remove_prefix(end + 2);
        }
    }
    /// The first line of any field; `name` in lower case.
    std::optional<std::string_view> field(std::string_view name) const noexcept {
        std::optional<std::string_view> found;
        for_each_line(name, [&](std::string_view value) {
            found = value;
            return false;
        });
        return found;
    }
};

} // namespace mirage::http
