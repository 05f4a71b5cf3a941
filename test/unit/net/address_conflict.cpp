// SPDX-License-Identifier: MIT
#include "mirage/net/address_conflict.hpp"
#include <doctest/doctest.h>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::conflict_event;
using net::defence;

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}}, their_mac{{2, 0, 0, 0, 0, 9}};
constexpr ipv4_address wanted{10, 0, 0, 2}, their{10, 0, 0, 9};
constexpr auto probe = wire::arp_packet::probe(own_mac, wanted);
constexpr auto announcement = wire::arp_packet::announcement(own_mac, wanted);

struct fixed_random {
    std::byte value{0x80};
    void fill(mutable_octets out) noexcept { std::ranges::fill(out, value); }
};

struct bench {
    fixed_random random{};
    net::address_conflict machine{own_mac};
    instant start{1h}, now{start};
    std::vector<wire::arp_packet> sent{};
    std::vector<instant> sent_at{};
    std::vector<conflict_event> events{};

    void note(const net::conflict_step& step) {
        if (step.send) {
            sent.push_back(*step.send);
            sent_at.push_back(now);
        }
        if (step.event != conflict_event::none)
            events.push_back(step.event);
    }
    void passes(duration d) {
        const instant end = now + d;
        while (machine.next_deadline() <= end) {
            now = std::max(now, machine.next_deadline());
            note(machine.on_time(now, random));
        }
        now = end;
    }
    void hears(const wire::arp_packet& packet) {
        std::array<std::byte, wire::arp_packet::size> raw{};
        packet.emit(raw);
        note(machine.receive(*wire::arp_view::parse(raw), now));
    }
    void holds(defence policy) {
        machine.use(wanted, policy, now);
        passes(1min);
        REQUIRE(machine.holds());
        sent.clear();
    }
};

} // namespace

SCENARIO("probing and announcing (RFC 5227 sections 2.1.1 and 2.3)") {
    bench b;
    b.machine.claim(wanted, defence::yield, b.now, b.random);
    WHEN("nobody answers") {
        b.passes(1min);
        THEN("three probes 1 to 2 s apart, 2 s of silence, two announcements 2 s apart") {
            CHECK(b.sent == std::vector{probe, probe, probe, announcement, announcement});
            REQUIRE(b.sent_at.size() == 5);
            CHECK(b.sent_at[0] - b.start <= 1s);
            CHECK(b.sent_at[1] - b.sent_at[0] >= 1s);
            CHECK(b.sent_at[1] - b.sent_at[0] <= 2s);
            CHECK(b.sent_at[2] - b.sent_at[1] >= 1s);
            CHECK(b.sent_at[2] - b.sent_at[1] <= 2s);
            CHECK(b.sent_at[3] - b.sent_at[2] == 2s);
            CHECK(b.sent_at[4] - b.sent_at[3] == 2s);
            CHECK(b.events == std::vector{conflict_event::claimed});
            CHECK(b.machine.holds());
        }
    }
    b.passes(2s);
    const auto lost = [&] {
        CHECK(b.events == std::vector{conflict_event::lost});
        CHECK_FALSE(b.machine.holds());
        CHECK(b.machine.next_deadline() == never);
    };
    WHEN("its owner answers") {
        b.hears({wire::arp_operation::reply, their_mac, wanted, own_mac, {}});
        THEN("it is lost") {
            lost();
        }
    }
    WHEN("its owner is heard asking for somebody else") {
        b.hears(wire::arp_packet::request(their_mac, wanted, their));
        THEN("it is lost") {
            lost();
        }
    }
    WHEN("another host probes for it at the same time") {
        b.hears(wire::arp_packet::probe(their_mac, wanted));
        THEN("it is lost") {
            lost();
        }
    }
    WHEN("our own probe comes back, or others talk") {
        b.hears(probe);
        b.hears(wire::arp_packet::request(their_mac, their, wanted));
        b.hears(wire::arp_packet::probe(their_mac, their));
        THEN("it goes on") {
            CHECK(b.events.empty());
        }
    }
}

SCENARIO("defending an address (RFC 5227 section 2.4)") {
    bench b;
    const auto claim_of_another = wire::arp_packet::announcement(their_mac, wanted);
    WHEN("it can be replaced (b)") {
        b.holds(defence::yield);
        b.hears(claim_of_another);
        CHECK(b.sent == std::vector{announcement});
        THEN("one more claim within 10 s ends it") {
            b.passes(9s);
            b.hears(claim_of_another);
            CHECK(b.sent.size() == 1);
            CHECK(b.events == std::vector{conflict_event::lost});
        }
        THEN("a later one is defended against") {
            b.passes(10s);
            b.hears(claim_of_another);
            CHECK(b.sent.size() == 2);
            CHECK(b.events.empty());
        }
    }
    WHEN("it must stay (c)") {
        b.holds(defence::persist);
        for (int i = 0; i < 95; ++i) {
            b.hears(claim_of_another);
            b.passes(100ms);
        }
        THEN("it stays, and is defended once in 10 s") {
            CHECK(b.machine.holds());
            CHECK(b.sent.size() == 1);
            CHECK(b.events.empty());
        }
    }
    WHEN("others only ask for it") {
        b.holds(defence::yield);
        b.hears(wire::arp_packet::request(their_mac, their, wanted));
        b.hears(wire::arp_packet::probe(their_mac, wanted)); // answered by the cache, no conflict
        THEN("nothing is to be done") {
            CHECK(b.sent.empty());
            CHECK(b.machine.holds());
        }
    }
}

TEST_CASE("after ten conflicts an attempt waits for a minute (RFC 5227 section 2.1.1)") {
    bench b;
    for (int i = 0; i < 10; ++i) {
        b.machine.claim(wanted, defence::yield, b.now, b.random);
        CHECK(b.machine.next_deadline() <= b.now + 1s);
        b.hears(wire::arp_packet::announcement(their_mac, wanted));
    }
    CHECK(b.events.size() == 10);
    b.machine.claim(wanted, defence::yield, b.now, b.random);
    CHECK(b.machine.next_deadline() == b.now + 60s);
    b.passes(2min);
    CHECK(b.machine.holds());
    b.machine.claim(wanted, defence::yield, b.now, b.random); // success has wiped the slate clean
    CHECK(b.machine.next_deadline() <= b.now + 1s);
}
