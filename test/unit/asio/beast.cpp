// SPDX-License-Identifier: MIT
#include "support.hpp"
#include <boost/beast.hpp>
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::test;
namespace beast = boost::beast;
namespace http = beast::http;

using stream_type = asio_stream<memory_stream>;

static_assert(beast::is_async_read_stream<stream_type>::value && beast::is_async_write_stream<stream_type>::value);

TEST_CASE("asio: Beast answers a request, octet by octet and with a failure at every step") {
    const auto exchange = [](asio_bench& bench, outcome& read, outcome& written) {
        bench.wire.next_read_length = bench.wire.next_write_length = 1;
        bench.wire.feed("PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nyes");
        beast::flat_buffer room;
        http::request<http::string_body> asked;
        http::async_read(bench.stream, room, asked, read.handler());
        bench.run();
        if (read.error || read.calls == 0)
            return;
        CHECK(asked.target() == "/a");
        http::response<http::string_body> answer{http::status::ok, 11};
        answer.body() = asked.body() + "!";
        answer.prepare_payload();
        http::async_write(bench.stream, answer, written.handler());
        bench.run();
    };
    asio_bench whole;
    outcome read, written;
    exchange(whole, read, written);
    CHECK_FALSE(read.error);
    CHECK_FALSE(written.error);
    CHECK(whole.wire.output() == "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes!");
    const std::size_t steps = whole.wire.operations();
    CHECK(steps > 80);
    for (std::size_t n = 1; n <= steps; ++n) {
        asio_bench bench;
        bench.wire.fail_at = n;
        outcome r, w;
        exchange(bench, r, w);
        CHECK((r.error == asio::error::connection_reset) != (w.error == asio::error::connection_reset));
        CHECK(r.calls + w.calls == (r.error ? 1 : 2));
    }
}
