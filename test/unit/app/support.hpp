// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/server.hpp"
#include "mirage/app/static_files.hpp"
#include "mirage/async/memory_stream.hpp"
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// A server over streams in memory, on a clock that the test moves.
namespace test {

using namespace mirage;
using namespace std::chrono_literals;

/// 1994-11-06 08:49:37, the example of RFC 9110 section 5.6.7.
inline constexpr http::unix_seconds example_date = 784111777;

struct still_clock {
    instant now() const noexcept { return {}; }
    wall_time wall() const noexcept { return wall_time{std::chrono::seconds{example_date}}; }
};

/// The octets of "/data": 0, 1, 2 ... 255.
inline constexpr auto data = [] {
    std::array<std::byte, 256> o{};
    for (std::size_t i = 0; i < o.size(); ++i)
        o[i] = static_cast<std::byte>(i);
    return o;
}();

inline http::representation form(octets body, std::string_view tag, std::string_view fields) {
    http::representation r{body, tag, fields};
    r.common_at = static_cast<std::uint16_t>(fields.find("ETag:"));
    r.length_at = static_cast<std::uint16_t>(fields.find("Content-Length:"));
    return r;
}

inline const http::static_site& site() {
    static const std::vector<http::static_file> files{
        {.path = "/",
         .identity = form(as_octets("<p>front</p>"), "\"f1\"",
                          "Content-Type: text/html\r\nETag: \"f1\"\r\nVary: Accept-Encoding\r\nContent-Length: 12\r\n\r\n"),
         .gzip = form(as_octets("(gzip)"), "\"f2\"",
                      "Content-Type: text/html\r\nContent-Encoding: gzip\r\nETag: \"f2\"\r\nVary: Accept-Encoding\r\n"
                      "Content-Length: 6\r\n\r\n"),
         .brotli = form(as_octets("(br)"), "\"f3\"",
                        "Content-Type: text/html\r\nContent-Encoding: br\r\nETag: \"f3\"\r\nVary: Accept-Encoding\r\n"
                        "Content-Length: 4\r\n\r\n")},
        {.path = "/data",
         .identity = form(data, "\"d1\"",
                          "Content-Type: application/octet-stream\r\nETag: \"d1\"\r\nContent-Length: 256\r\n\r\n"),
         .modified = example_date},
        {.path = "/docs", .location = "/docs/"},
        {.path = "/404.html",
         .identity = form(as_octets("<p>missing</p>"), "\"m1\"",
                          "Content-Type: text/html\r\nETag: \"m1\"\r\nContent-Length: 14\r\n\r\n")},
    };
    static const auto table = [] {
        struct {
            std::vector<std::uint16_t> slots;
            std::uint32_t seed = 0;
        } t;
        for (bool good = false; !good; ++t.seed) {
            t.slots.assign(16, 0xffff);
            good = true;
            for (std::size_t i = 0; i < files.size(); ++i) {
                auto& slot = t.slots[http::path_hash(files[i].path, t.seed) & 15];
                good = good && slot == 0xffff;
                slot = static_cast<std::uint16_t>(i);
            }
        }
        --t.seed;
        return t;
    }();
    static const http::static_site s{files, table.slots, table.seed, &files[3]};
    return s;
}

/// Answers with the method, the path and the octets of the body; "/mirror" gives the body back.
struct handlers {
    static auto make() {
        return http::router{
            http::files{site()},
            http::get<"/hello">([](const http::request&, http::response& answer) { answer.text("hello\n"); }),
            http::get<"/empty">([](const http::request&, http::response&) {}),
            http::get<"/large">([](const http::request&, http::response& answer) {
                for (int i = 0; i < 100'000; ++i)
                    answer.text("more than there is memory for ");
            }),
            http::get<"/where/*">([](const http::request& asked, http::response& answer) {
                answer.text(asked.path()).text(" ? ").text(asked.query());
            }),
            http::on<"/mirror">(http::method::put | http::method::post,
                                [](auto& asked, auto& answer) { return mirror(asked, answer); }),
            http::on<"/count">(http::method::put | http::method::post,
                               [](auto& asked, auto& answer) { return count(asked, answer); }),
            http::on<"/ignore">(method_post, [](const http::request&, http::response& answer) { answer.text("no\n"); }),
            http::get<"/stream">([](auto& asked, auto& answer) { return stream(asked, answer, std::nullopt); }),
            http::get<"/sized">([](auto& asked, auto& answer) { return stream(asked, answer, 11); }),
            http::get<"/short">([](auto& asked, auto& answer) { return stream(asked, answer, 12); }),
            http::get<"/bulk">([](auto& asked, auto& answer) { return bulk(asked, answer); }),
        };
    }
    static constexpr http::method_set method_post{http::method::post};

    static task<> mirror(auto& asked, auto& answer) {
        answer.type("application/octet-stream").start();
        while (auto piece = co_await asked.read()) {
            const auto sent = co_await answer.write(std::move(*piece));
            if (!sent)
                co_return;
        }
    }
    static task<> count(auto& asked, auto& answer) {
        std::size_t n = 0;
        for (;;) {
            const auto piece = co_await asked.read();
            if (!piece && piece.error() == errc::eof)
                break;
            if (!piece)
                co_return;
            n += piece->size();
        }
        answer.text(std::to_string(n));
    }
    static task<> stream(auto&, auto& answer, std::optional<std::uint64_t> length) {
        answer.start(length);
        (void)co_await answer.write("hello, ");
        (void)co_await answer.write(slice::of_static(std::string_view{"world"}.substr(0, 4)));
    }
    static task<> bulk(auto&, auto& answer) {
        answer.start(std::uint64_t{256} * 4000);
        for (int i = 0; i < 4000; ++i)
            if (const auto sent = co_await answer.write(slice::of_static(octets{data})); !sent)
                co_return;
    }
};

/// A response taken apart.
struct reply {
    int status = 0;
    std::map<std::string, std::string> fields; ///< names in lower case
    std::string body;
};

/// Reads the responses that `text` consists of, by the rules that a client goes by (RFC 9112 section 6.3).
/// `heads[i]`: the i-th answers a HEAD.
inline std::vector<reply> replies(std::string_view text, const std::vector<bool>& heads = {}) {
    std::vector<reply> all;
    while (!text.empty()) {
        reply r;
        REQUIRE(text.starts_with("HTTP/1.1 "));
        r.status = std::stoi(std::string{text.substr(9, 3)});
        const auto end = text.find("\r\n\r\n");
        REQUIRE(end != text.npos);
        auto lines = text.substr(0, end + 2);
        text.remove_prefix(end + 4);
        for (lines.remove_prefix(lines.find("\r\n") + 2); !lines.empty(); lines.remove_prefix(lines.find("\r\n") + 2)) {
            const auto one = lines.substr(0, lines.find("\r\n"));
            const auto colon = one.find(": ");
            REQUIRE(colon != one.npos);
            std::string name{one.substr(0, colon)};
            for (char& c : name)
                c = http::to_lower(c);
            CHECK_MESSAGE(!r.fields.contains(name), name << " twice");
            r.fields[name] = one.substr(colon + 2);
        }
        const bool none = r.status < 200 || r.status == 204 || r.status == 304
                          || (all.size() < heads.size() && heads[all.size()]);
        if (none) {
        } else if (r.fields.contains("transfer-encoding")) {
            for (;;) {
                const auto size = std::stoul(std::string{text.substr(0, text.find("\r\n"))}, nullptr, 16);
                text.remove_prefix(text.find("\r\n") + 2);
                REQUIRE(text.size() >= size + 2);
                r.body += text.substr(0, size);
                CHECK(text.substr(size, 2) == "\r\n");
                text.remove_prefix(size + 2);
                if (size == 0)
                    break;
            }
        } else if (r.fields.contains("content-length")) {
            const auto size = std::stoul(r.fields["content-length"]);
            REQUIRE(text.size() >= size);
            r.body = text.substr(0, size);
            text.remove_prefix(size);
        } else {
            r.body = text;
            text = {};
        }
        all.push_back(std::move(r));
    }
    return all;
}

/// One server and one connection to it.
template <class Stream = async::zero_copy_memory_stream>
class rig {
    using routes_type = decltype(handlers::make());

public:
    scheduler loop;
    still_clock clock;
    buffer_pool pages, received;
    routes_type routes = handlers::make();
    http::server<still_clock, routes_type> server;
    async::memory_wire wire;
    std::string log;

private:
    struct log_writer {
        std::string* text;
        void write(octets o) const { *text += as_text(o); }
    } writer_{&log};
    std::optional<nursery> tasks_;

public:
    explicit rig(const http::limits& l = {}, std::size_t page_count = 16)
        : pages{page_count, 1024}, received{64, 2048}, server{loop, clock, pages, routes, l}, wire{loop, &received} {}

