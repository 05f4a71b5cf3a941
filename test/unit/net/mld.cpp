// SPDX-License-Identifier: MIT
// IPv6 groups of applications: the pure listener_membership, then on whole stacks.
#include "mirage/net/mld.hpp"
#include "mirage/net/igmp.hpp"
#include "over_ipv6.hpp"
#include <string>

using namespace test::over_ipv6;
using net::listener_membership;

namespace {

const ipv6_address group = of("ff05::1:3"), other_group = of("ff02::fb");

/// One record of a report, or one message of version 1.
struct said {
    std::string what{};
    ipv6_address group{};
    instant at{};
};

struct machine_bench {
    memory::seeded_random random{51};
    listener_membership machine{};
    instant now{1h};
    std::vector<said> log{};

    void passes(duration d) {
        const instant end = now + d;
        while (machine.next_deadline() <= end) {
            now = std::max(now, machine.next_deadline());
            if (const auto m = machine.on_time(now, random))
                note(*m);
        }
        now = end;
    }
    void note(const listener_membership::message& m) {
        const auto type = std::to_integer<unsigned>(m.text[0]);
        if (type != 143) {
            REQUIRE(m.size == 24);
            const auto about = wire::field<ipv6_address, 8>::load(m.text.data());
            log.push_back({type == 131 ? "v1 report" : type == 132 ? "done" : "?", about, now});
            CHECK(m.destination == (type == 132 ? ipv6_address::all_routers() : about));
            return;
        }
        CHECK(m.destination == of("ff02::16"));
        REQUIRE(m.size == 8u + 20u * wire::load<std::uint16_t>(m.text.data() + 6));
        for (std::size_t at = 8; at < m.size; at += 20) {
            const auto record = std::to_integer<unsigned>(m.text[at]);
            log.push_back({record == 2 ? "is exclude" : record == 3 ? "to include" : record == 4 ? "to exclude" : "?",
                           wire::field<ipv6_address, 4>::load(m.text.data() + at), now});
        }
    }
    void query(std::uint32_t milliseconds, const ipv6_address& about = {}, unsigned robustness = 2) {
        machine.queried({.max_response = milliseconds, .group = about}, {robustness, 125s}, now, random);
    }
    void older_query(std::uint32_t milliseconds, const ipv6_address& about = {}) {
        machine.queried({.max_response = milliseconds, .group = about, .first_version = true}, {}, now, random);
    }
    std::string words() {
        std::string all;
        for (const said& s : log)
            all += s.what + (s.group == group ? " 1, " : " 2, ");
        log.clear();
        return all;
    }
};

} // namespace

TEST_CASE("what an application listens to is said twice (RFC 3810 section 6.1)") {
    machine_bench b;
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    REQUIRE(b.log.size() == 2);
    CHECK(b.log[0].at == instant{1h}); // at once
    CHECK(b.log[1].at - b.log[0].at <= 1s);
    CHECK(b.words() == "to exclude 1, to exclude 1, ");
    REQUIRE(b.machine.join(group, b.now)); // a second user is nobody's business
    b.machine.leave(group, b.now);
    b.passes(10s);
    CHECK(b.words().empty());
    CHECK(b.machine.is_listener(group));
    b.machine.leave(group, b.now);
    CHECK_FALSE(b.machine.is_listener(group));
    b.passes(10s);
    CHECK(b.words() == "to include 1, to include 1, ");
    CHECK(b.machine.next_deadline() == never);
    b.machine.leave(group, b.now);
    b.passes(10s);
    CHECK(b.words().empty());
    // back before the second time
    REQUIRE(b.machine.join(group, b.now));
    b.passes(1ms);
    b.machine.leave(group, b.now);
    b.passes(1ms);
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    CHECK(b.words() == "to exclude 1, to include 1, to exclude 1, to exclude 1, ");
    b.machine.repeat(b.now);
    b.passes(10s);
    CHECK(b.words() == "to exclude 1, to exclude 1, ");
}

