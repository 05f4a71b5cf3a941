// SPDX-License-Identifier: MIT
#include "two_hosts.hpp"
#include <string>
#include <vector>

using namespace test;

namespace {

using hosts = two_hosts<>;
using stream = hosts::stream;

struct outcome_of_connect {
    bool done = false;
    result<stream> connection = std::unexpected(errc::would_block);
};

task<> open(hosts& net, outcome_of_connect& out, std::uint16_t port = 80) {
    out.connection = co_await net.client.tcp().connect({hosts::server_address, port});
    out.done = true;
}

struct accepted_streams {
    std::vector<stream> all{};
    bool stop = false;
};

template <class Listener>
task<> accept_into(Listener& listener, accepted_streams& into) {
    while (auto s = co_await listener.accept())
        into.all.push_back(std::move(*s));
}

task<> read_all(stream& s, std::string& text, errc& end) {
    for (;;) {
        auto part = co_await s.async_receive();
        if (!part) {
            end = part.error();
            co_return;
        }
        text += as_text(part->view());
    }
}

task<> write_all(stream& s, std::string text, result<>& out) {
    auto data = slice::of_static(text);
    octets left = data.view();
    while (!left.empty()) {
        const auto n = co_await s.async_write_some(left);
        if (!n) {
            out = std::unexpected(n.error());
            co_return;
        }
        left = left.subspan(*n);
    }
}

} // namespace

TEST_CASE("connect, talk both ways, half close (RFC 9293 section 3.6)") {
    hosts net;
    {
        auto listener = net.server.tcp().listen(80);
        accepted_streams accepted;
        net.spawn(accept_into(listener, accepted));
        outcome_of_connect opened;
        net.spawn(open(net, opened));
        REQUIRE(net.until([&] { return opened.done && !accepted.all.empty(); }));
        REQUIRE(opened.connection);
        stream client = std::move(*opened.connection), server = std::move(accepted.all[0]);
        CHECK(client.remote() == ipv4_endpoint{hosts::server_address, 80});
        CHECK(server.remote() == client.local());
        CHECK(client.local().port >= 49152); // RFC 6335 section 6

        std::string heard, answered;
        errc heard_end{}, answered_end{};
        result<> said{}, replied{};
        net.spawn(read_all(server, heard, heard_end));
        net.spawn(read_all(client, answered, answered_end));
        net.spawn(write_all(client, "question", said));
        REQUIRE(net.until([&] { return heard == "question"; }));
        client.shutdown_send();
        REQUIRE(net.until([&] { return heard_end == errc::eof; }));
        net.spawn(write_all(server, "answer", replied)); // the other direction stays open
        REQUIRE(net.until([&] { return answered == "answer"; }));
        server.shutdown_send();
        REQUIRE(net.until([&] { return answered_end == errc::eof; }));
        CHECK(client.control().state == tcp::state::time_wait);
        CHECK(said);
    }
    CHECK(net.until([&] { return net.client.tcp().connections() == 0 && net.server.tcp().connections() == 0; }));
}

TEST_CASE("a closed port refuses (RFC 9293 section 3.10.7.1)") {
    hosts net;
    outcome_of_connect opened;
    net.spawn(open(net, opened, 81));
    REQUIRE(net.until([&] { return opened.done; }));
    CHECK(opened.connection.error() == errc::refused);
    CHECK(net.client.tcp().connections() == 0);
}

TEST_CASE("a host that is not there is unreachable, at once without a route, in the end without an answer to ARP") {
    hosts net;
    bool done = false;
    errc off_link{}, silent{};
    net.spawn([](hosts& n, bool& d, errc& a, errc& b) -> task<> {
        a = (co_await n.client.tcp().connect({ipv4_address{192, 0, 2, 1}, 80})).error();
        b = (co_await n.client.tcp().connect({ipv4_address{10, 0, 0, 77}, 80})).error();
        d = true;
    }(net, done, off_link, silent));
    REQUIRE(net.until([&] { return done; }));
    CHECK(off_link == errc::unreachable);
    CHECK(silent == errc::unreachable);
}