    void log_requests() { server.log_to(writer_); }

    void start() {
        tasks_.emplace(loop);
        REQUIRE(tasks_->spawn(server.serve(Stream{wire})).has_value());
        run();
    }
    void run() {
        while (loop.run_ready()) {
        }
    }
    void say(std::string_view text) {
        wire.feed(text);
        run();
    }
    /// Moves the clock in steps of what is armed.
    void after(duration d) {
        const instant until = loop.now() + d;
        while (loop.next_deadline() <= until) {
            loop.advance(std::max(loop.next_deadline(), loop.now()));
            run();
        }
        loop.advance(until);
        run();
    }
    bool serving() const { return tasks_ && !tasks_->empty(); }
    void destroy() { tasks_.reset(); }
    bool nothing_is_held() const {
        return pages.available() == pages.size() && received.available() == received.size();
    }
    std::vector<reply> heard(const std::vector<bool>& heads = {}) const { return replies(wire.output(), heads); }
};

/// What a server says to `text`, all of which is there from the start.
template <class Stream = async::zero_copy_memory_stream>
std::string answer_to(std::string_view text, std::size_t read_length = async::memory_wire::unlimited,
                      std::size_t write_length = async::memory_wire::unlimited) {
    rig<Stream> r;
    r.wire.next_read_length = read_length;
    r.wire.next_write_length = write_length;
    r.wire.feed(text);
    r.wire.end_input();
    r.start();
    CHECK_FALSE(r.serving());
    CHECK(r.nothing_is_held());
    return std::string{r.wire.output()};
}

/// The only response to `text`.
inline reply only_reply(std::string_view text) {
    const bool head = text.starts_with("HEAD ");
    const auto all = replies(answer_to(text), {head});
    REQUIRE(all.size() == 1);
    return all.front();
}

/// "GET <path> HTTP/1.1", Host, and `fields`, each with its end.
inline std::string get(std::string_view path, std::string_view fields = "") {
    return "GET " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n";
}

} // namespace test
