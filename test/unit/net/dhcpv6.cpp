// SPDX-License-Identifier: MIT
// DHCPv6: the messages, the pure client, then a whole stack with a server beside it.
#include "mirage/net/dhcpv6.hpp"
#include "mirage/net/mld.hpp"
#include "over_ipv6.hpp"

using namespace test::over_ipv6;
using net::dhcpv6_event;
using net::dhcpv6_state;
using wire::dhcpv6_duid;
using wire::dhcpv6_option;
using wire::dhcpv6_status;
using wire::dhcpv6_type;

namespace {

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}};
constexpr std::uint32_t iaid = 7;
const ipv6_address leased = of("2001:db8::1234"), resolver = of("2001:db8::53");
const dhcpv6_duid server_a{std::as_bytes(std::span{"server a", 8})}, server_b{std::as_bytes(std::span{"server b", 8})};
const octets domains = std::as_bytes(std::span{"\3lan\7example\0\2at\4home", 22}); // with the last root

/// What a server says; the defaults are an address for two hours, for one of them preferred.
struct says {
    dhcpv6_type type = dhcpv6_type::reply;
    ipv6_address address = leased;
    std::uint32_t preferred = 3600, valid = 7200, t1 = 0, t2 = 0;
    dhcpv6_duid from = server_a;
    dhcpv6_status status{}, ia_status{};
    std::optional<std::uint8_t> preference{};
    bool rapid = false, with_ia = true, with_names = true;
    std::optional<std::uint32_t> refresh{}, solicit_max{};
    std::uint32_t transaction_xor = 0;
    dhcpv6_duid to = dhcpv6_duid::of(own_mac);
};

std::vector<std::byte> write(const says& s, std::uint32_t transaction, std::uint32_t ia = iaid) {
    std::vector<std::byte> room(600);
    wire::dhcpv6_writer out{room, s.type, transaction ^ s.transaction_xor};
    if (!s.to.empty())
        out.add(dhcpv6_option::client_identifier, s.to.view());
    if (!s.from.empty())
        out.add(dhcpv6_option::server_identifier, s.from.view());
    if (s.status != dhcpv6_status::success)
        out.add(dhcpv6_option::status, static_cast<std::uint16_t>(s.status));
    if (s.preference)
        out.add(dhcpv6_option::preference, *s.preference);
    if (s.rapid)
        out.add(dhcpv6_option::rapid_commit);
    if (s.refresh)
        out.add(dhcpv6_option::information_refresh_time, *s.refresh);
    if (s.solicit_max)
        out.add(dhcpv6_option::solicit_max_rt, *s.solicit_max);
    if (s.with_ia) {
        const bool failed = s.ia_status != dhcpv6_status::success;
        out.open(dhcpv6_option::ia_na, failed ? 18 : 40);
        for (const std::uint32_t n : {ia, s.t1, s.t2})
            out.put(n);
        if (failed)
            out.add(dhcpv6_option::status, static_cast<std::uint16_t>(s.ia_status));
        else
            out.add(wire::dhcpv6_address{s.address, s.preferred, s.valid});
    }
    if (s.with_names) {
        out.open(dhcpv6_option::dns_servers, 16);
        out.put(resolver);
        out.add(dhcpv6_option::domain_list, domains);
    }
    room.resize(out.size());
    return room;
}

struct machine_bench {
    memory::seeded_random random{11};
    net::dhcpv6_client client{own_mac, iaid};
    instant now{1h};
    struct sent_message {
        std::vector<std::byte> text{};
        instant at{};
        wire::dhcpv6_view view() const { return *wire::dhcpv6_view::parse(text); }
    };
    std::vector<sent_message> sent{};
    std::vector<dhcpv6_event> events{};

