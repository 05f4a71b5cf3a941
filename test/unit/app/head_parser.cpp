// SPDX-License-Identifier: MIT
#include "support.hpp"

using namespace test;
using http::head_parser;
using http::status;

namespace {

constexpr http::head_limits limits{};

/// Parses all at once, and then octet by octet: both must say the same. 0: complete, 1: incomplete.
int parse(std::string_view text, http::request_head* out = nullptr, const http::head_limits& l = limits) {
    head_parser whole{l};
    const auto o = whole.parse(as_octets(text));
    head_parser pieces{l};
    auto p = head_parser::outcome::incomplete;
    std::size_t n = 0;
    while (p == head_parser::outcome::incomplete && n < text.size())
        p = pieces.parse(as_octets(text.substr(0, ++n)));
    CHECK(p == o);
    if (o == head_parser::outcome::complete)
        CHECK(pieces.head().size == whole.head().size);
    if (o == head_parser::outcome::failed && p == o)
        CHECK(pieces.error() == whole.error());
    if (out != nullptr)
        *out = whole.head();
    return o == head_parser::outcome::complete     ? 0
           : o == head_parser::outcome::incomplete ? 1
                                                   : static_cast<int>(whole.error());
}

struct row {
    const char* rule;
    std::string_view text;
    int expected;
};

} // namespace

