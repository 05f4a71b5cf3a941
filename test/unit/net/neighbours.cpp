// SPDX-License-Identifier: MIT
#include "mirage/net/neighbours.hpp"
#include <doctest/doctest.h>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::neighbour_state;

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}}, their_mac{{2, 0, 0, 0, 0, 9}},
    new_mac{{2, 0, 0, 0, 0, 10}};
constexpr ipv4_address own{10, 0, 0, 2}, their{10, 0, 0, 9};

/// A packet that can only be moved.
struct parcel {
    int number = 0;
    explicit parcel(int n) noexcept : number{n} {}
    parcel(parcel&& other) noexcept : number{std::exchange(other.number, -1)} {}
    parcel& operator=(parcel&&) = delete;
};

/// A link that writes down what the cache does.
struct notes {
    struct sent {
        wire::arp_packet packet{};
        mac_address to{};
    };
    std::vector<sent> arp{};
    std::vector<int> resolved{}, failed{};
    mac_address last{};

    void transmit(const wire::arp_packet& packet, mac_address to) { arp.push_back({packet, to}); }
    void resolved_to(int n) { resolved.push_back(n); }
    void failed_for(int n) { failed.push_back(n); }
};
struct link : notes {
    void resolved(parcel p, mac_address mac) {
        resolved_to(p.number);
        last = mac;
    }
    void failed(parcel p, ipv4_address) { failed_for(p.number); }
    const std::vector<int>& sent_on() const { return notes::resolved; }
    const std::vector<int>& given_up() const { return notes::failed; }
};

template <std::size_t Entries = 64>
struct bench {
    link out{};
    net::neighbours<parcel, Entries> cache{own_mac};
    instant now{1h};

    bench() { cache.configure(own); }

    void hears(const wire::arp_packet& packet) {
        std::array<std::byte, wire::arp_packet::size> raw{};
        packet.emit(raw);
        cache.receive(*wire::arp_view::parse(raw), now, out);
    }
    void answer_from(ipv4_address address, mac_address mac = their_mac) {
        hears({wire::arp_operation::reply, mac, address, own_mac, own});
    }
    /// The time passes deadline by deadline.
    void passes(duration d) {
        const instant end = now + d;
        while (cache.next_deadline() <= end) {
            now = std::max(now, cache.next_deadline());
            cache.on_time(now, out);
        }
        now = end;
    }
    const mac_address* find(ipv4_address a) { return cache.find(a, now, out); }
    void send(ipv4_address to, int number = 0) { cache.resolve(to, parcel{number}, now, out); }
    auto state(ipv4_address a) const { return cache.state(a, now); }
};

ipv4_address host(unsigned n) {
    return ipv4_address{ipv4_address{10, 0, 1, 0}.value() + n};
}

} // namespace

SCENARIO("resolving an address (RFC 826)") {
    bench b;
    CHECK(b.find(their) == nullptr);
    b.send(their, 1);
    REQUIRE(b.out.arp.size() == 1);
    CHECK(b.out.arp[0].packet == wire::arp_packet::request(own_mac, own, their));
    CHECK(b.out.arp[0].to == mac_address::broadcast());
    CHECK(b.state(their) == neighbour_state::incomplete);

    WHEN("the answer comes") {
        b.send(their, 2);
        b.answer_from(their);
        THEN("waiting packets leave in order, and later ones need not wait") {
            CHECK(b.out.sent_on() == std::vector{1, 2});
            CHECK(b.out.last == their_mac);
            REQUIRE(b.find(their) != nullptr);
            CHECK(*b.find(their) == their_mac);
            b.send(their, 3);
            CHECK(b.out.sent_on() == std::vector{1, 2, 3});
            CHECK(b.cache.waiting() == 0);
            CHECK(b.cache.incomplete() == 0);
        }
    }
    WHEN("nobody answers") {
        THEN("requests are at least 1 s apart (RFC 1122 section 2.3.2.1), and then the packet fails") {
            b.send(their, 2);
            CHECK(b.out.arp.size() == 1);
            b.passes(999ms);
            CHECK(b.out.arp.size() == 1);
            b.passes(1ms);
            CHECK(b.out.arp.size() == 2);
            b.passes(1s);
            CHECK(b.out.arp.size() == 3);
            CHECK(b.out.given_up().empty());
            b.passes(1s);
            CHECK(b.out.arp.size() == 3);
            CHECK(b.out.given_up() == std::vector{1, 2});
            CHECK(b.state(their) == neighbour_state::unknown);
            CHECK(b.cache.next_deadline() == never);
        }
    }
    WHEN("more packets wait than there is room for") {
        for (int i = 2; i <= 9; ++i)
            b.send(their, i);
        b.answer_from(their);
        THEN("the latest are kept (RFC 1122 section 2.3.2.2)") {
            CHECK(b.out.sent_on() == std::vector{6, 7, 8, 9});
            CHECK(b.cache.count().overflow == 5);
        }
    }
}