    void note(const net::dhcpv6_step& step) {
        if (step.send) {
            const octets text = step.send->view();
            REQUIRE(wire::dhcpv6_view::parse(text).has_value());
            sent.push_back({{text.begin(), text.end()}, now});
        }
        if (step.event != dhcpv6_event::none)
            events.push_back(step.event);
    }
    void passes(duration d) {
        const instant end = now + d;
        while (client.next_deadline() <= end) {
            now = std::max(now, client.next_deadline());
            note(client.on_time(now, random));
        }
        now = end;
    }
    void hears(const says& s) {
        REQUIRE(!sent.empty());
        const auto text = write(s, sent.back().view().transaction());
        note(client.on_message(*wire::dhcpv6_view::parse(text), now, random));
    }
    void starts(bool managed = true, bool other = true) { client.advertised(managed, other, now, random); }
    /// Until the next message, and what it is.
    dhcpv6_type next() {
        const std::size_t before = sent.size();
        while (sent.size() == before) {
            REQUIRE(client.next_deadline() != never);
            passes(client.next_deadline() - now);
        }
        return sent.back().view().type();
    }
    void bind(const says& how = {}) {
        starts();
        REQUIRE(next() == dhcpv6_type::solicit);
        says rapid = how;
        rapid.rapid = true;
        hears(rapid);
        REQUIRE(client.state() == dhcpv6_state::bound);
    }
};

bool about(duration d, duration expected) { return d >= expected * 9 / 10 - 1ms && d <= expected * 11 / 10 + 1ms; }

} // namespace

TEST_CASE("a message whose options are not whole is none (RFC 8415 section 21.1)") {
    const auto good = write({}, 0x123456);
    const auto view = wire::dhcpv6_view::parse(good);
    REQUIRE(view);
    CHECK(view->type() == dhcpv6_type::reply);
    CHECK(view->transaction() == 0x123456);
    CHECK(view->options().identifier(dhcpv6_option::server_identifier) == server_a);
    for (std::size_t cut = 0; cut < 4; ++cut)
        CHECK(wire::dhcpv6_view::parse(octets{good}.first(cut)).error() == errc::truncated);
    for (std::size_t cut = 1; cut < 22; ++cut) // in the last option
        CHECK(wire::dhcpv6_view::parse(octets{good}.first(good.size() - cut)).error() == errc::truncated);
    auto relayed = good;
    relayed[0] = std::byte{12};
    CHECK(wire::dhcpv6_view::parse(relayed).error() == errc::unsupported);
}

TEST_CASE("an association whose times contradict one another is not there (RFC 8415 section 21.4)") {
    CHECK(wire::dhcpv6_view::parse(write({.t1 = 20, .t2 = 10}, 1))->association(iaid) == std::nullopt);
    CHECK(wire::dhcpv6_view::parse(write({.t1 = 20, .t2 = 0}, 1))->association(iaid) != std::nullopt);
    CHECK(wire::dhcpv6_view::parse(write({}, 1))->association(8) == std::nullopt);
}

TEST_CASE("who we are (RFC 8415 section 11.4)") {
    const auto own = dhcpv6_duid::of(own_mac);
    REQUIRE(own.view().size() == 10);
    CHECK(wire::load<std::uint32_t>(own.view().data()) == 0x00030001u);
    CHECK(wire::load_native<mac_address>(own.view().data() + 4) == own_mac);
}

TEST_CASE("a Solicit is repeated, ever less often (RFC 8415 sections 15 and 18.2.1)") {
    machine_bench b;
    CHECK(b.client.next_deadline() == never); // nobody has asked for it
    b.starts(false, false);
    CHECK(b.client.next_deadline() == never);
    b.starts();
    CHECK(b.client.next_deadline() - b.now <= 1s);
    b.passes(24h);
    REQUIRE(b.sent.size() > 20);
    std::uint32_t transaction = b.sent[0].view().transaction();
    duration last = b.sent[1].at - b.sent[0].at;
    CHECK(last > 1s); // strictly: section 18.2.1
    CHECK(last <= 1100ms + 1ms);
    bool grows = true, bounded = true;
    for (std::size_t i = 0; i < b.sent.size(); ++i) {
        CHECK(b.sent[i].view().type() == dhcpv6_type::solicit);
        CHECK(b.sent[i].view().transaction() == transaction);
        if (i < 2)
            continue;
        const duration gap = b.sent[i].at - b.sent[i - 1].at;
        if (last < 28min)
            grows = grows && gap >= last * 19 / 10 - 1ms && gap <= last * 21 / 10 + 1ms;
        bounded = bounded && gap <= 66min + 1ms;
        last = gap;
    }
    CHECK(grows);
    CHECK(bounded);
    // section 21.9: how long it has been asking, in hundredths of a second
    CHECK(b.sent[0].view().options().number<std::uint16_t>(dhcpv6_option::elapsed_time) == 0);
    CHECK(about(1s * *b.sent[1].view().options().number<std::uint16_t>(dhcpv6_option::elapsed_time), 105s));
    CHECK(b.sent.back().view().options().number<std::uint16_t>(dhcpv6_option::elapsed_time) == 0xffff);
    const auto first = b.sent[0].view();
    CHECK(first.options().find(dhcpv6_option::rapid_commit));
    CHECK_FALSE(first.options().find(dhcpv6_option::server_identifier));
    CHECK(first.options().identifier(dhcpv6_option::client_identifier) == dhcpv6_duid::of(own_mac));
    CHECK(first.association(iaid));
}

