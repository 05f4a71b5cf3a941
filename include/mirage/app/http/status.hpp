// SPDX-License-Identifier: MIT
#pragma once
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

/// "HTTP/1.1 200 OK": the status line without its end.
constexpr std::string_view status_line(status s) noexcept {
    switch (s) {
    case status::continue_: return "HTTP/1.1 100 Continue";
    case status::ok: return "HTTP/1.1 200 OK";
    case status::created: return "HTTP/1.1 201 Created";
    case status::accepted: return "HTTP/1.1 202 Accepted";
    case status::no_content: return "HTTP/1.1 204 No Content";
    case status::partial_content: return "HTTP/1.1 206 Partial Content";
    case status::moved_permanently: return "HTTP/1.1 301 Moved Permanently";
    case status::found: return "HTTP/1.1 302 Found";
    case status::see_other: return "HTTP/1.1 303 See Other";
    case status::not_modified: return "HTTP/1.1 304 Not Modified";
    case status::temporary_redirect: return "HTTP/1.1 307 Temporary Redirect";
    case status::permanent_redirect: return "HTTP/1.1 308 Permanent Redirect";
    case status::bad_request: return "HTTP/1.1 400 Bad Request";
    case status::forbidden: return "HTTP/1.1 403 Forbidden";
    case status::not_found: return "HTTP/1.1 404 Not Found";
    case status::method_not_allowed: return "HTTP/1.1 405 Method Not Allowed";
    case status::request_timeout: return "HTTP/1.1 408 Request Timeout";
    case status::conflict: return "HTTP/1.1 409 Conflict";
    case status::length_required: return "HTTP/1.1 411 Length Required";
    case status::precondition_failed: return "HTTP/1.1 412 Precondition Failed";
    case status::content_too_large: return "HTTP/1.1 413 Content Too Large";
    case status::uri_too_long: return "HTTP/1.1 414 URI Too Long";
    case status::unsupported_media_type: return "HTTP/1.1 415 Unsupported Media Type";
    case status::range_not_satisfiable: return "HTTP/1.1 416 Range Not Satisfiable";
    case status::expectation_failed: return "HTTP/1.1 417 Expectation Failed";
    case status::unprocessable_content: return "HTTP/1.1 422 Unprocessable Content";
    case status::too_many_requests: return "HTTP/1.1 429 Too Many Requests";
    case status::fields_too_large: return "HTTP/1.1 431 Request Header Fields Too Large";
    case status::internal_error: return "HTTP/1.1 500 Internal Server Error";
    case status::not_implemented: return "HTTP/1.1 501 Not Implemented";
    case status::service_unavailable: return "HTTP/1.1 503 Service Unavailable";
    case status::version_not_supported: return "HTTP/1.1 505 HTTP Version Not Supported";
    }
    return "HTTP/1.1 500 Internal Server Error";
}

/// "200 OK".
constexpr std::string_view code_and_reason(status s) noexcept { return status_line(s).substr(9); }

/// 1xx, 204 and 304 never have content (RFC 9110 section 6.4.1).
constexpr bool allows_content(status s) noexcept {
    return static_cast<unsigned>(s) >= 200 && s != status::no_content && s != status::not_modified;
}

} // namespace mirage::http
