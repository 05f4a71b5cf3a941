// SPDX-License-Identifier: MIT
// A client that says anything, cut anywhere: the server gives everything back when it is over, answers with what a
// client can read, and says the same however the octets came.
#include "mirage/app/http/server.hpp"
#include "mirage/app/static_files.hpp"
#include "mirage/async/memory_stream.hpp"
#include "support/fuzz.hpp"
#include <string>

using namespace mirage;
using fuzz::expect;

namespace {

struct still_clock {
    instant now() const noexcept { return {}; }
    wall_time wall() const noexcept { return wall_time{std::chrono::seconds{784111777}}; }
};

constexpr std::string_view fields = "Content-Type: text/html\r\nETag: \"x\"\r\nContent-Length: 16\r\n\r\n";
const http::static_file file{.path = "/",
                             .identity = {as_octets("0123456789abcdef"), "\"x\"", fields, 25, 36},
                             .gzip = {as_octets("0123456789abcdef"), "\"x\"", fields, 25, 36},
                             .modified = 784111777};

task<> mirror(auto& asked, auto& answer) {
    answer.start();
    while (auto piece = co_await asked.read())
        if (const auto sent = co_await answer.write(std::move(*piece)); !sent)
            co_return;
}
task<> count(auto& asked, auto& answer) {
    std::uint64_t n = 0;
    for (;;) {
        const auto piece = co_await asked.read();
        if (!piece && piece.error() != errc::eof)
            co_return;
        if (!piece)
            break;
        expect(!piece->empty(), "a piece of a body without an octet");
        fuzz::touch(piece->view());
        n += piece->size();
    }
    line<24> text;
    text << n;
    answer.text(text.view());
}

/// The sizes of the pieces that the client's text comes in: the octets of a string, over and over.
template <class Stream>
std::string converse(octets text, octets sizes, errc end) {
    scheduler loop;
    still_clock clock;
    buffer_pool pages{12, 1024}, received{24, 512};
    std::string log;
    http::router routes{
        http::get<"/">([](const http::request& asked, http::response& answer) { http::send_file(asked, answer, file); }),
        http::get<"/path/*">([](const http::request& asked, http::response& answer) {
            answer.text(asked.path()).text(asked.query());
            asked.for_each_line("x-one", [&](std::string_view value) {
                answer.text(value);
                return true;
            });
        }),
        http::on<"/mirror">(http::method::put | http::method::post,
                            [](auto& asked, auto& answer) { return mirror(asked, answer); }),
        http::on<"/count">(http::method::put | http::method::post,
                           [](auto& asked, auto& answer) { return count(asked, answer); }),
        http::on<"/ignore">(http::method::get | http::method::post, [](const http::request&, http::response& answer) {
            answer.text("ignored");
        })};
    http::server server{loop, clock, pages, routes,
                        {.head = {.request_line = 200, .head = 700, .fields = 12}, .body = 3000, .drain = 500}};
    struct {
        std::string* text;
        void write(octets o) const { *text += as_text(o); }
    } sink{&log};
    server.log_to(sink);
    async::memory_wire wire{loop, &received};
    std::string output;
    {
        nursery tasks{loop};
        (void)tasks.spawn(server.serve(Stream{wire}));
        const auto run = [&] {
            while (loop.run_ready()) {
            }
        };
        run();
        for (std::size_t i = 0; !text.empty(); ++i) {
            const auto size = sizes.empty() ? text.size() : std::to_integer<std::size_t>(sizes[i % sizes.size()]) + 1;
            wire.feed(text.first(std::min(size, text.size())));
            text = text.subspan(std::min(size, text.size()));
            run();
        }
        wire.end_input(end);
        run();
        for (int i = 0; i < 100 && !tasks.empty(); ++i) { // only memory or a linger can keep it
            loop.advance(std::max(loop.next_deadline() == never ? loop.now() : loop.next_deadline(), loop.now()));
            run();
        }
        expect(tasks.empty(), "a connection outlives its peer");
        output = wire.output();
    }
    expect(pages.available() == pages.size(), "a page is kept");
    expect(received.available() == received.size(), "a received page is kept");
    expect(output.empty() || output.starts_with("HTTP/1.1 "), "an answer that begins with something else");
    for (const char c : log)
        expect(c == '\n' || (c >= 0x20 && c < 0x7f), "the log carries what a peer must not put there");
    return output;
}

/// Without an error at the end that closes the connection: whether it is seen before the peer leaves, and which error
/// it is, may depend on how much was there to look at.
std::string_view without_last_error(std::string_view text) {
    const auto last = text.rfind("HTTP/1.1 ");
    const bool error = last != text.npos && text.size() > last + 9 && text[last + 9] >= '4'
                       && text.find("Connection: close", last) != text.npos;
    return error ? text.substr(0, last) : text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // the first line says how to cut what follows it
    const auto all = as_text(fuzz::input(data, size));
    const auto end = all.find('\n');
    if (end == all.npos)
        return 0;
    const octets sizes = as_octets(all.substr(0, end)), text = as_octets(all.substr(end + 1));
    const auto whole = converse<async::zero_copy_memory_stream>(text, {}, errc::eof);
    const auto cut = converse<async::zero_copy_memory_stream>(text, sizes, errc::eof);
    const auto copied = converse<async::memory_stream>(text, sizes, errc::reset);
    // whether 100 is sent, and where the chunks of a mirrored body end, may depend on the cuts
    if (all.find("xpect") == all.npos && all.find("mirror") == all.npos) {
        expect(without_last_error(whole) == without_last_error(cut), "the answer depends on how the request came");
        expect(without_last_error(cut) == without_last_error(copied), "the kinds of streams differ");
    }
    return 0;
}