TEST_CASE("Solicit, Advertise, Request, Reply (RFC 8415 sections 18.2.1, 18.2.2, 18.2.9 and 18.2.10)") {
    machine_bench b;
    b.starts();
    REQUIRE(b.next() == dhcpv6_type::solicit);
    SUBCASE("the best of the first second") {
        b.hears({.type = dhcpv6_type::advertise, .preference = 1});
        b.hears({.type = dhcpv6_type::advertise, .address = of("2001:db8::b"), .from = server_b, .preference = 9});
        b.hears({.type = dhcpv6_type::advertise, .preference = 9});
        CHECK(b.sent.size() == 1);
        REQUIRE(b.next() == dhcpv6_type::request);
        CHECK(b.sent.back().view().options().identifier(dhcpv6_option::server_identifier) == server_b);
        b.hears({.address = of("2001:db8::b")}); // another server's
        CHECK(b.client.lease() == nullptr);
        b.hears({.address = of("2001:db8::b"), .from = server_b});
        REQUIRE(b.client.lease() != nullptr);
        CHECK(b.client.lease()->address == of("2001:db8::b"));
        CHECK(b.events == std::vector{dhcpv6_event::bound});
    }
    SUBCASE("one that is the best there can be") {
        b.hears({.type = dhcpv6_type::advertise, .preference = 255});
        REQUIRE(b.sent.size() == 2);
        CHECK(b.sent[1].view().type() == dhcpv6_type::request);
        const auto ia = b.sent[1].view().association(iaid);
        REQUIRE(ia);
        ia->each([](const wire::dhcpv6_address& a) { CHECK(a.address == leased); });
    }
    SUBCASE("late: the first one") {
        REQUIRE(b.next() == dhcpv6_type::solicit);
        b.hears({.type = dhcpv6_type::advertise});
        CHECK(b.sent.back().view().type() == dhcpv6_type::request);
    }
    SUBCASE("offers of nothing are none") {
        b.hears({.type = dhcpv6_type::advertise, .ia_status = dhcpv6_status::no_addresses, .solicit_max = 60});
        b.hears({.type = dhcpv6_type::advertise, .status = dhcpv6_status::no_addresses});
        b.hears({.type = dhcpv6_type::advertise, .with_ia = false});
        b.hears({.type = dhcpv6_type::advertise, .address = of("ff02::1")});
        b.hears({.type = dhcpv6_type::advertise, .address = of("fe80::1")});
        b.hears({.type = dhcpv6_type::advertise, .preferred = 9000}); // longer than it is valid: section 21.6
        REQUIRE(b.next() == dhcpv6_type::solicit);
        b.passes(1h);
        const duration last = b.sent.back().at - b.sent[b.sent.size() - 2].at;
        CHECK(about(last, 60s)); // section 21.24: as the server wants it
    }
    SUBCASE("what is not for us (sections 16.3, 16.10 and 16.11)") {
        b.hears({.type = dhcpv6_type::advertise, .preference = 255, .transaction_xor = 1});
        b.hears({.type = dhcpv6_type::advertise, .from = {}, .preference = 255});
        b.hears({.type = dhcpv6_type::advertise, .preference = 255, .to = {}});
        b.hears({.type = dhcpv6_type::advertise, .preference = 255, .to = server_b});
        b.hears({.type = dhcpv6_type::reconfigure});
        b.hears({.type = dhcpv6_type::request});
        b.hears({}); // it has not said that it has committed
        CHECK(b.sent.size() == 1);
        CHECK(b.client.state() == dhcpv6_state::soliciting);
    }
    SUBCASE("a server that commits at once (section 18.3.1)") {
        b.hears({.rapid = true});
        CHECK(b.client.state() == dhcpv6_state::bound);
    }
    SUBCASE("a Request that nobody answers ends after ten") {
        b.hears({.type = dhcpv6_type::advertise, .preference = 255});
        for (unsigned i = 1; i < 10; ++i)
            REQUIRE(b.next() == dhcpv6_type::request);
        CHECK(b.sent.back().at - b.sent[b.sent.size() - 2].at <= 33s + 1ms);
        CHECK(b.next() == dhcpv6_type::solicit);
    }
    SUBCASE("a Request that is refused") {
        b.hears({.type = dhcpv6_type::advertise, .preference = 255});
        b.hears({.ia_status = dhcpv6_status::unspecified}); // it may do better next time
        REQUIRE(b.next() == dhcpv6_type::request);
        const instant refused = b.now;
        b.hears({.ia_status = dhcpv6_status::not_on_link});
        CHECK(b.next() == dhcpv6_type::solicit);
        CHECK(b.now - refused >= 1s); // section 14.1: no faster than that
        CHECK(b.events.empty());
    }
}

