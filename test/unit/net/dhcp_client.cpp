// SPDX-License-Identifier: MIT
#include "mirage/net/dhcp_client.hpp"
#include <doctest/doctest.h>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::dhcp_event;
using net::dhcp_state;
using wire::dhcp_option;
using wire::dhcp_type;

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}};
constexpr ipv4_address server{10, 0, 0, 1}, other_server{10, 0, 0, 3}, granted{10, 0, 0, 50};

/// What a server says; the defaults are a lease of an hour.
struct says {
    dhcp_type type = dhcp_type::offer;
    ipv4_address address = granted;
    std::optional<ipv4_address> from = server;
    std::optional<std::uint32_t> lease = 3600, t1{}, t2{};
    std::optional<ipv4_address> mask = ipv4_address{255, 255, 255, 0}, router = server;
    std::uint8_t op = 2;
    std::uint32_t transaction_xor = 0;
    mac_address to = own_mac;
};

/// Not random at all, and different every time.
struct counting_random {
    std::uint32_t next = 12345;
    void fill(mutable_octets out) noexcept {
        for (std::byte& o : out)
            o = static_cast<std::byte>((next = next * 1664525u + 1013904223u) >> 24);
    }
};
static_assert(random_source<counting_random>);

struct bench {
    counting_random random{};
    net::dhcp_client client{{.hardware = own_mac, .iaid = 7, .host_name = "unikernel"}};
    instant now{1h};
    std::vector<net::dhcp_send> sent{};
    std::vector<instant> sent_at{};
    std::vector<dhcp_event> events{};

    void note(const net::dhcp_step& step) {
        if (step.send) {
            sent.push_back(*step.send);
            sent_at.push_back(now);
        }
        if (step.event != dhcp_event::none)
            events.push_back(step.event);
    }
    /// The time passes deadline by deadline.
    void passes(duration d) {
        const instant end = now + d;
        while (client.next_deadline() <= end) {
            now = std::max(now, client.next_deadline());
            note(client.on_time(now, random));
        }
        now = end;
    }
    void start(ipv4_address previous = {}) {
        client.start(now, random, previous);
        passes(0s);
    }
    void hears(const says& m) {
        std::array<std::byte, 600> raw{};
        wire::dhcp_writer out{raw,
                              {.op = m.op,
                               .transaction = last().transaction ^ m.transaction_xor,
                               .your_address = m.address,
                               .client_hardware = m.to}};
        out.add(m.type);
        if (m.from)
            out.add(dhcp_option::server_identifier, *m.from);
        if (m.lease)
            out.add(dhcp_option::lease_time, *m.lease);
        if (m.t1)
            out.add(dhcp_option::renewal_time, *m.t1);
        if (m.t2)
            out.add(dhcp_option::rebinding_time, *m.t2);
        if (m.mask)
            out.add(dhcp_option::subnet_mask, *m.mask);
        if (m.router)
            out.add(dhcp_option::routers, *m.router);
        const auto length = out.finish();
        REQUIRE(length);
        const auto view = wire::dhcp_view::parse(octets{raw}.first(*length));
        REQUIRE(view);
        note(client.on_message(*view, now, random));
    }
    void binds(const says& ack = {.type = dhcp_type::ack}) {
        start();
        hears({.lease = ack.lease, .t1 = ack.t1, .t2 = ack.t2});
        hears(ack);
        REQUIRE(client.state() == dhcp_state::bound);
        REQUIRE(events == std::vector{dhcp_event::bound});
        sent.clear();
        sent_at.clear();
        events.clear();
    }
    const wire::dhcp_client_message& last() const { return sent.back().message; }
    net::dhcp_lease lease() const {
        REQUIRE(client.lease() != nullptr);
        return *client.lease();
    }
};

} // namespace

