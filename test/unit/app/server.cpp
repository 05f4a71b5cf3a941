// SPDX-License-Identifier: MIT
#include "support.hpp"

using namespace test;
using async::memory_stream;
using async::zero_copy_memory_stream;

namespace {

std::string post(std::string_view path, std::string_view body, std::string_view fields = "") {
    return "POST " + std::string{path} + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"
           + std::string{fields} + "\r\n" + std::string{body};
}

/// A conversation with everything in it, for those who cut it into pieces.
const std::string conversation
    = get("/") + get("/hello") + post("/count", "12345") + get("/where/%61?q")
      + "PUT /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n"
      + "HEAD /data HTTP/1.1\r\nHost: a\r\n\r\n" + get("/data", "Range: bytes=3-4\r\n") + get("/stream")
      + "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n" + get("/nothing") + get("/sized", "Connection: close\r\n")
      + "GET / HTTP/1.1\r\nHost: never\r\n\r\n";

void check_conversation(std::string_view output) {
    const auto all = replies(output, {false, false, false, false, false, true});
    REQUIRE(all.size() == 11);
    const int statuses[] = {200, 200, 200, 200, 200, 200, 206, 200, 405, 404, 200};
    for (std::size_t i = 0; i < all.size(); ++i) {
        CAPTURE(i);
        CHECK(all[i].status == statuses[i]);
        CHECK(all[i].fields.contains("date"));
        CHECK(all[i].fields.contains("connection") == (i == 10));
    }
    CHECK(all[0].body == "<p>front</p>");
    CHECK(all[1].body == "hello\n");
    CHECK(all[2].body == "5");
    CHECK(all[3].body == "/where/a ? q");
    CHECK(all[4].body == "abcde");
    CHECK(all[5].fields.at("content-length") == "256");
    CHECK(all[6].body == "\x03\x04");
    CHECK(all[7].body == "hello, worl");
    CHECK(all[8].fields.at("allow") == "GET, HEAD, OPTIONS");
    CHECK(all[9].body == "<p>missing</p>");
    CHECK(all[10].body == "hello, worl");
}

} // namespace

TEST_CASE("pipelined requests are answered in order (RFC 9112 section 9.3.2)") {
    check_conversation(answer_to(conversation));
}

TEST_CASE("it does not matter how octets come and go") {
    for (const std::size_t size : {1u, 2u, 3u, 7u, 64u, 1000u}) {
        CAPTURE(size);
        check_conversation(answer_to<zero_copy_memory_stream>(conversation, size));
        check_conversation(answer_to<memory_stream>(conversation, size));
        check_conversation(answer_to<memory_stream>(conversation, 1000, size));
    }
}

TEST_CASE("small responses to pipelined requests travel together") {
    rig<> r;
    for (int i = 0; i < 5; ++i)
        r.wire.feed(get("/"));
    r.start();
    CHECK(r.heard().size() == 5);
    CHECK(r.wire.sends() == 1);
}

TEST_CASE("a small response is one send, and its content is not copied") {
    rig<> r;
    r.start();
    for (int i = 1; i <= 3; ++i) {
        r.say(get("/data"));
        CHECK(r.wire.sends() == static_cast<std::size_t>(i));
    }
}

TEST_CASE("the Nth operation on the stream fails, for every N: nothing is kept and nothing goes on") {
    const auto attempt = [](auto tag, std::size_t n, errc how) {
        using stream = typename decltype(tag)::type;
        rig<stream> r;
        r.wire.next_read_length = 40;
        r.wire.fail_at = n;
        r.wire.failure = how;
        r.wire.feed(conversation);
        r.wire.end_input();
        r.start();
        r.after(10min);
        CHECK_FALSE(r.serving());
        CHECK(r.nothing_is_held());
        CHECK(r.server.counters().open.value() == 0);
        return r.wire.operations() < n;
    };
    for (const errc how : {errc::reset, errc::eof, errc::timed_out}) {
        std::size_t n = 1;
        while (!attempt(std::type_identity<zero_copy_memory_stream>{}, n, how))
            REQUIRE(++n < 1000);
        CHECK(n > 10);
        n = 1;
        while (!attempt(std::type_identity<memory_stream>{}, n, how))
            REQUIRE(++n < 1000);
    }
}

TEST_CASE("destroyed at any moment, it releases everything") {
    for (std::size_t fed = 0; fed <= conversation.size(); fed += 3) {
        rig<> r;
        r.start();
        r.say(std::string_view{conversation}.substr(0, fed));
        r.destroy();
        CHECK(r.nothing_is_held());
        CHECK(r.wire.destroyed());
    }
}

