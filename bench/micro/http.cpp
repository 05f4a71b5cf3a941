// SPDX-License-Identifier: MIT
// What a request costs between two streams: the server's whole way from the octets of a head to the slices of the
// response, over a stream in memory that does nothing. Prints nanoseconds per request.
#include "mirage/app/http/server.hpp"
#include "mirage/app/static_files.hpp"
#include "mirage/async/memory_stream.hpp"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

using namespace mirage;

struct wall_clock {
    instant now() const noexcept { return {}; }
    wall_time wall() const noexcept { return wall_time{std::chrono::seconds{784111777}}; }
};

constexpr std::string_view content = "<!doctype html><title>Page</title><p>A page of a few octets.</p>";
constexpr std::string_view fields = "Content-Type: text/html; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
                                    "Accept-Ranges: bytes\r\nETag: \"0123456789abcdef\"\r\n"
                                    "Cache-Control: no-cache\r\nContent-Length: 65\r\n\r\n";
const http::static_file files[]{{.path = "/index.html",
                                 .identity = {as_octets(content), "\"0123456789abcdef\"", fields,
                                              static_cast<std::uint16_t>(fields.find("ETag")),
                                              static_cast<std::uint16_t>(fields.find("Content-Length"))}}};
const std::uint16_t slots[]{0};
const http::static_site site{files, slots, 0};

constexpr std::string_view short_request = "GET /index.html HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n";
constexpr std::string_view browser_request
    = "GET /index.html HTTP/1.1\r\nHost: 10.0.0.2:8080\r\nConnection: keep-alive\r\n"
      "Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
      "Gecko) Chrome/120.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,"
      "image/avif,image/webp,image/apng,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate\r\n"
      "Accept-Language: en-US,en;q=0.9\r\n\r\n";

using stopwatch = std::chrono::steady_clock;

void report(const char* what, stopwatch::time_point begun, std::uint64_t count) {
    const auto ns = std::chrono::duration<double, std::nano>(stopwatch::now() - begun).count();
    std::printf("%-36s %8.1f ns\n", what, ns / static_cast<double>(count));
}

void parse(const char* what, std::string_view request, std::uint64_t count) {
    const http::head_limits limits;
    http::head_parser parser{limits};
    std::uint64_t sum = 0;
    const auto begun = stopwatch::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        parser.reset();
        asm volatile("" : : "r"(request.data()) : "memory"); // read anew each time
        (void)parser.parse(as_octets(request));
        sum += parser.head().size;
    }
    report(what, begun, count);
    if (sum != count * request.size())
        std::abort();
}

/// `together` requests come in one piece, are answered, and then the next ones come.
void serve(const char* what, std::string_view request, unsigned together, std::uint64_t count) {
    scheduler loop;
    wall_clock clock;
    buffer_pool pages{16, 1024};
    http::router routes{http::files{site}};
    http::server server{loop, clock, pages, routes, {.requests = ~0u}};
    async::memory_wire wire{loop};
    wire.keep_output = false;
    std::string burst;
    for (unsigned i = 0; i < together; ++i)
        burst += request;
    nursery tasks{loop};
    (void)tasks.spawn(server.serve(async::zero_copy_memory_stream{wire}));
    wire.feed(burst);
    while (loop.run_ready()) {
    }
    const auto begun = stopwatch::now();
    for (std::uint64_t i = 0; i < count / together; ++i) {
        wire.rewind();
        wire.feed(octets{}); // wakes the reader
        while (loop.run_ready()) {
        }
    }
    report(what, begun, count);
    if (server.counters().responses[1].value() < count / together * together)
        std::abort();
}

} // namespace

int main(int argument_count, char** arguments) {
    const auto count = argument_count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 2'000'000;
    parse("parse, short head", short_request, count);
    parse("parse, a browser's head", browser_request, count);
    serve("GET, short head", short_request, 1, count);
    serve("GET, a browser's head", browser_request, 1, count);
    serve("GET, short head, 8 pipelined", short_request, 8, count);
}