SCENARIO("getting an address (RFC 2131 section 3.1)") {
    bench b;
    b.start();
    REQUIRE(b.sent.size() == 1);
    CHECK(b.client.state() == dhcp_state::selecting);
    CHECK(b.last().type == dhcp_type::discover);
    CHECK(b.last().client_address == ipv4_address::any());
    CHECK(b.sent[0].source == ipv4_address::any());
    CHECK(b.sent[0].destination == ipv4_address::broadcast());
    const auto transaction = b.last().transaction;

    WHEN("an offer comes") {
        b.now += 2s;
        b.hears({});
        THEN("it is requested, by broadcast (table 4), with the xid and the secs of the discover (section "
             "4.4.1)") {
            REQUIRE(b.sent.size() == 2);
            CHECK(b.client.state() == dhcp_state::requesting);
            CHECK(b.last().type == dhcp_type::request);
            CHECK(b.last().requested_address == granted);
            CHECK(b.last().server_identifier == server);
            CHECK(b.last().client_address == ipv4_address::any());
            CHECK(b.last().transaction == transaction);
            CHECK(b.last().seconds == 0);
            CHECK(b.sent[1].destination == ipv4_address::broadcast());
            CHECK(b.client.lease() == nullptr);
        }
        AND_WHEN("it is acknowledged") {
            b.now += 1s;
            b.hears({.type = dhcp_type::ack});
            THEN("the lease counts from the request") {
                CHECK(b.events == std::vector{dhcp_event::bound});
                CHECK(b.lease().own == ipv4_prefix{granted, 24});
                CHECK(b.lease().gateway == server);
                CHECK(b.lease().server == server);
                CHECK(b.lease().expires_at == b.now - 1s + 3600s);
                CHECK(b.client.next_deadline() == b.lease().renew_at);
            }
        }
        AND_WHEN("it is refused") {
            b.hears({.type = dhcp_type::nak, .lease = {}});
            THEN("the client begins anew, but not at once") {
                CHECK(b.client.state() == dhcp_state::init);
                CHECK(b.events.empty());
                CHECK(b.client.next_deadline() >= b.now + 1s);
                CHECK(b.client.next_deadline() <= b.now + 10s);
                b.passes(10s);
                CHECK(b.last().type == dhcp_type::discover);
                CHECK(b.last().transaction != transaction);
            }
        }
        AND_WHEN("nobody acknowledges it") {
            b.sent.clear();
            b.passes(62s);
            THEN("it is asked for four times in about 60 s, and then given up (section 3.1 step 5)") {
                CHECK(b.sent.size() == 3);
                b.passes(15s);
                CHECK(b.last().type == dhcp_type::discover);
            }
        }
    }
    WHEN("no offer comes") {
        b.passes(10min);
        THEN("it waits 4, 8, 16, 32, 64, 64 s between questions, each give or take one (section 4.1)") {
            REQUIRE(b.sent_at.size() >= 8);
            constexpr std::array<int, 7> about{4, 8, 16, 32, 64, 64, 64};
            for (std::size_t i = 0; i < about.size(); ++i) {
                const auto gap = b.sent_at[i + 1] - b.sent_at[i];
                CAPTURE(i);
                CHECK(gap >= std::chrono::seconds{about[i] - 1});
                CHECK(gap <= std::chrono::seconds{about[i] + 1});
            }
            CHECK(b.last().seconds > 300);
        }
    }
}

TEST_CASE("messages that change nothing (RFC 2131 section 4.4.1)") {
    bench b;
    b.start();
    const auto ignored = [&](const says& m, dhcp_state state) {
        b.hears(m);
        CHECK(b.client.state() == state);
        CHECK(b.events.empty());
    };
    const auto selecting = dhcp_state::selecting, requesting = dhcp_state::requesting;
    ignored({.transaction_xor = 1}, selecting);
    ignored({.to = {{2, 0, 0, 0, 0, 2}}}, selecting);
    ignored({.op = 1}, selecting);
    ignored({.type = dhcp_type::ack}, selecting);
    ignored({.type = dhcp_type::nak}, selecting);
    ignored({.type = dhcp_type::discover}, selecting);
    ignored({.from = std::nullopt}, selecting);
    ignored({.from = ipv4_address{224, 0, 0, 1}}, selecting);
    ignored({.lease = std::nullopt}, selecting);
    ignored({.lease = 0}, selecting);
    ignored({.lease = 9}, selecting);
    ignored({.address = ipv4_address::any()}, selecting);
    ignored({.address = ipv4_address{127, 0, 0, 1}}, selecting);
    ignored({.address = ipv4_address{10, 0, 0, 255}}, selecting);
    ignored({.address = ipv4_address{10, 0, 0, 0}}, selecting);
    ignored({.address = ipv4_address{239, 1, 1, 1}}, selecting);
    ignored({.mask = ipv4_address{0, 0, 0, 0}}, selecting);
    CHECK(b.sent.size() == 1);

    b.hears({});
    CHECK(b.client.state() == requesting);
    ignored({.address = {10, 0, 0, 51}}, requesting); // a second offer
    ignored({.type = dhcp_type::ack, .from = other_server}, requesting);
    ignored({.type = dhcp_type::ack, .address = {10, 0, 0, 51}}, requesting);
    ignored({.type = dhcp_type::ack, .lease = std::nullopt}, requesting);
    ignored({.type = dhcp_type::nak, .from = other_server}, requesting);
    ignored({.type = dhcp_type::nak, .from = std::nullopt}, requesting);
    CHECK(b.sent.size() == 2);
}