TEST_CASE("an idle connection holds no memory of any pool") {
    rig<> r;
    r.start();
    CHECK(r.nothing_is_held());
    r.say(get("/hello"));
    CHECK(r.nothing_is_held());
    r.say("GET /hel"); // the beginning of a head is copied away: it does not pin what it came in
    CHECK(r.received.available() == r.received.size());
    r.say("lo HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(r.heard().size() == 2);
    CHECK(r.nothing_is_held());
}

TEST_CASE("methods (RFC 9110 section 9.3 and 15.5.6)") {
    const auto of = [](std::string_view line) {
        return only_reply(std::string{line} + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    };
    CHECK(of("HEAD /hello").status == 200);
    CHECK(of("HEAD /hello").fields.at("content-length") == "6");
    CHECK(of("HEAD /stream").fields.at("transfer-encoding") == "chunked");
    CHECK(of("DELETE /").status == 405);
    CHECK(of("DELETE /").fields.at("allow") == "GET, HEAD, OPTIONS");
    CHECK(of("GET /mirror").fields.at("allow") == "POST, PUT, OPTIONS");
    CHECK(of("OPTIONS /mirror").status == 204);
    CHECK(of("OPTIONS /mirror").fields.at("allow") == "POST, PUT, OPTIONS");
    CHECK_FALSE(of("OPTIONS /mirror").fields.contains("content-length"));
    CHECK(of("OPTIONS *").status == 204);
    CHECK(of("GET *").status == 400);
    CHECK(of("DELETE /nothing").status == 404);
    CHECK(of("POST /mirror").status == 411); // RFC 9110 section 15.5.12
    CHECK(of("BREW /").status == 501);
    CHECK(of("GET /empty").fields.at("content-length") == "0");
}

TEST_CASE("errors are said once, and end the connection") {
    const std::pair<std::string_view, int> rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
        {"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br, chunked\r\n\r\n", 501},
    };
    for (const auto& [text, status] : rows) {
        CAPTURE(text);
        const auto all = replies(answer_to(std::string{text} + get("/hello")));
        REQUIRE(all.size() == 1);
        CHECK(all[0].status == status);
        CHECK(all[0].fields.at("connection") == "close");
    }
    CHECK(only_reply("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n").status == 414);
    CHECK(only_reply(get("/", "X: " + std::string(13000, 'x') + "\r\n")).status == 431);
    const std::string encoded = "/" + std::string(6000, 'x') + "%41";
    CHECK(only_reply(get(encoded, "Connection: close\r\n")).status == 404);
}

TEST_CASE("HTTP/1.0 (RFC 9112 section 9.3, RFC 9110 section 2.5)") {
    const auto plain = only_reply("GET /hello HTTP/1.0\r\n\r\n");
    CHECK(plain.fields.at("connection") == "close");
    CHECK(plain.body == "hello\n");
    const auto all = replies(answer_to("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"));
    REQUIRE(all.size() == 2);
    CHECK(all[0].fields.at("connection") == "keep-alive");
    CHECK(all[1].fields.at("connection") == "close");
    // no chunked coding for those who do not know it: the end of the connection ends the content
    const auto streamed = only_reply("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(streamed.fields.at("connection") == "close");
    CHECK_FALSE(streamed.fields.contains("transfer-encoding"));
    CHECK(streamed.body == "hello, worl");
}

TEST_CASE("bodies") {
    SUBCASE("one that nobody read is read away, for the sake of the connection") {
        const auto all = replies(answer_to(post("/ignore", std::string(10'000, 'x')) + get("/hello")));
        REQUIRE(all.size() == 2);
        CHECK(all[1].body == "hello\n");
    }
    SUBCASE("but not a large one") {
        const auto all = replies(answer_to(post("/ignore", std::string(1'000'000, 'x')) + get("/hello")));
        REQUIRE(all.size() == 1);
        CHECK(all[0].fields.at("connection") == "close");
    }
    SUBCASE("what is no chunked coding is 400, and the end") {
        const auto all = replies(answer_to("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
                                           + get("/hello")));
        REQUIRE(all.size() == 1);
        CHECK(all[0].status == 400);
    }
    SUBCASE("a body that ends early is 400") {
        rig<> r;
        r.wire.feed("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        r.wire.end_input();
        r.start();
        CHECK(r.heard().at(0).status == 400);
    }
    SUBCASE("too large: 413 at once when that was said (RFC 9110 section 15.5.14)") {
        rig<> r{{.body = 100}};
        r.wire.feed("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
        r.start();
        CHECK(r.heard().at(0).status == 413);
        CHECK(r.wire.send_ended());
    }
    SUBCASE("too large: 413 when it turns out") {
        rig<> r{{.body = 100}};
        r.wire.feed("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x')
                    + "\r\n0\r\n\r\n");
        r.start();
        CHECK(r.heard().at(0).status == 413);
    }
    SUBCASE("a large one passes through in pieces, and no more memory than one piece is held") {
        rig<> r;
        r.start();
        r.say("PUT /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        std::string sent;
        for (int i = 0; i < 1000; ++i) {
            sent += std::string(1000, static_cast<char>('a' + i % 26));
            r.say(std::string_view{sent}.substr(sent.size() - 1000));
        }
        const auto all = r.heard();
        REQUIRE(all.size() == 1);
        CHECK(all[0].body == sent);
        CHECK(r.serving());
    }
}

TEST_CASE("Expect: 100-continue (RFC 9110 section 10.1.1)") {
    rig<> r;
    r.start();
    SUBCASE("100 is sent when the body is wanted") {
        r.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        CHECK(r.wire.output() == "HTTP/1.1 100 Continue\r\n\r\n");
        r.say("abc");
        REQUIRE(r.heard().size() == 2);
        CHECK(r.heard()[1].body == "3");
        CHECK(r.serving());
    }
    SUBCASE("not when the body has begun to come") {
        r.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\na");
        CHECK(r.wire.output().empty());
        r.say("bc");
        CHECK(r.heard().at(0).body == "3");
    }
    SUBCASE("not when nobody wants it: then the connection ends, for the body may come or not") {
        r.say("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        REQUIRE(r.heard().size() == 1);
        CHECK(r.heard()[0].fields.at("connection") == "close");
        CHECK(r.wire.send_ended());
    }
    SUBCASE("responses to what came before go first") {
        r.say(get("/hello") + "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        const auto all = r.heard();
        REQUIRE(all.size() == 2);
        CHECK(all[0].body == "hello\n");
        CHECK(all[1].status == 100);
    }
    SUBCASE("other expectations cannot be met") {
        r.say(get("/hello", "Expect: miracles\r\n"));
        CHECK(r.heard().at(0).status == 417);
    }
    SUBCASE("HTTP/1.0 knows nothing of it") {
        r.say("POST /count HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        CHECK(r.wire.output().empty());
    }
}

TEST_CASE("slow peers") {
    rig<> r{{.idle_timeout = 60s, .head_timeout = 10s, .body_timeout = 20s, .send_timeout = 30s}};
    r.start();
    SUBCASE("a head that does not end: 408, however often an octet comes (RFC 9110 section 15.5.9)") {
        r.say("GET / HTTP/1.1\r\n");
        for (int i = 0; i < 9; ++i) {
            r.after(1s);
            r.say("X");
            CHECK(r.wire.output().empty());
        }
        r.after(1100ms);
        REQUIRE(r.heard().size() == 1);
        CHECK(r.heard()[0].status == 408);
        CHECK(r.wire.send_ended());
        CHECK(r.server.counters().timeouts.value() == 1);
    }
    SUBCASE("a connection that was opened and says nothing just ends") {
        r.after(9s);
        CHECK(r.serving());
        r.after(2s);
        CHECK_FALSE(r.serving());
        CHECK(r.wire.output().empty());
    }
    SUBCASE("between requests there is more time") {
        r.say(get("/hello"));
        r.wire.clear_output();
        r.after(59s);
        CHECK(r.serving());
        r.after(2s);
        CHECK_FALSE(r.serving());
        CHECK(r.wire.output().empty());
    }
    SUBCASE("a body that does not come: 408") {
        r.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        r.after(19s);
        CHECK(r.wire.output().empty());
        r.after(2s);
        CHECK(r.heard().at(0).status == 408);
    }
    SUBCASE("a body that comes by the octet, within each deadline but never in time") {
        r.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 29; ++i) {
            r.after(1s);
            r.say("x");
        }
        CHECK(r.wire.output().empty());
        r.after(2s);
        CHECK(r.heard().at(0).status == 408);
    }
    SUBCASE("a peer that does not read is cut") {
        r.wire.block_output(true);
        r.say(get("/data"));
        r.after(29s);
        CHECK(r.serving());
        CHECK_FALSE(r.wire.aborted());
        r.after(2s);
        CHECK_FALSE(r.serving());
        CHECK(r.wire.aborted());
        CHECK(r.pages.available() == r.pages.size());
    }
}

TEST_CASE("what the peer still sends after the last response is read away for a while (RFC 9112 section 9.6)") {
    rig<> r{{.linger_timeout = 2s}};
    r.start();
    r.say("BAD\r\n\r\n");
    CHECK(r.heard().at(0).status == 400);
    CHECK(r.wire.send_ended());
    CHECK(r.serving());
    r.say("more and more");
    CHECK(r.wire.unread() == 0);
    CHECK(r.serving());
    r.after(3s);
    CHECK_FALSE(r.serving());
}

TEST_CASE("memory runs short") {
    SUBCASE("no page for a response: it waits until there is one") {
        rig<> r{{}, 1};
        std::optional<page> taken{r.pages.take()};
        r.start();
        r.say(get("/hello"));
        CHECK(r.wire.output().empty());
        r.after(5ms);
        CHECK(r.wire.output().empty());
        CHECK(r.server.counters().starved.value() > 0);
        taken.reset();
        r.after(5ms);
        CHECK(r.heard().at(0).body == "hello\n");
    }
    SUBCASE("and if there never is, the connection ends") {
        rig<> r{{.send_timeout = 5s}, 1};
        const page taken = r.pages.take();
        r.start();
        r.say(get("/hello"));
        r.after(6s);
        CHECK_FALSE(r.serving());
        CHECK(r.wire.aborted());
    }
    SUBCASE("content that does not fit into memory: 503") { CHECK(only_reply(get("/large")).status == 503); }
    SUBCASE("too many heads in pieces: 503") {
        rig<> r{{.split_heads = 0}};
        r.start();
        r.say("GET / HTTP/1.1\r\n");
        CHECK(r.heard().at(0).status == 503);
    }
}

TEST_CASE("streamed responses") {
    CHECK(only_reply(get("/bulk", "Connection: close\r\n")).body.size() == 256u * 4000);
    CHECK(only_reply(get("/sized")).fields.at("content-length") == "11");
    SUBCASE("less than was promised: the peer must not take it for all") {
        rig<> r;
        r.start();
        r.say(get("/short"));
        CHECK(r.wire.aborted());
        CHECK_FALSE(r.serving());
    }
    SUBCASE("a peer that reads slowly slows the handler, and memory stays bounded") {
        rig<> r;
        r.start();
        r.wire.block_output(true);
        r.say(get("/bulk"));
        CHECK(r.wire.output().empty());
        CHECK(r.pages.available() >= r.pages.size() - 2);
        r.wire.block_output(false);
        r.run();
        CHECK(r.heard().at(0).body.size() == 256u * 4000);
    }
}

TEST_CASE("who answers while he reads keeps neither answer nor memory while he waits") {
    const auto check = [](auto tag) {
        rig<typename decltype(tag)::type> r{{}, 4};
        r.start();
        r.say("PUT /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 100; ++i) {
            r.say("0123456789");
            CHECK(r.wire.output().find("0123456789") != std::string_view::npos);
            CHECK(r.pages.available() >= 2); // at most the pages of the head and of the next read
        }
        CHECK(r.heard().at(0).body.size() == 1000);
    };
    check(std::type_identity<zero_copy_memory_stream>{});
    check(std::type_identity<memory_stream>{});
}

TEST_CASE("a peer that pipelines without end lets others run") {
    rig<> r;
    for (int i = 0; i < 1000; ++i)
        r.wire.feed(get("/hello"));
    r.start();
    CHECK(r.heard().size() == 1000);
}

TEST_CASE("the access log, in the Combined Log Format") {
    rig<> r;
    r.log_requests();
    r.start();
    r.say(get("/hello", "User-Agent: a\"b\\c\x80\r\nReferer: http://x/\r\n"));
    CHECK(r.log == "0.0.0.0 - - [06/Nov/1994:08:49:37 +0000] \"GET /hello HTTP/1.1\" 200 6 \"http://x/\" "
                   "\"a\\x22b\\x5cc\\x80\"\n");
    r.log.clear();
    r.say("nonsense\r\n\r\n");
    CHECK(r.log == "0.0.0.0 - - [06/Nov/1994:08:49:37 +0000] \"-\" 400 16 \"-\" \"-\"\n");
}

TEST_CASE("what a connection costs while it waits") {
    // the state that a frame holds; the frame itself adds the requests' locals
    CHECK(sizeof(http::connection<zero_copy_memory_stream>) <= 1024);
}
