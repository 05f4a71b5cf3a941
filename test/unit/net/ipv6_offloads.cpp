// SPDX-License-Identifier: MIT
// What a device does for IPv6: checksums (RFC 8200 section 8.1) and segmentation.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr offload all = memory::all_offloads, none{}, of_ipv4_alone{all.tx_checksum, all.rx_checksum, all.tso_size, all.gro};

ipv6_address of(const char* text) { return *ipv6_address::parse(text); }

/// 400 kB from one host to another, whose devices offload A and B.
template <offload A, offload B, class... Ipv4>
struct transfer {
    template <offload O>
    using stack_of = net::stack<memory::netif<O>, memory::virtual_clock, memory::seeded_random, Ipv4..., net::ipv6, net::udp, net::tcp<>>;

    memory::simulation sim;
    memory::link<A, B> link{sim.loop(), {}};
    memory::seeded_random a_random{1}, b_random{2};
    stack_of<A> a{sim.loop(), link.a(), sim.clock(), a_random, {.ipv6 = {.ipv6 = {of("2001:db8::1"), 64}}}};
    stack_of<B> b{sim.loop(), link.b(), sim.clock(), b_random, {.ipv6 = {.ipv6 = {of("2001:db8::2"), 64}}}};
    std::string text = std::string(400'000, ' '), got;
    nursery tasks{sim.loop()};

    transfer() {
        for (std::size_t i = 0; i < text.size(); ++i)
            text[i] = static_cast<char>('a' + i * 31 % 26);
        (void)tasks.spawn(a.run());
        (void)tasks.spawn(b.run());
        (void)sim.run_until([] { return false; }, sim.now() + 5s); // the addresses are unique
    }
    static task<> receive(transfer& t) {
        auto listener = t.b.tcp().listen(80);
        auto s = co_await listener.accept();
        while (auto part = co_await s->async_receive())
            t.got += as_text(part->view());
    }
    static task<> send(transfer& t) {
        auto s = co_await t.a.tcp().connect({of("2001:db8::2"), 80}); // the neighbour is not known: the SYN waits, its checksum done
        auto whole = slice::of_static(t.text);
        (void)co_await s->async_send(whole);
        co_await t.sim.loop().sleep_for(10s);
    }
    /// Frames that A was given meanwhile.
    std::uint64_t frames() {
        const std::uint64_t before = link.a().counters().transmitted;
        (void)tasks.spawn(receive(*this));
        (void)tasks.spawn(send(*this));
        CHECK(sim.run_until([this] { return got.size() == text.size(); }, sim.now() + 10s));
        CHECK(got == text);
        CHECK(b.tcp().statistics().bad_checksum == 0);
        return link.a().counters().transmitted - before;
    }
};

} // namespace

TEST_CASE("IPv6: a device that segments is given large segments, and the text is the same") {
    CHECK(transfer<all, all>{}.frames() < 60); // 280 segments of 1428 octets
    CHECK(transfer<all, none>{}.frames() < 60);
    CHECK(transfer<all, none, net::ipv4, net::icmp>{}.frames() < 60);
}

TEST_CASE("IPv6: a device that does it for IPv4 alone is given finished segments") {
    CHECK(transfer<of_ipv4_alone, none>{}.frames() >= 280);
    CHECK(transfer<none, all>{}.frames() >= 280);
}

TEST_CASE("IPv6: UDP checksums are finished before the device (RFC 8200 section 8.1)") {
    transfer<all, none> t;
    auto here = t.a.udp().bind(1000);
    auto there = t.b.udp().bind(2000);
    CHECK(here.send_to({of("2001:db8::2"), 2000}, as_octets("first")));  // waits for the neighbour
    (void)t.sim.run_until([] { return false; }, t.sim.now() + 1s);
    CHECK(here.send_to({of("2001:db8::2"), 2000}, as_octets("second")));
    (void)t.sim.run_until([] { return false; }, t.sim.now() + 1s);
    CHECK(t.b.udp().statistics().received == 2);
    CHECK(t.b.udp().statistics().bad_checksum == 0);
}
