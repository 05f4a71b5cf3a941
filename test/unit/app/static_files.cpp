// SPDX-License-Identifier: MIT
#include "support.hpp"

using namespace test;

TEST_CASE("files and what is none") {
    CHECK(only_reply(get("/")).body == "<p>front</p>");
    CHECK(only_reply(get("/")).fields.at("content-type") == "text/html");
    CHECK(only_reply(get("/?query")).body == "<p>front</p>");
    CHECK(only_reply(get("/data")).body.size() == 256);
    const auto moved = only_reply(get("/docs"));
    CHECK(moved.status == 301);
    CHECK(moved.fields.at("location") == "/docs/");
    const auto missing = only_reply(get("/nowhere"));
    CHECK(missing.status == 404);
    CHECK(missing.body == "<p>missing</p>");
    CHECK_FALSE(missing.fields.contains("etag"));
    CHECK(only_reply("HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").body.empty());
}

TEST_CASE("the form is chosen by Accept-Encoding (RFC 9110 section 12.5.3)") {
    const auto coding = [](std::string_view accepted) {
        const auto r = only_reply(get("/", "Accept-Encoding: " + std::string{accepted} + "\r\n"));
        CHECK(r.fields.at("vary") == "Accept-Encoding");
        const auto found = r.fields.find("content-encoding");
        return found == r.fields.end() ? std::string{"none"} : found->second;
    };
    CHECK(coding("gzip") == "gzip");
    CHECK(coding("gzip, deflate, br") == "br"); // the smallest of those that are liked alike
    CHECK(coding("br;q=0.5, gzip") == "gzip");
    CHECK(coding("br;q=0, gzip;q=0") == "none");
    CHECK(coding("identity, gzip;q=0.5") == "none");
    CHECK(coding("deflate") == "none");
    CHECK(coding("*") == "br");
    CHECK(coding("*, br;q=0") == "gzip");
    CHECK(coding("") == "none");
    const auto two = only_reply(get("/", "Accept-Encoding: deflate\r\nAccept-Encoding: gzip\r\n"));
    CHECK(two.fields.at("etag") == "\"f2\"");
}

TEST_CASE("If-None-Match and If-Modified-Since (RFC 9110 section 13.1.2, 13.1.3, 13.2.2)") {
    const auto of = [](std::string_view fields) { return only_reply(get("/data", fields)).status; };
    CHECK(of("If-None-Match: \"d1\"\r\n") == 304);
    CHECK(of("If-None-Match: W/\"d1\"\r\n") == 304);
    CHECK(of("If-None-Match: \"x\", \"d1\"\r\n") == 304);
    CHECK(of("If-None-Match: \"x\"\r\nIf-None-Match: \"d1\"\r\n") == 304);
    CHECK(of("If-None-Match: *\r\n") == 304);
    CHECK(of("If-None-Match: \"x\"\r\n") == 200);
    CHECK(of("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == 304);
    CHECK(of("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n") == 200);
    CHECK(of("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n") == 304);
    CHECK(of("If-Modified-Since: whenever\r\n") == 200);
    // the tag decides when there is one
    CHECK(of("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == 200);
    CHECK(only_reply(get("/", "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n")).status == 200); // no date known
    const auto r = only_reply(get("/", "Accept-Encoding: gzip\r\nIf-None-Match: \"f2\"\r\n"));
    CHECK(r.status == 304);
    CHECK(r.fields.at("etag") == "\"f2\"");
    CHECK(r.fields.at("vary") == "Accept-Encoding");
    CHECK_FALSE(r.fields.contains("content-length"));
    CHECK_FALSE(r.fields.contains("content-type"));
    CHECK(only_reply(get("/", "If-None-Match: \"f2\"\r\n")).status == 200); // another form
}

TEST_CASE("If-Match and If-Unmodified-Since (RFC 9110 section 13.1.1, 13.1.4)") {
    const auto of = [](std::string_view fields) { return only_reply(get("/data", fields)).status; };
    CHECK(of("If-Match: \"d1\"\r\n") == 200);
    CHECK(of("If-Match: *\r\n") == 200);
    CHECK(of("If-Match: W/\"d1\"\r\n") == 412);
    CHECK(of("If-Match: \"x\"\r\n") == 412);
    CHECK(of("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == 200);
    CHECK(of("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n") == 412);
    CHECK(of("If-Match: \"d1\"\r\nIf-None-Match: \"d1\"\r\n") == 304);
}

TEST_CASE("one range (RFC 9110 section 14.2, 15.3.7)") {
    const auto r = only_reply(get("/data", "Range: bytes=10-19\r\n"));
    CHECK(r.status == 206);
    CHECK(r.fields.at("content-range") == "bytes 10-19/256");
    CHECK(r.fields.at("content-length") == "10");
    CHECK(r.fields.at("etag") == "\"d1\"");
    CHECK(r.body == as_text(octets{data}.subspan(10, 10)));
    CHECK(only_reply(get("/data", "Range: bytes=-1\r\n")).body == "\xff");
    CHECK(only_reply(get("/data", "Range: bytes=0-\r\n")).fields.at("content-range") == "bytes 0-255/256");
    const auto outside = only_reply(get("/data", "Range: bytes=256-\r\n"));
    CHECK(outside.status == 416); // section 15.5.17
    CHECK(outside.fields.at("content-range") == "bytes */256");
    CHECK(only_reply(get("/data", "Range: lines=1-2\r\n")).status == 200);
    CHECK(only_reply(get("/data", "Range: bytes=0-1\r\nRange: bytes=0-1\r\n")).status == 200);
    CHECK(only_reply("HEAD /data HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n").status == 200); // GET only
    CHECK(only_reply(get("/", "Accept-Encoding: gzip\r\nRange: bytes=1-4\r\n")).body == "gzip"); // of the chosen form
}

TEST_CASE("If-Range (RFC 9110 section 13.1.5)") {
    const auto of = [](std::string_view value) {
        return only_reply(get("/data", "Range: bytes=0-1\r\nIf-Range: " + std::string{value} + "\r\n")).status;
    };
    CHECK(of("\"d1\"") == 206);
    CHECK(of("\"x\"") == 200);
    CHECK(of("W/\"d1\"") == 200);
    CHECK(of("Sun, 06 Nov 1994 08:49:37 GMT") == 206);
    CHECK(of("Sun, 06 Nov 1994 08:49:38 GMT") == 200);
    CHECK(of("nonsense") == 200);
}

TEST_CASE("several ranges (RFC 9110 section 14.6)") {
    const auto r = only_reply(get("/data", "Range: bytes=65-67, 97-99, -1\r\n"));
    CHECK(r.status == 206);
    CHECK(r.fields.at("content-type") == "multipart/byteranges; boundary=d1");
    CHECK_FALSE(r.fields.contains("content-range"));
    CHECK(r.body
          == "\r\n--d1\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 65-67/256\r\n\r\nABC"
             "\r\n--d1\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 97-99/256\r\n\r\nabc"
             "\r\n--d1\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 255-255/256\r\n\r\n\xff"
             "\r\n--d1--\r\n");
    CHECK(only_reply(get("/data", "Range: bytes=0-0,2-2,4-4,6-6,8-8\r\n")).status == 200);
}