TEST_CASE("a lease is renewed, then rebound, then lost (RFC 8415 sections 18.2.4 and 18.2.5)") {
    machine_bench b;
    const instant begun = b.now;
    b.bind({.t1 = 1000, .t2 = 1600});
    const auto* lease = b.client.lease();
    REQUIRE(lease != nullptr);
    const instant from = lease->valid_until - 7200s;
    CHECK(from - begun <= 1s);
    CHECK(lease->preferred_until == from + 3600s);
    REQUIRE(b.next() == dhcpv6_type::renew);
    CHECK(b.now == from + 1000s);
    CHECK(b.sent.back().view().options().identifier(dhcpv6_option::server_identifier) == server_a);
    SUBCASE("renewed") {
        b.hears({.from = server_b}); // not the one that was asked
        CHECK(b.client.state() == dhcpv6_state::renewing);
        b.hears({.with_ia = false}); // says nothing of it: goes on
        CHECK(b.client.state() == dhcpv6_state::renewing);
        b.hears({});
        CHECK(b.events == std::vector{dhcpv6_event::bound, dhcpv6_event::renewed});
        CHECK(b.client.lease()->valid_until == b.now + 7200s);
        CHECK(b.client.lease()->renew_at == b.now + 1800s); // section 21.4: half of the preferred lifetime
        CHECK(b.client.lease()->rebind_at == b.now + 2880s);
    }
    SUBCASE("the server does not answer") {
        REQUIRE(b.next() == dhcpv6_type::renew);
        CHECK(about(b.now - (from + 1000s), 10s)); // REN_TIMEOUT
        while (b.next() == dhcpv6_type::renew) {
        }
        CHECK(b.sent.back().view().type() == dhcpv6_type::rebind);
        CHECK(b.now == from + 1600s);
        CHECK_FALSE(b.sent.back().view().options().find(dhcpv6_option::server_identifier));
        SUBCASE("another one does") {
            b.hears({.from = server_b});
            CHECK(b.client.lease()->server == server_b);
            CHECK(b.events.back() == dhcpv6_event::renewed);
        }
        SUBCASE("nobody does") {
            while (b.next() == dhcpv6_type::rebind) {
            }
            CHECK(b.sent.back().view().type() == dhcpv6_type::solicit);
            CHECK(b.client.lease() == nullptr);
            CHECK(b.events == std::vector{dhcpv6_event::bound, dhcpv6_event::lost});
            CHECK(b.now - (from + 7200s) <= 12s);
        }
    }
    SUBCASE("the server has forgotten: asked again for the same (section 18.2.10.1)") {
        b.hears({.ia_status = dhcpv6_status::no_binding});
        REQUIRE(b.sent.back().view().type() == dhcpv6_type::request);
        b.hears({});
        CHECK(b.events == std::vector{dhcpv6_event::bound, dhcpv6_event::renewed});
    }
    SUBCASE("the server takes it away") {
        b.hears({.preferred = 0, .valid = 0});
        CHECK(b.events == std::vector{dhcpv6_event::bound, dhcpv6_event::lost});
        CHECK(b.next() == dhcpv6_type::solicit);
    }
}