SCENARIO("an entry grows old (RFC 1122 section 2.3.2.1)") {
    bench b;
    b.send(their, 1);
    b.answer_from(their);
    b.out.arp.clear();

    WHEN("nobody uses it") {
        b.passes(61s);
        THEN("nothing is sent for it") {
            CHECK(b.state(their) == neighbour_state::stale);
            CHECK(b.out.arp.empty());
            CHECK(b.cache.next_deadline() == never);
        }
    }
    WHEN("it is used after a minute") {
        b.passes(61s);
        REQUIRE(b.find(their) != nullptr);
        THEN("it serves, and is polled by unicast") {
            CHECK(*b.find(their) == their_mac);
            REQUIRE(b.out.arp.size() == 1);
            CHECK(b.out.arp[0].to == their_mac);
            CHECK(b.state(their) == neighbour_state::probe);
            b.answer_from(their);
            CHECK(b.state(their) == neighbour_state::reachable);
            b.passes(5s);
            CHECK(b.out.arp.size() == 1);
        }
        THEN("two polls without an answer end it") {
            b.passes(1s);
            CHECK(b.out.arp.size() == 2);
            CHECK(b.find(their) != nullptr);
            b.passes(1s);
            CHECK(b.out.arp.size() == 2);
            CHECK(b.find(their) == nullptr);
            b.send(their, 2);
            CHECK(b.out.arp.back().to == mac_address::broadcast());
        }
    }
    WHEN("it is used after an hour") {
        b.passes(1h);
        THEN("it is asked for anew, and the packet waits") {
            CHECK(b.find(their) == nullptr);
            b.send(their, 2);
            CHECK(b.out.sent_on() == std::vector{1});
            CHECK(b.out.arp.back().to == mac_address::broadcast());
            b.answer_from(their, new_mac);
            CHECK(b.out.sent_on() == std::vector{1, 2});
            CHECK(b.out.last == new_mac);
        }
    }
    WHEN("a higher layer hears from it") {
        b.passes(59s);
        b.cache.confirm(their, b.now);
        b.passes(59s);
        THEN("no poll is needed") {
            CHECK(b.find(their) != nullptr);
            CHECK(b.out.arp.empty());
        }
    }
}

SCENARIO("requests of others (RFC 826 \"Packet Reception\")") {
    bench b;
    WHEN("one asks for us") {
        b.hears(wire::arp_packet::request(their_mac, their, own));
        THEN("it is answered and remembered") {
            REQUIRE(b.out.arp.size() == 1);
            CHECK(b.out.arp[0].to == their_mac);
            CHECK(b.out.arp[0].packet
                  == wire::arp_packet{wire::arp_operation::reply, own_mac, own, their_mac, their});
            CHECK(b.find(their) != nullptr);
        }
    }
    WHEN("one probes our address (RFC 5227 section 2.1.1)") {
        b.hears(wire::arp_packet::probe(their_mac, own));
        THEN("it is told, and not remembered") {
            REQUIRE(b.out.arp.size() == 1);
            CHECK(b.out.arp[0].packet.sender_protocol == own);
            CHECK(b.cache.size() == 0);
        }
    }
    WHEN("one asks for somebody else") {
        b.hears(wire::arp_packet::request(their_mac, their, {10, 0, 0, 3}));
        THEN("a stranger stays one") {
            CHECK(b.out.arp.empty());
            CHECK(b.cache.size() == 0);
        }
    }
    WHEN("one that we know announces a new MAC address") {
        b.send(their, 1);
        b.answer_from(their);
        b.hears(wire::arp_packet::announcement(new_mac, their));
        THEN("it is believed") {
            CHECK(*b.find(their) == new_mac);
        }
    }
}