TEST_CASE("two listeners cannot have one port") {
    hosts net;
    auto first = net.server.tcp().listen(80);
    auto second = net.server.tcp().listen(80);
    CHECK(first.status());
    CHECK(second.status().error() == errc::in_use);
    auto other = net.server.tcp().listen(81);
    CHECK(other.status());
}

TEST_CASE("the backlog bounds what nobody has accepted; what is over it is tried again") {
    hosts net;
    auto listener = net.server.tcp().listen(80, 2);
    outcome_of_connect opened[5];
    for (auto& o : opened)
        net.spawn(open(net, o));
    (void)net.until([] { return false; }, 500ms);
    CHECK(net.server.tcp().connections() <= 4);
    CHECK(net.server.tcp().statistics().syn_dropped > 0);
    accepted_streams accepted;
    net.spawn(accept_into(listener, accepted));
    CHECK(net.until([&] { return accepted.all.size() == 5; }));
}

TEST_CASE("abort, and closing with unread text, reset the peer (RFC 9293 section 3.10.5, RFC 2525 section 2.17)") {
    hosts net;
    auto listener = net.server.tcp().listen(80);
    accepted_streams accepted;
    net.spawn(accept_into(listener, accepted));
    outcome_of_connect opened;
    net.spawn(open(net, opened));
    REQUIRE(net.until([&] { return !accepted.all.empty(); }));
    stream client = std::move(*opened.connection);
    std::string text;
    errc end{};
    net.spawn(read_all(client, text, end));
    SUBCASE("abort") { accepted.all[0].abort(); }
    SUBCASE("unread text") {
        result<> said{};
        net.spawn(write_all(client, "nobody reads this", said));
        (void)net.until([] { return false; }, 10ms);
        accepted.all.clear();
    }
    REQUIRE(net.until([&] { return end != errc{}; }));
    CHECK(end == errc::reset);
    result<> said{};
    net.spawn(write_all(client, "too late", said));
    REQUIRE(net.until([&] { return !said; }));
    CHECK(said.error() == errc::reset);
}

TEST_CASE("text for a stream that was let go is answered by RST (RFC 9293 section 3.6.1)") {
    hosts net;
    auto listener = net.server.tcp().listen(80);
    accepted_streams accepted;
    net.spawn(accept_into(listener, accepted));
    outcome_of_connect opened;
    net.spawn(open(net, opened));
    REQUIRE(net.until([&] { return !accepted.all.empty(); }));
    stream client = std::move(*opened.connection);
    accepted.all.clear();
    (void)net.until([] { return false; }, 10ms);
    CHECK(client.control().state == tcp::state::close_wait);
    result<> said{};
    net.spawn(write_all(client, "hello?", said));
    (void)net.until([] { return false; }, 10ms);
    CHECK(client.control().state == tcp::state::closed);
    CHECK(net.server.tcp().connections() == 0);
}

TEST_CASE("waiting tasks can be destroyed at any point") {
    hosts net;
    auto listener = net.server.tcp().listen(80);
    accepted_streams accepted;
    {
        nursery doomed{net.sim.loop()};
        (void)doomed.spawn(accept_into(listener, accepted));
        outcome_of_connect opened;
        (void)doomed.spawn(open(net, opened));
    }
    (void)net.until([] { return false; }, 1s);
    CHECK(accepted.all.empty());
    net.spawn(accept_into(listener, accepted));
    outcome_of_connect opened;
    net.spawn(open(net, opened));
    REQUIRE(net.until([&] { return opened.done && !accepted.all.empty(); }));
    {
        nursery doomed{net.sim.loop()};
        std::string text;
        errc end{};
        (void)doomed.spawn(read_all(accepted.all[0], text, end));
        (void)net.until([] { return false; }, 1ms);
    }
    result<> said{};
    net.spawn(write_all(*opened.connection, "still alive", said));
    std::string text;
    errc end{};
    net.spawn(read_all(accepted.all[0], text, end));
    CHECK(net.until([&] { return text == "still alive"; }));
}

