// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/text_table.hpp"
#include <array>
#include <cstdint>
#include <string_view>

namespace mirage::http {

/// Status codes that this server sends, or that its handlers are likely to (RFC 9110 section 15, RFC 6585).
enum class status : std::uint16_t {
    continue_ = 100,
    ok = 200,
    created = 201,
    accepted = 202,
    no_content = 204,
    partial_content = 206,
    moved_permanently = 301,
    found = 302,
    see_other = 303,
    not_modified = 304,
    temporary_redirect = 307,
    permanent_redirect = 308,
    bad_request = 400,
    forbidden = 403,
    not_found = 404,
    method_not_allowed = 405,
    request_timeout = 408,
    conflict = 409,
    length_required = 411,
    precondition_failed = 412,
    content_too_large = 413,
    uri_too_long = 414,
    unsupported_media_type = 415,
    range_not_satisfiable = 416,
    expectation_failed = 417,
    unprocessable_content = 422,
    too_many_requests = 429,
    fields_too_large = 431,
    internal_error = 500,
    not_implemented = 501,
    service_unavailable = 503,
    version_not_supported = 505,
};

namespace detail {
inline constexpr auto reasons = std::to_array<std::string_view>({
    "100 Continue", "200 OK", "201 Created", "202 Accepted", "204 No Content", "206 Partial Content",
    "301 Moved Permanently", "302 Found", "303 See Other", "304 Not Modified", "307 Temporary Redirect",
    "308 Permanent Redirect", "400 Bad Request", "403 Forbidden", "404 Not Found", "405 Method Not Allowed",
    "408 Request Timeout", "409 Conflict", "411 Length Required", "412 Precondition Failed",
    "413 Content Too Large", "414 URI Too Long", "415 Unsupported Media Type", "416 Range Not Satisfiable",
    "417 Expectation Failed", "422 Unprocessable Content", "429 Too Many Requests",
    "431 Request Header Fields Too Large", "500 Internal Server Error", "501 Not Implemented",
    "503 Service Unavailable", "505 HTTP Version Not Supported",
});
/// The codes of `reasons`, read from them.
inline constexpr auto codes = [] {
    std::array<std::uint16_t, reasons.size()> numbers{};
    for (std::size_t i = 0; i < reasons.size(); ++i)
        for (const char digit : reasons[i].substr(0, 3))
            numbers[i] = static_cast<std::uint16_t>(10 * numbers[i] + digit - '0');
    return numbers;
}();
} // namespace detail

/// "200 OK".
constexpr std::string_view code_and_reason(status s) noexcept {
    for (std::size_t i = 0; i < detail::codes.size(); ++i)
        if (detail::codes[i] == static_cast<std::uint16_t>(s))
            return text_table<detail::reasons>::at(i);
    return "500 Internal Server Error";
}

/// 1xx, 204 and 304 never have content (RFC 9110 section 6.4.1).
constexpr bool allows_content(status s) noexcept {
    return static_cast<unsigned>(s) >= 200 && s != status::no_content && s != status::not_modified;
}

} // namespace mirage::http
