// SPDX-License-Identifier: MIT
#include "support.hpp"
#include "mirage/app/http/chunked.hpp"

using namespace test;

namespace {

/// The path of a target; "!" when it is refused; then "?" and the query when there is one.
std::string path_of(std::string_view target) {
    std::array<char, 256> room{};
    const auto t = http::parse_target(target, [&](std::size_t) { return std::span<char>{room}; });
    if (!t)
        return "!";
    return std::string{t->path} + (t->query.empty() ? "" : "?" + std::string{t->query});
}

} // namespace

TEST_CASE("request targets (RFC 9112 section 3.2)") {
    CHECK(path_of("/") == "/");
    CHECK(path_of("/a/b.html") == "/a/b.html");
    CHECK(path_of("/a?b=c?d") == "/a?b=c?d");
    CHECK(path_of("/a?") == "/a");
    CHECK(path_of("*") == "*");
    CHECK(path_of("http://host/a?b") == "/a?b");
    CHECK(path_of("HTTPS://host:443") == "/");
    CHECK(path_of("http://host?q") == "/?q");
    CHECK(path_of("http:///a") == "!");
    CHECK(path_of("ftp://host/a") == "!");
    CHECK(path_of("host:80") == "!");
    CHECK(path_of("a") == "!");
}

TEST_CASE("percent-encoding is taken off once (RFC 3986 section 2.4)") {
    CHECK(path_of("/%41%62") == "/Ab");
    CHECK(path_of("/%7euser") == "/~user");
    CHECK(path_of("/a%20b") == "/a b");
    CHECK(path_of("/%25") == "/%");
    CHECK(path_of("/%252e%252e") == "/%2e%2e");
    CHECK(path_of("/%c3%a4") == "/\xc3\xa4");
    CHECK(path_of("/?%zz") == "/?%zz"); // the query is the handler's
    for (const auto bad : {"/%", "/%4", "/%zz", "/%4g", "/%00", "/%0a", "/%1f", "/%7f", "/a%2fb", "/a%2Fb", "/%%41"})
        CHECK_MESSAGE(path_of(bad) == "!", bad);
}

TEST_CASE("dot segments (RFC 3986 section 5.2.4), and no way out of the root") {
    CHECK(path_of("/a/./b") == "/a/b");
    CHECK(path_of("/a/../b") == "/b");
    CHECK(path_of("/a/b/../../c") == "/c");
    CHECK(path_of("/a/b/..") == "/a/");
    CHECK(path_of("/a/.") == "/a/");
    CHECK(path_of("/.") == "/");
    CHECK(path_of("/a/..") == "/");
    CHECK(path_of("/.../a") == "/.../a");
    CHECK(path_of("/a/..b") == "/a/..b");
    CHECK(path_of("/.well-known/x") == "/.well-known/x");
    CHECK(path_of("//a//b") == "//a//b");
    CHECK(path_of("/a//../b") == "/a/b");
    CHECK(path_of("/a/%2e%2e/b") == "/b");
    CHECK(path_of("/a/%2E/b") == "/a/b");
    for (const auto bad : {"/..", "/../a", "/a/../../b", "/%2e%2e/a", "/.%2e", "/a/..%2f..", "/./../a"})
        CHECK_MESSAGE(path_of(bad) == "!", bad);
    CHECK(path_of("/a/..\\..\\b") == "/a/..\\..\\b"); // a backslash separates nothing
}

TEST_CASE("a path that does not fit is refused, wherever the end of the room falls") {
    const std::string_view path = "/aa/./b%41/../c//d";
    std::array<char, 32> room{};
    const auto whole = http::normalise_path(path, room);
    REQUIRE(whole.has_value());
    CHECK(*whole == "/aa/c//d");
    for (std::size_t n = 0; n < path.size(); ++n) {
        const auto cut = http::normalise_path(path, std::span<char>{room}.first(n));
        if (!cut)
            CHECK(cut.error() == errc::too_large);
        else
            CHECK(*cut == "/aa/c//d");
    }
}

TEST_CASE("dates (RFC 9110 section 5.6.7)") {
    const auto text = http::format_date(example_date);
    CHECK(std::string_view{text.data(), text.size()} == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http::parse_date("Sun, 06 Nov 1994 08:49:37 GMT") == example_date);
    CHECK(http::parse_date("Sunday, 06-Nov-94 08:49:37 GMT", example_date) == example_date);
    CHECK(http::parse_date("Sun Nov  6 08:49:37 1994") == example_date);
    // a two-digit year more than 50 years ahead is in the past
    const http::unix_seconds in_2026 = 1'795'000'000;
    CHECK(http::parse_date("Sunday, 06-Nov-94 08:49:37 GMT", in_2026) == example_date);
    CHECK(http::parse_date("Wednesday, 06-Nov-30 08:49:37 GMT", in_2026) > in_2026);
    for (const auto bad : {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "0", "yesterday"})
        CHECK_MESSAGE(!http::parse_date(bad), bad);
    for (http::unix_seconds t : {http::unix_seconds{0}, http::unix_seconds{951827696}, http::unix_seconds{4102444799}}) {
        const auto one = http::format_date(t);
        CHECK(http::parse_date({one.data(), one.size()}) == t);
    }
}