TEST_CASE("TIME-WAIT is bounded, and a newer SYN reopens it (RFC 6191)") {
    hosts net{1, {}, {.max_connections = 128}};
    auto listener = net.server.tcp().listen(80, 64);
    accepted_streams accepted;
    net.spawn(accept_into(listener, accepted));
    for (int i = 0; i < 500; ++i) { // the client closes first: its side waits
        outcome_of_connect opened;
        net.spawn(open(net, opened));
        REQUIRE(net.until([&] { return opened.done && !accepted.all.empty(); }, 10s));
        REQUIRE(opened.connection);
        opened.connection->reset();
        (void)net.until([&] { return accepted.all[0].control().rcv.fin_known; }, 1s);
        accepted.all.clear();
        (void)net.until([] { return false; }, 1ms);
        REQUIRE(net.client.tcp().connections() <= 40);
    }
    CHECK(net.until([&] { return net.client.tcp().connections() == 0; }));
}

TEST_CASE("a writer that waits for memory learns that its connection was reset (RFC 9293 section 3.10.7.4)") {
    // Few pages and much room to send: the writer runs out of pages before its own limit, and its own text holds them all.
    hosts net{1, {.buffers = 64}, {.send_buffer = 1024 * 1024}};
    auto listener = net.server.tcp().listen(80);
    accepted_streams accepted;
    net.spawn(accept_into(listener, accepted));
    outcome_of_connect opened;
    net.spawn(open(net, opened));
    REQUIRE(net.until([&] { return opened.done && !accepted.all.empty(); }));
    result<> said{};
    bool done = false;
    const std::string much(1'000'000, 'x');
    net.spawn([](auto& s, const std::string& text, result<>& out, bool& end) -> task<> {
        co_await write_all(s, text, out);
        end = true;
    }(*opened.connection, much, said, done));
    (void)net.until([] { return false; }, 10s);
    REQUIRE_FALSE(done);
    accepted.all[0].abort();
    CHECK(net.until([&] { return done; }, 10s));
    REQUIRE_FALSE(said);
    CHECK(said.error() == errc::reset);
}

namespace {

/// How long a transfer of 8 MiB takes over a path of 50 ms each way, with a limit for the sender's buffer.
duration time_of_a_long_transfer(const net::tcp_options& sender) {
    hosts net{7, {.buffers = 8192}, {.receive_buffer = 4 << 20, .send_buffer = sender.send_buffer, .send_buffer_most = sender.send_buffer_most}};
    net.link.impair({.delay = 50ms});
    static const std::vector<std::byte> text(8 << 20);
    bool done = false;
    net.spawn([](auto& both, bool& end) -> task<> {
        auto listener = both.server.tcp().listen(80);
        auto s = co_await listener.accept();
        for (std::size_t received = 0; received < text.size();) {
            const auto part = co_await s->async_receive();
            if (!part)
                co_return;
            received += part->size();
        }
        end = true;
    }(net, done));
    net.spawn([](auto& both) -> task<> {
        auto s = co_await both.client.tcp().connect({hosts::server_address, 80});
        for (octets left{text}; !left.empty();) { // 4096 octets at a time: what a program with pages of its own does
            auto piece = slice::of_static(as_text(left.first(std::min<std::size_t>(left.size(), 4096))));
            left = left.subspan(piece.size());
            if (!co_await s->async_send(piece))
                co_return;
        }
    }(net));
    const instant began = net.sim.clock().now();
    REQUIRE(net.until([&] { return done; }, 600s));
    return net.sim.clock().now() - began;
}

} // namespace

TEST_CASE("a sender's buffer grows with its congestion window, up to its limit (RFC 9293 section 3.8.6)") {
    const auto fixed = time_of_a_long_transfer({.send_buffer = 256 * 1024}),
               grown = time_of_a_long_transfer({.send_buffer = 256 * 1024, .send_buffer_most = 4 << 20});
    CHECK(fixed > 3s); // a quarter of a MiB each 100 ms
    CHECK(grown < fixed * 2 / 3);
}