TEST_CASE("request lines (RFC 9112 section 3)") {
    const row rows[] = {
        {"origin-form", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", 0},
        {"a later minor version is ours too: RFC 9110 section 2.5", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", 0},
        {"another major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"HTTP/0.9", "GET /\r\n", 400},
        {"no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"tab as separator", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"octet outside ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"version with two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
        {"space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"unknown method: RFC 9110 section 9.1", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"methods are case-sensitive", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"empty lines before it: section 2.2", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"empty lines without end", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 400},
        {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"bare LF before it", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"TLS", "\x16\x03\x01\x02", 400},
        {"nothing yet", "", 1},
        {"half a line", "GET / HT", 1},
    };
    for (const auto& r : rows) {
        CAPTURE(r.rule);
        CHECK(parse(r.text) == r.expected);
    }
}

TEST_CASE("field lines (RFC 9112 section 5)") {
    const auto with = [](std::string_view lines) {
        return parse("GET / HTTP/1.1\r\nHost: a\r\n" + std::string{lines} + "\r\n");
    };
    const row rows[] = {
        {"empty value", "X:\r\n", 0},
        {"white space around the value", "X: \t v \t\r\n", 0},
        {"octets outside ASCII in a value: RFC 9110 section 5.5", "X: \xff\r\n", 0},
        {"space before the colon: section 5.1", "X : v\r\n", 400},
        {"tab before the colon", "X\t: v\r\n", 400},
        {"no colon", "X\r\n", 400},
        {"empty name", ": v\r\n", 400},
        {"obs-fold: section 5.2", "X: v\r\n w\r\n", 400},
        {"obs-fold with a tab", "X: v\r\n\tw\r\n", 400},
        {"bare LF: section 2.2", "X: v\nY: w\r\n", 400},
        {"bare CR", "X: v\rY: w\r\n", 400},
        {"CR CR LF", "X: v\r\r\n", 400},
        {"NUL: RFC 9110 section 5.5", std::string_view{"X: \0v\r\n", 8}, 400},
        {"DEL", "X: \x7f\r\n", 400},
        {"octet outside ASCII in a name", "X\xc3: v\r\n", 400},
    };
    for (const auto& r : rows) {
        CAPTURE(r.rule);
        CHECK(with(r.text) == r.expected);
    }
}

TEST_CASE("Host (RFC 9112 section 3.2)") {
    CHECK(parse("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(parse("GET / HTTP/1.1\r\nHost:\r\n\r\n") == 0);
    CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    CHECK(parse("GET / HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n") == 0);
    CHECK(parse("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == 400);
    CHECK(parse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == 400);
    CHECK(parse("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n") == 400);
}

TEST_CASE("where a message ends, and how not to be talked into something else (RFC 9112 section 6)") {
    const auto with = [](std::string_view lines, http::request_head* head = nullptr) {
        return parse("POST / HTTP/1.1\r\nHost: a\r\n" + std::string{lines} + "\r\n", head);
    };
    const row rows[] = {
        {"both lengths: section 6.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"both, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
        {"both, the length 0", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400},
        {"two lengths that differ: section 6.3", "Content-Length: 5\r\nContent-Length: 6\r\n", 400},
        {"two lengths that agree", "Content-Length: 5\r\nContent-Length: 5\r\n", 0},
        {"a list of lengths that agree", "Content-Length: 5, 5\r\n", 0},
        {"a list of lengths that differ", "Content-Length: 5, 6\r\n", 400},
        {"a list with a hole", "Content-Length: 5,\r\n", 400},
        {"empty length", "Content-Length:\r\n", 400},
        {"signed length", "Content-Length: +5\r\n", 400},
        {"negative length", "Content-Length: -5\r\n", 400},
        {"hexadecimal length", "Content-Length: 0x5\r\n", 400},
        {"length with white space inside", "Content-Length: 5 5\r\n", 400},
        {"length that no integer holds", "Content-Length: 99999999999999999999999\r\n", 400},
        {"chunked is not last: section 6.3", "Transfer-Encoding: chunked, gzip\r\n", 400},
        {"chunked twice: section 7.1", "Transfer-Encoding: chunked, chunked\r\n", 400},
        {"chunked twice, on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"no chunked at all", "Transfer-Encoding: gzip\r\n", 400},
        {"identity was withdrawn", "Transfer-Encoding: identity\r\n", 400},
        {"a coding that we do not know: section 6.1", "Transfer-Encoding: gzip, chunked\r\n", 501},
        {"not quite chunked", "Transfer-Encoding: xchunked\r\n", 400},
        {"chunked behind a vertical tab", "Transfer-Encoding: \x0b" "chunked\r\n", 400},
        {"empty", "Transfer-Encoding:\r\n", 400},
        {"codings are case-insensitive", "Transfer-Encoding: Chunked\r\n", 0},
        {"a space before the colon hides nothing", "Transfer-Encoding : chunked\r\n", 400},
    };
    for (const auto& r : rows) {
        CAPTURE(r.rule);
        CHECK(with(r.text) == r.expected);
    }
    CHECK(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400); // section 6.1
    http::request_head head;
    CHECK(with("Content-Length: 123456789012\r\n", &head) == 0);
    CHECK(head.content_length == 123456789012u);
    CHECK(with("transfer-encoding: chunked\r\n", &head) == 0);
    CHECK(head.chunked);
}

TEST_CASE("who keeps the connection (RFC 9112 section 9.3)") {
    const auto kept = [](std::string_view version, std::string_view lines) {
        http::request_head head;
        REQUIRE(parse("GET / " + std::string{version} + "\r\nHost: a\r\n" + std::string{lines} + "\r\n", &head) == 0);
        return head.keep_alive;
    };
    CHECK(kept("HTTP/1.1", ""));
    CHECK_FALSE(kept("HTTP/1.1", "Connection: close\r\n"));
    CHECK_FALSE(kept("HTTP/1.1", "Connection: keep-alive, Close\r\n"));
    CHECK_FALSE(kept("HTTP/1.1", "Connection: x\r\nConnection: close\r\n"));
    CHECK_FALSE(kept("HTTP/1.0", ""));
    CHECK(kept("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    CHECK_FALSE(kept("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST_CASE("how much a head may be (RFC 9110 section 15.5.15, RFC 6585 section 5)") {
    const http::head_limits small{.request_line = 40, .head = 120, .fields = 3};
    const auto of = [&](std::string_view text) { return parse(text, nullptr, small); };
    CHECK(of("GET /" + std::string(20, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(of("GET /" + std::string(40, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
    CHECK(of("GET /" + std::string(40, 'x')) == 414);
    CHECK(of("GET /" + std::string(26, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0); // 40 octets, without CRLF
    CHECK(of("GET /" + std::string(27, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
    CHECK(of(std::string(200, 'G')) == 414);
    CHECK(of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100, 'x') + "\r\n\r\n") == 431);
    CHECK(of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(200, 'x')) == 431);
    CHECK(of("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n") == 0);
    CHECK(of("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\nZ: 3\r\n\r\n") == 431);
    // RFC 9112 section 3: request lines of 8000 octets are served
    CHECK(parse("GET /" + std::string(7980, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
}

TEST_CASE("fields that the server understands, and any other") {
    const std::string text = get("/x", "Range: bytes=0-1\r\nUSER-AGENT: me \r\nIf-None-Match: \"a\"\r\n"
                                       "If-None-Match: \"b\"\r\nX-Own: 1\r\nx-own: 2\r\nAccept-Encoding: gzip;q=0.5\r\n");
    head_parser p{limits};
    REQUIRE(p.parse(as_octets(text)) == head_parser::outcome::complete);
    const http::request r{p.head(), text, {}};
    CHECK(r.field(http::field_name::range) == "bytes=0-1");
    CHECK(r.field(http::field_name::user_agent) == "me");
    CHECK(r.field(http::field_name::if_none_match) == "\"a\"");
    CHECK(p.head().is_repeated(http::field_name::if_none_match));
    CHECK_FALSE(r.has(http::field_name::if_range));
    CHECK(r.field("x-own") == "1");
    CHECK_FALSE(r.field("x-other").has_value());
    CHECK(r.line() == "GET /x HTTP/1.1");
    CHECK(p.head().codings.weight_of_gzip() == 500);
    std::string lines;
    r.for_each_line("x-own", [&](std::string_view v) {
        lines += v;
        return true;
    });
    CHECK(lines == "12");
}

TEST_CASE("control characters are found at every place of a word") {
    for (std::size_t size = 0; size < 40; ++size)
        for (std::size_t at = 0; at < size; ++at)
            for (const char c : {'\0', '\x1f', '\x7f', '\r'}) {
                std::string text(size, '\t');
                for (std::size_t i = 0; i < size; ++i)
                    text[i] = static_cast<char>(i % 2 == 0 ? 0x80 + i : 0xff - i);
                text[at] = c;
                const char* const begin = text.data();
                CHECK(http::detail::find_control(begin, begin + size) == begin + at);
            }
    const std::string clean = "a\tb c \x80\xff~!abcdefgh\t\t\t\t\t\t\t\t\t";
    CHECK(http::detail::find_control(clean.data(), clean.data() + clean.size()) == clean.data() + clean.size());
}

TEST_CASE("weights of codings (RFC 9110 section 12.4.2 and 12.5.3)") {
    const auto of = [](std::string_view value) {
        http::acceptable_codings c;
        c.add(value);
        return c;
    };
    CHECK(of("gzip").weight_of_gzip() == 1000);
    CHECK(of("gzip").weight_of_brotli() == 0);
    CHECK(of("br;q=0.123, gzip ; q=1.000").weight_of_brotli() == 123);
    CHECK(of("*").weight_of_brotli() == 1000);
    CHECK(of("*;q=0").weight_of_identity() == 0);
    CHECK(of("*;q=0, identity;q=0.5").weight_of_identity() == 500);
    CHECK(of("").weight_of_identity() == 1);
    CHECK(of("gzip;q=1.5").weight_of_gzip() == 0);
    CHECK(of("gzip;q=0.1234").weight_of_gzip() == 0);
    CHECK(of("gzip;quality=1").weight_of_gzip() == 0);
    CHECK(of("x-gzip, GZIP;q=0").weight_of_gzip() == 0);
}