TEST_CASE("what an ARP packet must not do") {
    bench b;
    const auto request = [](mac_address mac, ipv4_address from) {
        return wire::arp_packet::request(mac, from, own);
    };
    SUBCASE("an unsolicited reply makes no entry") {
        b.answer_from(their);
    }
    SUBCASE("a group MAC address is nobody") {
        b.hears(request(mac_address::broadcast(), their));
    }
    SUBCASE("nor is the zero one") {
        b.hears(request(mac_address{}, their));
    }
    SUBCASE("a multicast address is no host") {
        b.hears(request(their_mac, {224, 0, 0, 1}));
    }
    SUBCASE("nor is the broadcast address") {
        b.hears(request(their_mac, ipv4_address::broadcast()));
    }
    SUBCASE("our own address is ours") {
        b.hears(request(their_mac, own));
    }
    SUBCASE("our own frame comes back") {
        b.hears(request(own_mac, their));
    }
    SUBCASE("without an address we are silent") {
        b.cache.configure({});
        b.hears(wire::arp_packet::request(their_mac, their, {}));
        b.hears(wire::arp_packet::request(their_mac, their, own));
    }
    CHECK(b.cache.size() == 0);
    CHECK(b.out.arp.empty());
}

SCENARIO("a full cache keeps what traffic uses") {
    bench<16> b;
    for (unsigned i = 0; i < 16; ++i) {
        b.send(host(i));
        b.answer_from(host(i));
        b.passes(1ms);
        REQUIRE(b.find(host(i)) != nullptr); // used twice
    }
    const auto alive = [&] {
        unsigned count = 0;
        for (unsigned i = 0; i < 16; ++i)
            count += b.state(host(i)) == neighbour_state::reachable ? 1u : 0u;
        return count;
    };
    REQUIRE(alive() == 16);

    WHEN("strangers ask for us") {
        for (unsigned i = 100; i < 1000; ++i)
            b.hears(wire::arp_packet::request(their_mac, host(i), own));
        THEN("they are answered, and displace nobody") {
            CHECK(b.cache.count().replies == 900);
            CHECK(alive() == 16);
        }
    }
    WHEN("a scan makes us ask for many that do not exist") {
        for (unsigned i = 100; i < 1000; ++i) {
            b.send(host(i));
            b.passes(10ms);
        }
        THEN("an eighth of the entries is what it costs, the oldest first, and requests are few") {
            CHECK(alive() >= 14);
            CHECK(b.state(host(15)) == neighbour_state::reachable);
            CHECK(b.cache.count().refused > 0);
            CHECK(b.cache.count().requests <= 16 + 9 * 8 * 2 + 16);
        }
    }
    WHEN("another neighbour is really wanted") {
        b.send(their, 7);
        b.answer_from(their);
        THEN("it takes the place of the least recently used") {
            CHECK(b.out.sent_on().back() == 7);
            CHECK(b.state(host(0)) == neighbour_state::unknown);
            CHECK(alive() == 15);
        }
    }
}

TEST_CASE("every address that is asked for keeps its latest packet (RFC 1122 section 2.3.2.2)") {
    bench<16> b;
    for (int packet = 0; packet < 4; ++packet)
        b.send(host(0), packet);
    for (unsigned i = 1; i < 8; ++i)
        for (int packet = 0; packet < 4; ++packet)
            b.send(host(i), static_cast<int>(10 * i) + packet);
    CHECK(b.cache.incomplete() == 8);
    CHECK(b.cache.waiting() == 8);
    for (unsigned i = 0; i < 8; ++i) {
        b.answer_from(host(i));
        CHECK(b.out.sent_on().back() == static_cast<int>(10 * i) + 3);
    }
}

TEST_CASE("asking on behalf of a packet that cannot wait (RFC 1122 section 2.3.2.2)") {
    bench b;
    b.cache.solicit(their, b.now, b.out);
    b.cache.solicit(their, b.now, b.out);
    CHECK(b.out.arp.size() == 1);
    CHECK(b.cache.waiting() == 0);
    b.send(their, 1);
    CHECK(b.out.arp.size() == 1);
    b.answer_from(their);
    CHECK(b.out.sent_on() == std::vector{1});
    b.cache.solicit(their, b.now, b.out);
    CHECK(b.out.arp.size() == 1);
}

TEST_CASE("a new configuration forgets everybody and drops what waits") {
    bench b;
    b.send(their, 1);
    b.send(host(1), 2);
    b.answer_from(host(1));
    b.cache.configure({10, 0, 0, 3});
    CHECK(b.cache.size() == 0);
    CHECK(b.cache.waiting() == 0);
    CHECK(b.cache.next_deadline() == never);
    CHECK(b.find(host(1)) == nullptr);
    b.hears(wire::arp_packet::request(their_mac, their, {10, 0, 0, 3}));
    CHECK(b.out.arp.back().packet.sender_protocol == ipv4_address{10, 0, 0, 3});
}