TEST_CASE("what is odd in a lease is mended") {
    bench b;
    SUBCASE("no mask: the natural one (RFC 950 section 2.1)") {
        b.binds({.type = dhcp_type::ack, .mask = std::nullopt});
        CHECK(b.lease().own.length == 8);
    }
    SUBCASE("no router") {
        b.binds({.type = dhcp_type::ack, .router = std::nullopt});
        CHECK(b.lease().gateway == ipv4_address::any());
    }
    SUBCASE("a router that cannot be reached") {
        b.binds({.type = dhcp_type::ack, .router = ipv4_address{192, 168, 1, 1}});
        CHECK(b.lease().gateway == ipv4_address::any());
    }
    SUBCASE("we as our own router") {
        b.binds({.type = dhcp_type::ack, .router = granted});
        CHECK(b.lease().gateway == ipv4_address::any());
    }
    SUBCASE("T1 behind T2") {
        b.binds({.type = dhcp_type::ack, .t1 = 3000, .t2 = 2000});
    }
    SUBCASE("T2 behind the end") {
        b.binds({.type = dhcp_type::ack, .t1 = 3000, .t2 = 4000});
    }
    SUBCASE("T1 at once, to keep us busy") {
        b.binds({.type = dhcp_type::ack, .t1 = 1, .t2 = 2000});
    }
    SUBCASE("the shortest lease") {
        b.binds({.type = dhcp_type::ack, .lease = 10});
    }
    CHECK(b.lease().renew_at > b.now + 4s);
    CHECK(b.lease().renew_at < b.lease().rebind_at);
    CHECK(b.lease().rebind_at < b.lease().expires_at);
}

TEST_CASE(
    "T1 and T2: half and seven eighths of the lease, a little earlier at random (RFC 2131 section 4.4.5)") {
    bench b;
    b.binds();
    CHECK(b.lease().renew_at - b.now <= 1800s);
    CHECK(b.lease().renew_at - b.now >= 1800s * 15 / 16);
    CHECK(b.lease().rebind_at - b.now <= 3150s);
    CHECK(b.lease().rebind_at - b.now >= 3150s - 1350s / 16);
    bench chosen;
    chosen.binds({.type = dhcp_type::ack, .t1 = 100, .t2 = 200});
    CHECK(chosen.lease().renew_at - chosen.now <= 100s);
    CHECK(chosen.lease().rebind_at - chosen.now <= 200s);
}

SCENARIO("a lease grows old (RFC 2131 section 4.4.5)") {
    bench b;
    b.binds();
    const auto first = b.lease();
    b.passes(first.renew_at - b.now - 1ns);
    CHECK(b.sent.empty());
    b.passes(1ns);

    REQUIRE(b.sent.size() == 1); // renewing: unicast, ciaddr, neither requested address nor server (table 4)
    CHECK(b.client.state() == dhcp_state::renewing);
    CHECK(b.last().type == dhcp_type::request);
    CHECK(b.last().client_address == granted);
    CHECK_FALSE(b.last().requested_address);
    CHECK_FALSE(b.last().server_identifier);
    CHECK(b.sent[0].source == granted);
    CHECK(b.sent[0].destination == server);

    WHEN("the server extends it") {
        b.now += 1s;
        b.hears({.type = dhcp_type::ack});
        THEN("it is bound again, from the request on") {
            CHECK(b.client.state() == dhcp_state::bound);
            CHECK(b.events == std::vector{dhcp_event::renewed});
            CHECK(b.lease().expires_at == b.now - 1s + 3600s);
        }
    }
    WHEN("the server answers with another address") {
        b.hears({.type = dhcp_type::ack, .address = {10, 0, 0, 51}});
        THEN("it is not believed") {
            CHECK(b.client.state() == dhcp_state::renewing);
            CHECK(b.lease().own.address == granted);
        }
    }
    WHEN("the server takes it back") {
        b.hears({.type = dhcp_type::nak, .lease = {}});
        THEN("the address is gone at once") {
            CHECK(b.events == std::vector{dhcp_event::lost});
            CHECK(b.client.lease() == nullptr);
            CHECK(b.client.state() == dhcp_state::init);
        }
    }
    WHEN("a stranger takes it back") {
        b.hears({.type = dhcp_type::nak, .from = other_server, .lease = {}});
        THEN("the lease stays") {
            CHECK(b.events.empty());
        }
    }
    WHEN("the server is silent until T2") {
        b.passes(first.rebind_at - b.now);
        THEN("it is asked at half of what remains, not more often than every minute, and then anybody is") {
            for (std::size_t i = 1; i < b.sent_at.size(); ++i)
                CHECK((b.sent_at[i] - b.sent_at[i - 1] >= 60s || b.sent_at[i] == first.rebind_at));
            CHECK(b.sent.size() <= 7);
            CHECK(b.client.state() == dhcp_state::rebinding);
            CHECK(b.sent.back().destination == ipv4_address::broadcast());
            CHECK(b.sent.back().source == granted);
            CHECK(b.last().client_address == granted);
            CHECK_FALSE(b.last().server_identifier);
        }
        AND_WHEN("another server extends it") {
            b.hears({.type = dhcp_type::ack, .from = other_server});
            THEN("that is the server from now on") {
                CHECK(b.client.state() == dhcp_state::bound);
                CHECK(b.lease().server == other_server);
            }
        }
        AND_WHEN("nobody answers") {
            b.passes(first.expires_at - b.now - 1ns);
            CHECK(b.events.empty());
            b.passes(1ns);
            THEN("the address is given up at the end of the lease, and asked for anew") {
                CHECK(b.events == std::vector{dhcp_event::lost});
                CHECK(b.client.lease() == nullptr);
                b.passes(10s);
                CHECK(b.last().type == dhcp_type::discover);
            }
        }
    }
}

