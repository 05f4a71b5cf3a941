// SPDX-License-Identifier: MIT
#include "two_hosts.hpp"
#include <random>
#include <vector>

using namespace test;

namespace {

using hosts = two_hosts<>;

/// What one end sends and has seen. Octet i of a direction is a function of i and its salt.
struct party {
    std::size_t to_send = 0, expects = 0, sent = 0, received = 0;
    unsigned salt = 0, peer_salt = 0;
    bool eof = false, wrong = false, done = false;
    errc error{};
};

std::byte octet_at(std::size_t i, unsigned salt) {
    return static_cast<std::byte>(static_cast<unsigned>((i + salt) * 2654435761u) >> 24);
}

task<> send_all(hosts::stream& s, party& p, std::mt19937& random) {
    std::vector<std::byte> buffer(5000);
    while (p.sent < p.to_send) {
        const std::size_t n = std::min<std::size_t>(1 + random() % buffer.size(), p.to_send - p.sent);
        for (std::size_t i = 0; i < n; ++i)
            buffer[i] = octet_at(p.sent + i, p.salt);
        for (std::size_t at = 0; at < n;) {
            const auto w = co_await s.async_write_some(octets{buffer}.subspan(at, n - at));
            if (!w) {
                p.error = w.error();
                co_return;
            }
            at += *w;
        }
        p.sent += n;
    }
    s.shutdown_send();
}

void verify(party& p, octets text) {
    for (const std::byte o : text)
        p.wrong |= o != octet_at(p.received++, p.peer_salt);
}

task<> receive_all(hosts::stream& s, party& p, scheduler& loop, std::mt19937& random) {
    std::vector<std::byte> buffer(3000);
    for (;;) {
        if (random() % 50 == 0) // a slow reader now and then: windows close
            co_await loop.sleep_for(std::chrono::milliseconds{random() % 300});
        errc end{};
        if (random() % 2 == 0) {
            const auto part = co_await s.async_receive();
            part ? verify(p, part->view()) : void(end = part.error());
        } else {
            const auto n = co_await s.async_read_some(mutable_octets{buffer}.first(1 + random() % buffer.size()));
            n ? verify(p, octets{buffer}.first(*n)) : void(end = n.error());
        }
        if (end == errc::eof)
            p.eof = true;
        else if (end != errc{})
            p.error = end;
        if (end != errc{})
            co_return;
    }
}

task<> talk(hosts::stream s, party& p, scheduler& loop, std::mt19937& random) {
    nursery sending{loop};
    (void)sending.spawn(send_all(s, p, random));
    co_await receive_all(s, p, loop, random);
    while (sending.size() != 0)
        co_await loop.sleep_for(10ms);
    p.done = true;
}

task<> serve_one(hosts& net, party& p, std::mt19937& random) {
    auto listener = net.server.tcp().listen(80);
    auto s = co_await listener.accept();
    co_await talk(std::move(*s), p, net.sim.loop(), random);
}
task<> call(hosts& net, party& p, std::mt19937& random) {
    auto s = co_await net.client.tcp().connect({hosts::server_address, 80});
    if (s)
        co_await talk(std::move(*s), p, net.sim.loop(), random);
    else
        p.error = s.error();
}

} // namespace

TEST_CASE("random sizes over random bad links: every octet arrives, in order, once (RFC 9293 section 2.2)") {
    for (unsigned seed = 0; seed < 150; ++seed) {
        CAPTURE(seed);
        std::mt19937 random{seed};
        memory::link_options options;
        options.buffers = 32 + random() % 300; // short of memory now and then, too
        memory::impairment bad{};
        bad.seed = seed;
        bad.delay = std::chrono::microseconds{random() % 100'000};
        bad.loss = random() % 3 == 0 ? 0 : static_cast<unsigned>(random() % 50'000);
        bad.reorder = random() % 2 == 0 ? 0 : static_cast<unsigned>(random() % 100'000);
        bad.duplicate = random() % 2 == 0 ? 0 : static_cast<unsigned>(random() % 50'000);
        bad.corrupt = random() % 2 == 0 ? 0 : static_cast<unsigned>(random() % 20'000);
        hosts net{seed, options};
        net.link.impair(bad);
        party a{.to_send = random() % 200'000, .salt = static_cast<unsigned>(random())};
        party b{.to_send = random() % 200'000, .salt = static_cast<unsigned>(random())};
        a.peer_salt = b.salt;
        b.peer_salt = a.salt;
        net.spawn(serve_one(net, b, random));
        net.spawn(call(net, a, random));
        REQUIRE(net.until([&] { return (a.done && b.done) || a.error != errc{} || b.error != errc{}; }, 10h));
        CHECK(a.error == errc{});
        CHECK(b.error == errc{});
        CHECK_FALSE(a.wrong);
        CHECK_FALSE(b.wrong);
        CHECK(a.eof);
        CHECK(b.eof);
        CHECK(a.received == b.to_send);
        CHECK(b.received == a.to_send);
        // Nothing is left behind: RFC 9293 section 3.4.2, 2 MSL at most.
        CHECK(net.until([&] { return net.client.tcp().connections() + net.server.tcp().connections() == 0; }, 10min));
    }
}

TEST_CASE("the same seed gives the same run") {
    const auto frames = [](std::uint64_t seed) {
        std::mt19937 random{7};
        hosts net{seed};
        net.link.impair({.delay = 5ms, .loss = 20'000, .seed = seed});
        party a{.to_send = 100'000}, b{.to_send = 50'000};
        net.spawn(serve_one(net, b, random));
        net.spawn(call(net, a, random));
        REQUIRE(net.until([&] { return a.done && b.done; }));
        return std::pair{net.link.a().counters().transmitted, net.sim.now()};
    };
    CHECK(frames(3) == frames(3));
    CHECK(frames(3) != frames(4));
}