TEST_CASE("on another link it asks whether its address belongs there (RFC 8415 section 18.2.3)") {
    machine_bench b;
    b.bind({.t1 = 1000, .t2 = 1600});
    const instant renew_at = b.client.lease()->renew_at, asked = b.now;
    b.client.moved(b.now, b.random);
    REQUIRE(b.next() == dhcpv6_type::confirm);
    CHECK(b.now - asked <= 1s);
    CHECK_FALSE(b.sent.back().view().options().find(dhcpv6_option::server_identifier));
    CHECK_FALSE(b.sent.back().view().options().find(dhcpv6_option::requested));
    REQUIRE(b.sent.back().view().association(iaid));
    b.sent.back().view().association(iaid)->each([](const wire::dhcpv6_address& a) { CHECK(a.address == leased); });
    SUBCASE("it does") {
        b.hears({.from = server_b, .with_ia = false});
        CHECK(b.client.state() == dhcpv6_state::bound);
        CHECK(b.client.next_deadline() == renew_at);
    }
    SUBCASE("it does not") {
        b.hears({.status = dhcpv6_status::not_on_link, .with_ia = false});
        CHECK(b.events == std::vector{dhcpv6_event::bound, dhcpv6_event::lost});
        CHECK(b.next() == dhcpv6_type::solicit);
    }
    SUBCASE("nobody says: used as before, after ten seconds") {
        const instant first = b.now;
        unsigned confirms = 0;
        while (b.next() == dhcpv6_type::confirm) {
            ++confirms;
            CHECK(b.now - first <= 10s);
        }
        CHECK(confirms >= 2);
        CHECK(b.sent.back().view().type() == dhcpv6_type::renew);
        CHECK(b.now == renew_at);
    }
}

TEST_CASE("on another link it asks for that link's names (RFC 8415 section 18.2.12)") {
    machine_bench b;
    b.starts(false, true);
    REQUIRE(b.next() == dhcpv6_type::information_request);
    b.hears({.with_ia = false});
    b.client.moved(b.now, b.random);
    CHECK(b.client.next_deadline() <= b.now + 1s);
    CHECK(b.next() == dhcpv6_type::information_request);
}

TEST_CASE("a lease for ever is never renewed (RFC 8415 section 7.7)") {
    machine_bench b;
    b.bind({.preferred = 0xffff'ffff, .valid = 0xffff'ffff});
    CHECK(b.client.next_deadline() == never);
}

TEST_CASE("an address that somebody has is declined, one that is not needed released (RFC 8415 sections 18.2.7 and 18.2.8)") {
    machine_bench b;
    b.bind();
    SUBCASE("declined") {
        b.note(b.client.conflict(b.now, b.random));
        const instant when = b.now;
        REQUIRE(b.sent.back().view().type() == dhcpv6_type::decline);
        CHECK(b.client.lease() == nullptr);
        CHECK(b.events.back() == dhcpv6_event::lost);
        const auto ia = b.sent.back().view().association(iaid);
        REQUIRE(ia);
        ia->each([](const wire::dhcpv6_address& a) { CHECK(a.address == leased); });
        SUBCASE("the server has heard") { b.hears({.with_ia = false}); }
        SUBCASE("the server is gone: four times") {
            for (unsigned i = 1; i < 4; ++i)
                REQUIRE(b.next() == dhcpv6_type::decline);
        }
        CHECK(b.next() == dhcpv6_type::solicit);
        CHECK(b.now - when >= 10s);
    }
    SUBCASE("released") {
        b.note(b.client.release(b.now, b.random));
        REQUIRE(b.sent.back().view().type() == dhcpv6_type::release);
        CHECK(b.client.lease() == nullptr);
        SUBCASE("the server has heard") { b.hears({.with_ia = false}); }
        SUBCASE("the server is gone: four times") {
            const std::size_t before = b.sent.size();
            b.passes(1h);
            CHECK(b.sent.size() == before + 3);
        }
        CHECK(b.client.state() == dhcpv6_state::stopped);
        CHECK(b.client.next_deadline() == never);
    }
}