TEST_CASE("entity tags in conditions (RFC 9110 section 8.8.3.2, 13.1)") {
    CHECK(http::lists_tag("\"a\"", "\"a\"", false));
    CHECK(http::lists_tag("\"b\", \"a\"", "\"a\"", false));
    CHECK(http::lists_tag("W/\"a\"", "\"a\"", true));
    CHECK_FALSE(http::lists_tag("W/\"a\"", "\"a\"", false));
    CHECK(http::lists_tag("*", "\"a\"", false));
    CHECK_FALSE(http::lists_tag("\"ab\"", "\"a\"", true));
    CHECK_FALSE(http::lists_tag("a", "\"a\"", true));
    CHECK_FALSE(http::lists_tag("\"x, \\\"a\\\"\"", "\"a\"", true));
    CHECK_FALSE(http::lists_tag("", "\"a\"", true));
}

TEST_CASE("ranges (RFC 9110 section 14.1.2)") {
    using kind = http::range_set::outcome;
    const auto of = [](std::string_view text) { return http::parse_range(text, 10000); };
    const auto one = [&](std::string_view text) {
        const auto s = of(text);
        REQUIRE(s.kind == kind::partial);
        REQUIRE(s.count == 1);
        return s.range[0];
    };
    CHECK(one("bytes=0-499") == http::octet_range{0, 500});
    CHECK(one("bytes=500-999") == http::octet_range{500, 500});
    CHECK(one("bytes=-500") == http::octet_range{9500, 500});
    CHECK(one("bytes=9500-") == http::octet_range{9500, 500});
    CHECK(one("bytes=9999-99999999999") == http::octet_range{9999, 1});
    CHECK(one("bytes=-99999") == http::octet_range{0, 10000});
    CHECK(one("Bytes= 0-0 , 10000-") == http::octet_range{0, 1}); // the unsatisfiable one is left out
    CHECK(of("bytes=0-0,-1").count == 2);
    CHECK(of("bytes=10000-").kind == kind::unsatisfiable);
    CHECK(of("bytes=-0").kind == kind::unsatisfiable);
    for (const auto ignored : {"bytes=", "bytes=a-b", "bytes=5-4", "bytes=--1", "bytes 0-1", "lines=0-1", "bytes=1",
                               "bytes=0-1,x", "bytes=-", "bytes=99999999999999999999-"})
        CHECK_MESSAGE(of(ignored).kind == kind::ignore, ignored);
    // section 14.2 and 17.15: more of them, or overlapping ones, are not worth it
    CHECK(of("bytes=0-0,2-2,4-4,6-6").kind == kind::partial);
    CHECK(of("bytes=0-0,2-2,4-4,6-6,8-8").kind == kind::ignore);
    CHECK(of("bytes=0-10,5-20").kind == kind::ignore);
    CHECK(http::parse_range("bytes=0-", 0).kind == kind::unsatisfiable);
}

namespace {

/// Decodes in pieces of `step` octets. "!" when it fails, "..." at the end when it is not complete.
std::string decode(std::string_view text, std::size_t step, std::string_view* rest = nullptr) {
    http::chunk_decoder d;
    std::string out;
    std::size_t at = 0;
    while (at < text.size() && !d.done() && !d.failed()) {
        const auto piece = text.substr(at, step);
        const auto s = d.next(as_octets(piece));
        REQUIRE(s.skipped + s.content <= piece.size());
        REQUIRE(s.skipped + s.content > 0);
        out += piece.substr(s.skipped, s.content);
        at += s.skipped + s.content;
    }
    if (rest != nullptr)
        *rest = text.substr(at);
    return d.failed() ? "!" : d.done() ? out : out + "...";
}

} // namespace

TEST_CASE("the chunked coding (RFC 9112 section 7.1), in pieces of every size") {
    const std::pair<std::string_view, std::string_view> rows[] = {
        {"0\r\n\r\n", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"5\r\nhello\r\n1\r\n \r\n00005\r\nworld\r\n0\r\n\r\n", "hello world"},
        {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
        {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
        {"2;name=value\r\nab\r\n0\r\n\r\n", "ab"},
        {"2 ; name=\"a;b\"\r\nab\r\n0\r\n\r\n", "ab"},
        {"2\r\nab\r\n0\r\nX: y\r\nZ: w\r\n\r\n", "ab"},
        {"2\r\nab\r\n0\r\n", "ab..."},
        {"2\r\na", "a..."},
        {"", "..."},
        {"\r\n", "!"},
        {"x\r\n", "!"},
        {"-1\r\n", "!"},
        {"0x2\r\nab\r\n", "!"},
        {"2\nab\r\n0\r\n\r\n", "!"},          // a bare LF ends no chunk size
        {"2;a\nab\r\n0\r\n\r\n", "!"},        // nor an extension
        {"2\r\nabc\r\n0\r\n\r\n", "!"},       // more than was announced
        {"2\r\nab\n0\r\n\r\n", "!"},
        {"2\r\nab0\r\n\r\n", "!"},
        {"1000000000000000\r\n", "!"},        // no size that large
        {"0\r\nX: y\nZ: w\r\n\r\n", "!"},
        {"0\r\n : y\r\n\r\n", "!"},
        {"2\r\r\nab", "!"},
    };
    for (const auto& [text, expected] : rows)
        for (std::size_t step = 1; step <= text.size() + 1; ++step) {
            CAPTURE(text);
            CAPTURE(step);
            CHECK(decode(text, step) == expected);
        }
    std::string_view rest;
    CHECK(decode("1\r\na\r\n0\r\n\r\nGET /", 100, &rest) == "a");
    CHECK(rest == "GET /");
    CHECK(decode("1;" + std::string(1000, 'x') + "\r\na\r\n0\r\n\r\n", 7) == "!");
    CHECK(decode("0\r\n" + std::string(5000, 'x') + "\r\n\r\n", 7) == "!");
}