TEST_CASE("what is no IPv6 group, and what is not reported (RFC 3810 section 6)") {
    machine_bench b;
    CHECK(b.machine.join(of("2001:db8::1"), b.now).error() == errc::invalid_argument);
    CHECK(b.machine.join({}, b.now).error() == errc::invalid_argument);
    REQUIRE(b.machine.join(ipv6_address::all_nodes(), b.now));
    REQUIRE(b.machine.join(of("ff01::1:3"), b.now)); // does not leave the host
    b.query(1000);
    b.query(1000, of("ff01::1:3"));
    b.passes(10s);
    CHECK(b.words().empty());
    CHECK(b.machine.is_listener(ipv6_address::all_nodes()));
    CHECK(b.machine.is_listener(of("ff01::1:3")));
    b.machine.leave(of("ff01::1:3"), b.now);
    CHECK_FALSE(b.machine.is_listener(of("ff01::1:3")));
    for (unsigned i = 1; i <= listener_membership::max_groups; ++i)
        REQUIRE(b.machine.join({0xff05'0000'0000'0000u, i}, b.now));
    CHECK(b.machine.join(group, b.now).error() == errc::no_buffers);
    b.passes(0s);
    CHECK(b.log.size() == listener_membership::max_groups); // all in one report
    b.machine.leave(of("ff05::1"), b.now);
    b.passes(10s);
    CHECK(b.machine.join(group, b.now));
}

TEST_CASE("queries about applications' groups are answered within their time (RFC 3810 section 6.2)") {
    machine_bench b;
    REQUIRE(b.machine.join(group, b.now));
    REQUIRE(b.machine.join(other_group, b.now));
    b.passes(10s);
    b.words();
    const instant asked = b.now;
    SUBCASE("about everything: one report") {
        b.query(10'000);
        b.query(10'000); // another router: one answer does for both
        b.passes(20s);
        REQUIRE(b.log.size() == 2);
        CHECK(b.log[0].at == b.log[1].at);
        CHECK(b.log[0].at - asked <= 10s);
        CHECK(b.words() == "is exclude 1, is exclude 2, ");
    }
    SUBCASE("about one group") {
        b.query(1000, other_group);
        b.passes(1s);
        CHECK(b.words() == "is exclude 2, ");
        b.query(1000, of("ff05::99"));
        b.passes(20s);
        CHECK(b.words().empty());
    }
    SUBCASE("one that has left says nothing") {
        b.machine.leave(group, b.now);
        b.passes(10s);
        b.words();
        b.query(10'000);
        b.passes(20s);
        CHECK(b.words() == "is exclude 2, ");
    }
    SUBCASE("the querier says how often changes are repeated (section 9.1)") {
        b.query(1, {}, 4);
        b.passes(1s);
        b.words();
        b.machine.leave(group, b.now);
        b.passes(10s);
        CHECK(b.words() == "to include 1, to include 1, to include 1, to include 1, ");
    }
}

TEST_CASE("a router that knows version 1 alone is spoken to in its way (RFC 3810 section 8.2.1)") {
    machine_bench b;
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    b.words();
    b.query(10'000); // pending in the other form: forgotten
    b.older_query(10'000);
    CHECK(b.machine.first_version(b.now));
    b.passes(20s);
    CHECK(b.words() == "v1 report 1, ");
    REQUIRE(b.machine.join(other_group, b.now));
    b.passes(20s);
    CHECK(b.words() == "v1 report 2, v1 report 2, ");
    b.machine.leave(other_group, b.now);
    b.passes(20s);
    CHECK(b.words() == "done 2, ");
    b.passes(260s); // section 9.12: 2 * 125 s + 10 s
    CHECK_FALSE(b.machine.first_version(b.now));
    b.query(1000);
    b.passes(1s);
    CHECK(b.words() == "is exclude 1, ");
}

TEST_CASE("what a querier says of itself (RFC 3810 sections 5.1.8 and 5.1.9)") {
    std::vector<std::byte> m(28);
    m[0] = std::byte{130};
    m[24] = std::byte{0xfb}; // S, and robustness 3
    m[25] = std::byte{125};
    const auto read = [&] { return wire::mld_querier::of(*wire::icmpv6_view::parse(m, {}, wire::verify::no)); };
    CHECK(read().robustness == 3);
    CHECK(read().interval == 125s);
    m[25] = std::byte{0x9f}; // (15 | 16) << (1 + 3)
    CHECK(read().interval == 496s);
    m.resize(24); // version 1 says nothing
    CHECK(read().robustness == 0);
    CHECK(read().interval == 0s);
}

namespace {

using listening = stack_of<net::ipv4, net::ipv6, net::udp, net::igmp, net::mld>;
using only_ipv6_listening = stack_of<net::ipv6, net::udp, net::mld>;
template <class Stack>
concept joins = requires(decltype(std::declval<Stack&>().udp().bind(0))& s, ipv6_address a) { s.join(a); };
static_assert(joins<only_ipv6_listening> && joins<listening> && !joins<only_ipv6> && !joins<dual>);

template <class Stack>
struct two_stacks {
    memory::simulation sim;
    memory::link<> link{sim.loop()};
    memory::seeded_random random{61}, other{62};
    Stack here{sim.loop(), link.a(), sim.clock(), random,
               {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}, .ipv6 = {.ipv6 = {of("2001:db8::1"), 64}}}};
    Stack there{sim.loop(), link.b(), sim.clock(), other,
                {.network = {.ipv4 = {{10, 0, 0, 2}, 24}}, .ipv6 = {.ipv6 = {of("2001:db8::2"), 64}}}};
    std::uint8_t last_hops = 0;
    std::vector<std::vector<std::byte>> reports{}; // that are about `group`
    nursery tasks{sim.loop()};

    struct eavesdropper {
        two_stacks& home;
        bool operator()(octets frame) const {
            const auto packet = wire::ipv6_view::parse(frame.subspan(14));
            if (!packet)
                return true;
            const auto chain = wire::walk_extensions(*packet);
            if (chain.protocol == 17)
                home.last_hops = packet->hop_limit();
            if (const octets text = packet->packet().subspan(chain.offset); chain.protocol == 58 && text[0] == std::byte{143})
                if (wire::field<ipv6_address, 12>::load(text.data()) == group)
                    home.reports.emplace_back(frame.begin(), frame.end());
            return true;
        }
    } ear{*this};

    two_stacks() {
        link.a().filter(ear);
        REQUIRE(tasks.spawn(here.run()));
        REQUIRE(tasks.spawn(there.run()));
    }
    void run(duration d) { (void)sim.run_until([] { return false; }, sim.now() + d); }
};

const octets text = std::as_bytes(std::span{"text", 4});

template <class Stack>
void datagrams_reach_who_listens() {
    two_stacks<Stack> b;
    b.run(5s);
    auto sender = b.here.udp().bind(0), first = b.there.udp().bind(5353), second = b.there.udp().bind(5354);
    unsigned got = 0, others = 0;
    const auto count = [](auto& socket, unsigned& n) -> task<> {
        while (const auto d = co_await socket.receive()) {
            CHECK(d->to == group);
            ++n;
        }
    };
    REQUIRE(b.tasks.spawn(count(first, got)));
    REQUIRE(b.tasks.spawn(count(second, others)));
    const auto send = [&](std::uint16_t port) {
        REQUIRE(sender.send_to({group, port}, text));
        b.run(10ms);
    };
    send(5353);
    CHECK(got == 0);
    CHECK(b.there.ip6().statistics().not_for_us >= 1);
    REQUIRE(first.join(group));
    CHECK(first.join(group).error() == errc::in_use);
    CHECK(first.join({}).error() == errc::invalid_argument);
    CHECK(first.join(of("2001:db8::2")).error() == errc::invalid_argument);
    send(5353);
    CHECK(got == 1);
    CHECK(b.last_hops == 1);
    sender.multicast_hops(64);
    send(5354); // the stack listens, this socket does not
    CHECK(others == 0);
    CHECK(b.last_hops == 64);
    sender.multicast_hops(0);
    first.leave(group);
    send(5353);
    CHECK(got == 1);
    {
        auto brief = b.there.udp().bind(7000);
        REQUIRE(brief.join(group));
        CHECK(b.there.template get<net::mld>().groups().is_listener(group));
    }
    CHECK_FALSE(b.there.template get<net::mld>().groups().is_listener(group)); // the socket is gone
}

} // namespace

TEST_CASE("datagrams to an IPv6 group reach the sockets that have joined (RFC 3493 section 5.2)") {
    SUBCASE("IPv6 alone") { datagrams_reach_who_listens<only_ipv6_listening>(); }
    SUBCASE("both families") { datagrams_reach_who_listens<listening>(); }
}

TEST_CASE("a socket of both families joins groups of both") {
    two_stacks<listening> b;
    b.run(5s);
    auto sender = b.here.udp().bind(0), receiver = b.there.udp().bind(5353);
    constexpr ipv4_address four{239, 1, 2, 3};
    REQUIRE(receiver.join(group));
    REQUIRE(receiver.join(four));
    CHECK(receiver.join(ipv4_address{}).error() == errc::invalid_argument);
    CHECK(b.there.get<net::igmp>().groups().is_member(four));
    std::vector<ip_address> got;
    REQUIRE(b.tasks.spawn([](auto& socket, auto& all) -> task<> {
        while (const auto d = co_await socket.receive())
            all.push_back(d->to);
    }(receiver, got)));
    REQUIRE(sender.send_to({group, 5353}, text));
    REQUIRE(sender.send_to({four, 5353}, text));
    b.run(10ms);
    CHECK(got == std::vector<ip_address>{group, four});
    receiver.leave(four);
    REQUIRE(sender.send_to({group, 5353}, text));
    REQUIRE(sender.send_to({four, 5353}, text));
    b.run(10ms);
    CHECK(got.size() == 3);
}

TEST_CASE("what a report of applications' groups looks like on the link (RFC 3810 section 5)") {
    two_stacks<only_ipv6_listening> b;
    auto socket = b.here.udp().bind(1000);
    REQUIRE(socket.join(group));
    b.run(10s);
    // RFC 3590 section 4: first from ::, and again when there is a link-local address
    REQUIRE(b.reports.size() >= 3);
    CHECK(wire::ipv6_view::parse(octets{b.reports.front()}.subspan(14))->source().is_unspecified());
    const octets frame{b.reports.back()};
    CHECK(wire::ethernet_view::parse(frame)->destination() == mac_address{{0x33, 0x33, 0, 0, 0, 0x16}});
    const auto packet = wire::ipv6_view::parse(frame.subspan(14));
    CHECK(packet->source() == b.here.ip6().addresses().link_local());
    CHECK(packet->destination() == of("ff02::16"));
    CHECK(packet->hop_limit() == 1);
    const auto chain = wire::walk_extensions(*packet);
    CHECK(chain.router_alert);
    const octets message = packet->packet().subspan(chain.offset);
    CHECK(message.size() == 28);
    CHECK(wire::sum(message, wire::pseudo_header_sum(packet->source(), packet->destination(), 58, 28)).intact());

    // a general query, from a router on the link
    const std::size_t before = b.reports.size();
    std::array<std::byte, 14 + 48 + 28> query{};
    const auto ask = [&](const ipv6_address& from) {
        wire::ethernet_header{mac_address{{0x33, 0x33, 0, 0, 0, 1}}, b.link.b().mac(), wire::ethertype::ipv6}.emit(query);
        const auto body = wire::mld::emit_headers(mutable_octets{query}.subspan(14), from, ipv6_address::all_nodes(), 28);
        std::ranges::fill(body, std::byte{0});
        wire::store<std::uint32_t>(body.data(), 0x82000000u);
        wire::store<std::uint32_t>(body.data() + 4, 1000u << 16);
        wire::store<std::uint32_t>(body.data() + 24, 0x027d0000u);
        wire::icmpv6_at::checksum::store(
            body.data(), wire::sum(body, wire::pseudo_header_sum(from, ipv6_address::all_nodes(), 58, 28)).finish());
        REQUIRE(b.link.b().transmit({.headers = query}));
        b.run(2s);
    };
    ask(of("2001:db8::99")); // RFC 3810 section 5.1.14: not from the link
    CHECK(b.reports.size() == before);
    CHECK(b.here.get<net::mld>().statistics().queries == 0);
    ask(of("fe80::99"));
    CHECK(b.reports.size() == before + 1);
    CHECK(b.here.get<net::mld>().statistics().queries == 1);
    const octets answer{b.reports.back()};
    CHECK(answer[14 + 48 + 8] == std::byte{2}); // MODE_IS_EXCLUDE
}