TEST_CASE("names without an address (RFC 8415 sections 18.2.6 and 18.2.10.4, RFC 3646)") {
    machine_bench b;
    b.starts(false, true);
    REQUIRE(b.next() == dhcpv6_type::information_request);
    CHECK_FALSE(b.sent.back().view().options().find(dhcpv6_option::ia_na));
    REQUIRE(b.next() == dhcpv6_type::information_request);
    SUBCASE("for a day") {
        b.hears({.with_ia = false});
        CHECK(b.client.next_deadline() == b.now + 24h);
    }
    SUBCASE("as long as the server says (section 21.23)") {
        b.hears({.with_ia = false, .refresh = 3600});
        CHECK(b.client.next_deadline() == b.now + 1h);
    }
    SUBCASE("not less than ten minutes") {
        b.hears({.with_ia = false, .refresh = 5});
        CHECK(b.client.next_deadline() == b.now + 10min);
        CHECK(b.next() == dhcpv6_type::information_request);
    }
    SUBCASE("for ever") {
        b.hears({.with_ia = false, .refresh = 0xffff'ffff});
        CHECK(b.client.next_deadline() == never);
    }
    CHECK(b.events == std::vector{dhcpv6_event::informed});
    REQUIRE(b.client.names().servers().size() == 1);
    CHECK(b.client.names().servers()[0] == resolver);
    REQUIRE(b.client.names().domains().size() == 2);
    CHECK(b.client.names().domains()[0] == *wire::dns_name::parse("lan.example"));
    CHECK(b.client.names().domains()[1] == *wire::dns_name::parse("at.home"));
    b.starts(true, true); // now the routers want more
    CHECK(b.next() == dhcpv6_type::solicit);
}

namespace {

using host = stack_of<net::ipv6, net::udp, net::dhcpv6>;
using server_host = stack_of<net::ipv6, net::udp, net::mld>;

struct network {
    memory::simulation sim;
    memory::link<> link{sim.loop()};
    memory::seeded_random random{61}, other{62};
    host here;
    server_host there{sim.loop(), link.b(), sim.clock(), other, {.ipv6 = {.ipv6 = {of("2001:db8::1"), 64}}}};
    std::vector<dhcpv6_type> heard{};
    ipv6_address gives = leased;
    nursery tasks{sim.loop()};

    explicit network(net::ipv6_options options = {})
        : here{sim.loop(), link.a(), sim.clock(), random, {.ipv6 = options}} {
        REQUIRE(tasks.spawn(here.run()));
        REQUIRE(tasks.spawn(there.run()));
        REQUIRE(tasks.spawn(here.get<net::dhcpv6>().run()));
        REQUIRE(tasks.spawn(serve()));
        run(5s);
    }
    void run(duration d) { (void)sim.run_until([] { return false; }, sim.now() + d); }

    task<> serve() {
        auto socket = there.udp().bind(wire::dhcpv6_server_port);
        REQUIRE(socket.join(wire::dhcpv6_servers_group));
        while (const auto query = co_await socket.receive()) {
            const auto view = wire::dhcpv6_view::parse(query->data.view());
            REQUIRE(view);
            CHECK(query->from.address.is_link_local());
            CHECK(query->from.port == wire::dhcpv6_client_port);
            heard.push_back(view->type());
            std::uint32_t ia = 0;
            if (const auto text = view->options().find(dhcpv6_option::ia_na))
                ia = wire::load<std::uint32_t>(text->data());
            const bool solicited = view->type() == dhcpv6_type::solicit, named = ia != 0;
            const auto answer = write({.type = solicited ? dhcpv6_type::advertise : dhcpv6_type::reply,
                                       .address = gives,
                                       .with_ia = named,
                                       .to = *view->options().identifier(dhcpv6_option::client_identifier)},
                                      view->transaction(), ia);
            (void)socket.send_to(query->from, answer);
        }
    }
    /// What the router says: M is 0x80, O is 0x40.
    void advertise(std::uint32_t flags) {
        auto m = bench::message(0x86000000u, 64u << 24 | flags << 16 | 1800u);
        m.resize(16);
        const auto pseudo = wire::pseudo_header_sum(router_address, ipv6_address::all_nodes(), 58, 16);
        wire::icmpv6_at::checksum::store(m.data(), wire::sum(m, pseudo).finish());
        std::array<std::byte, 70> frame{};
        wire::ethernet_header{mac_address{{0x33, 0x33, 0, 0, 0, 1}}, router_mac, wire::ethertype::ipv6}.emit(frame);
        wire::ipv6_header{.source = router_address, .destination = ipv6_address::all_nodes(),
                          .next = wire::next_header::icmpv6, .hop_limit = 255, .payload_length = 16}
            .emit(mutable_octets{frame}.subspan(14));
        std::ranges::copy(m, frame.begin() + 54);
        REQUIRE(link.b().transmit({.headers = frame}));
    }
    std::vector<ipv6_address> servers() {
        std::vector<ipv6_address> all;
        here.ip6().host().each_name_server([&](const ipv6_address& a) { all.push_back(a); });
        return all;
    }
};

} // namespace

TEST_CASE("a router's M flag starts DHCPv6, and its address is used (RFC 4861 section 4.2, RFC 8415 section 18)") {
    network n;
    CHECK(n.heard.empty());
    n.advertise(0x80);
    n.run(5s);
    CHECK(n.heard == std::vector{dhcpv6_type::solicit, dhcpv6_type::request});
    REQUIRE(n.here.get<net::dhcpv6>().lease() != nullptr);
    CHECK(n.here.ip6().addresses().is_valid(leased));
    CHECK(n.here.ip6().source_for(of("2001:db8:9::1")) == leased);
    CHECK(n.servers() == std::vector{resolver});
    unsigned searched = 0;
    n.here.ip6().host().each_search_domain([&](const wire::dns_name&) { ++searched; });
    CHECK(searched == 2);
    n.run(1801s);
    CHECK(n.heard.back() == dhcpv6_type::renew);
    CHECK(n.here.ip6().addresses().is_valid(leased));
    n.here.get<net::dhcpv6>().reattached(); // the stack says so when the interface has moved
    n.run(2s);
    CHECK(n.heard.back() == dhcpv6_type::confirm);
    CHECK(n.here.ip6().addresses().is_valid(leased));
    n.here.get<net::dhcpv6>().release();
    n.run(1s);
    CHECK(n.heard.back() == dhcpv6_type::release);
    CHECK_FALSE(n.here.ip6().addresses().is_valid(leased));
}

TEST_CASE("a router's O flag alone asks for names (RFC 8415 section 18.2.6)") {
    network n;
    n.advertise(0x40);
    n.run(5s);
    CHECK(n.heard == std::vector{dhcpv6_type::information_request});
    CHECK(n.servers() == std::vector{resolver});
    CHECK(n.here.get<net::dhcpv6>().lease() == nullptr);
}

TEST_CASE("a stack that was given its address leases none") {
    network n{net::ipv6_options{.ipv6 = {of("2001:db8::2"), 64}}};
    n.advertise(0x80);
    n.run(5s);
    CHECK(n.heard == std::vector{dhcpv6_type::information_request});
}

TEST_CASE("a leased address that somebody has is declined (RFC 8415 section 18.2.10.1, RFC 4862 section 5.4)") {
    network n;
    n.gives = of("2001:db8::1"); // the server's own
    n.advertise(0x80);
    n.run(5s);
    CHECK(n.heard == std::vector{dhcpv6_type::solicit, dhcpv6_type::request, dhcpv6_type::decline});
    CHECK_FALSE(n.here.ip6().addresses().is_valid(n.gives));
    n.gives = leased;
    n.run(20s);
    CHECK(n.here.ip6().addresses().is_valid(leased));
}