TEST_CASE("after a long sleep the lease is over (RFC 2131 section 4.4.5)") {
    bench b;
    b.binds();
    b.now += 24h;
    b.note(b.client.on_time(b.now, b.random));
    CHECK(b.sent.empty());
    CHECK(b.events == std::vector{dhcp_event::lost});
}

TEST_CASE("a lease for ever (RFC 2131 section 3.3)") {
    bench b;
    b.binds({.type = dhcp_type::ack, .lease = 0xffffffff});
    CHECK(b.client.next_deadline() == never);
}

SCENARIO("the address is in use by another host (RFC 2131 section 4.4.4)") {
    bench b;
    b.binds();
    b.note(b.client.conflict(b.now, b.random));
    REQUIRE(b.sent.size() == 1);
    CHECK(b.last().type == dhcp_type::decline);
    CHECK(b.last().requested_address == granted);
    CHECK(b.last().server_identifier == server);
    CHECK(b.last().client_address == ipv4_address::any());
    CHECK(b.sent[0].destination == ipv4_address::broadcast());
    CHECK(b.sent[0].source == ipv4_address::any());
    CHECK(b.events == std::vector{dhcp_event::lost});
    THEN("the client waits 10 s or more before it asks again (section 3.1 step 5)") {
        b.passes(10s);
        CHECK(b.sent.size() == 1);
        b.passes(10s);
        CHECK(b.last().type == dhcp_type::discover);
    }
    THEN("a second report changes nothing") {
        const auto again = b.client.conflict(b.now, b.random);
        CHECK_FALSE(again.send);
        CHECK(again.event == dhcp_event::none);
    }
}

TEST_CASE("giving the address back (RFC 2131 section 4.4.6)") {
    bench b;
    b.binds();
    b.note(b.client.release(b.now, b.random));
    REQUIRE(b.sent.size() == 1);
    CHECK(b.last().type == dhcp_type::release);
    CHECK(b.last().client_address == granted);
    CHECK(b.last().server_identifier == server);
    CHECK(b.sent[0].destination == server);
    CHECK(b.events == std::vector{dhcp_event::lost});
    CHECK(b.client.state() == dhcp_state::stopped);
    CHECK(b.client.next_deadline() == never);
}

SCENARIO("asking for the address of the last boot (RFC 2131 section 3.2)") {
    bench b;
    b.start(granted);
    REQUIRE(b.sent.size() == 1);
    CHECK(b.last().type == dhcp_type::request);
    CHECK(b.last().requested_address == granted);
    CHECK_FALSE(b.last().server_identifier); // table 4: INIT-REBOOT
    CHECK(b.last().client_address == ipv4_address::any());
    WHEN("a server remembers") {
        b.hears({.type = dhcp_type::ack});
        THEN("one exchange is enough") {
            CHECK(b.events == std::vector{dhcp_event::bound});
        }
    }
    WHEN("we have moved") {
        b.hears({.type = dhcp_type::nak, .lease = {}});
        b.passes(10s);
        THEN("we ask for any") {
            CHECK(b.last().type == dhcp_type::discover);
        }
    }
    WHEN("nobody knows") {
        b.passes(15s);
        THEN("we ask for any") {
            CHECK(b.last().type == dhcp_type::discover);
        }
    }
}

TEST_CASE("every message can be written, and its identifier is that of RFC 4361 section 6.1") {
    bench b;
    b.start();
    b.hears({});
    b.hears({.type = dhcp_type::ack});
    b.passes(3599s);
    b.note(b.client.conflict(b.now, b.random));
    CHECK(b.sent.size() > 4);
    for (const auto& send : b.sent) {
        std::array<std::byte, 548> raw{};
        const auto length = send.message.emit(raw);
        REQUIRE(length);
        const auto view = wire::dhcp_view::parse(octets{raw}.first(*length));
        REQUIRE(view);
        CHECK(view->type() == send.message.type);
        std::array<std::byte, 32> id{};
        REQUIRE(view->copy_option(dhcp_option::client_identifier, id) == 15);
        CHECK(id[0] == std::byte{255});
        CHECK(id[4] == std::byte{7});
    }
}
