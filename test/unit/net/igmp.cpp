// SPDX-License-Identifier: MIT
// Multicast groups: the pure group_membership, then on whole stacks.
#include "mirage/net/igmp.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::group_membership;
using wire::igmp_short;
using wire::igmp_type;

constexpr ipv4_address group{239, 1, 2, 3}, other_group{224, 0, 1, 5};

/// One record of a report, or one message of an older version.
struct said {
    std::string what{};
    ipv4_address group{};
    instant at{};
};

struct bench {
    memory::seeded_random random{51};
    group_membership machine{};
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
    void note(const group_membership::message& m) {
        const auto view = wire::igmp_view::parse(m.view());
        REQUIRE(view);
        if (view->type() != igmp_type::report_v3) {
            log.push_back({view->type() == igmp_type::report_v2   ? "v2 report"
                           : view->type() == igmp_type::report_v1 ? "v1 report"
                                                                  : "leave",
                           view->group(), now});
            CHECK(m.destination
                  == (view->type() == igmp_type::leave ? net::all_routers_group : view->group()));
            return;
        }
        CHECK(m.destination == net::igmp_v3_group);
        for (std::size_t at = 8; at < m.size; at += 8) {
            const auto type = std::to_integer<unsigned>(m.text[at]);
            log.push_back({type == 2 ? "is exclude" : type == 3 ? "to include" : type == 4 ? "to exclude" : "?",
                           ipv4_address{wire::load<std::uint32_t>(m.text.data() + at + 4)}, now});
        }
    }
    void hears(octets message, ipv4_address destination = net::all_hosts_group) {
        machine.receive(*wire::igmp_view::parse(message), destination, now, random);
    }
    void query(std::uint8_t code, ipv4_address about = {}, unsigned robustness = 2) {
        std::array<std::byte, 12> m{};
        igmp_short{.type = igmp_type::query, .response_code = code, .group = about}.emit(m);
        wire::store<std::uint16_t>(m.data() + 2, 0);
        m[8] = static_cast<std::byte>(robustness);
        m[9] = std::byte{125};
        wire::igmp_at::checksum::store(m.data(), wire::sum(octets{m}).finish());
        hears(m, about.is_unspecified() ? net::all_hosts_group : about);
    }
    void older(igmp_type type, std::uint8_t code, ipv4_address about = {}) {
        std::array<std::byte, 8> m{};
        igmp_short{.type = type, .response_code = code, .group = about}.emit(m);
        hears(m, about.is_unspecified() ? net::all_hosts_group : about);
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

TEST_CASE("joining and leaving is said twice (RFC 3376 section 5.1)") {
    bench b;
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    REQUIRE(b.log.size() == 2);
    CHECK(b.log[0].at == instant{1h}); // at once
    CHECK(b.log[1].at - b.log[0].at <= 1s);
    CHECK(b.words() == "to exclude 1, to exclude 1, ");
    CHECK(b.machine.is_member(group));
    REQUIRE(b.machine.join(group, b.now)); // a second user is nobody's business
    b.machine.leave(group, b.now);
    b.passes(10s);
    CHECK(b.words().empty());
    CHECK(b.machine.is_member(group));
    b.machine.leave(group, b.now);
    CHECK_FALSE(b.machine.is_member(group));
    b.passes(10s);
    CHECK(b.words() == "to include 1, to include 1, ");
    b.machine.leave(group, b.now);
    b.passes(10s);
    CHECK(b.words().empty());
    CHECK(b.machine.next_deadline() == never);
    // back before the second time
    REQUIRE(b.machine.join(group, b.now));
    b.passes(1ms);
    b.machine.leave(group, b.now);
    b.passes(1ms);
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    CHECK(b.words() == "to exclude 1, to include 1, to exclude 1, to exclude 1, ");
}

TEST_CASE("what is no group, and too many") {
    bench b;
    CHECK(b.machine.join(ipv4_address{10, 0, 0, 1}, b.now).error() == errc::invalid_argument);
    CHECK(b.machine.join({}, b.now).error() == errc::invalid_argument);
    REQUIRE(b.machine.join(net::all_hosts_group, b.now)); // RFC 3376 section 6: never reported
    CHECK(b.machine.next_deadline() == never);
    CHECK(b.machine.is_member(net::all_hosts_group));
    for (unsigned i = 0; i < group_membership::max_groups; ++i)
        REQUIRE(b.machine.join(ipv4_address{239, 0, 0, static_cast<std::uint8_t>(i)}, b.now));
    CHECK(b.machine.join(group, b.now).error() == errc::no_buffers);
    b.passes(0s);
    CHECK(b.log.size() == group_membership::max_groups); // all in one report
    b.machine.leave(ipv4_address{239, 0, 0, 0}, b.now);
    b.passes(10s);
    CHECK(b.machine.join(group, b.now));
}

TEST_CASE("queries are answered within their time (RFC 3376 section 5.2)") {
    bench b;
    REQUIRE(b.machine.join(group, b.now));
    REQUIRE(b.machine.join(other_group, b.now));
    b.passes(10s);
    b.words();
    const instant asked = b.now;
    SUBCASE("about everything: one report") {
        b.query(100);
        b.query(100); // another router: one answer does for both
        b.passes(20s);
        REQUIRE(b.log.size() == 2);
        CHECK(b.log[0].at == b.log[1].at);
        CHECK(b.log[0].at - asked <= 10s);
        CHECK(b.words() == "is exclude 1, is exclude 2, ");
    }
    SUBCASE("about one group") {
        b.query(10, other_group);
        b.passes(1s);
        CHECK(b.words() == "is exclude 2, ");
        b.query(10, ipv4_address{239, 9, 9, 9});
        b.passes(20s);
        CHECK(b.words().empty());
    }
    SUBCASE("one that has left says nothing") {
        b.machine.leave(group, b.now);
        b.passes(10s);
        b.words();
        b.query(100);
        b.passes(20s);
        CHECK(b.words() == "is exclude 2, ");
    }
    SUBCASE("a general query that was sent to us alone is not answered (section 9.1)") {
        std::array<std::byte, 8> m{};
        igmp_short{.type = igmp_type::query, .response_code = 100}.emit(m);
        b.hears(m, ipv4_address{10, 0, 0, 1});
        b.passes(20s);
        CHECK(b.words().empty());
    }
    SUBCASE("the querier says how often changes are repeated (section 8.1)") {
        b.query(1, {}, 4);
        b.passes(1s);
        b.words();
        b.machine.leave(group, b.now);
        b.passes(10s);
        CHECK(b.words() == "to include 1, to include 1, to include 1, to include 1, ");
    }
}

TEST_CASE("an older router is spoken to in its way (RFC 3376 section 7.2)") {
    bench b;
    REQUIRE(b.machine.join(group, b.now));
    b.passes(10s);
    b.words();
    SUBCASE("version 2") {
        b.older(igmp_type::query, 100);
        CHECK(b.machine.version(b.now) == 2);
        b.passes(20s);
        CHECK(b.words() == "v2 report 1, ");
        REQUIRE(b.machine.join(other_group, b.now));
        b.passes(20s);
        CHECK(b.words() == "v2 report 2, v2 report 2, ");
        b.machine.leave(other_group, b.now);
        b.passes(20s);
        CHECK(b.words() == "leave 2, ");
        b.older(igmp_type::query, 100);
        b.older(igmp_type::report_v2, 0, group); // another member has answered
        b.passes(20s);
        CHECK(b.words().empty());
        b.passes(260s); // section 8.12: 2 * 125 s + 10 s
        CHECK(b.machine.version(b.now) == 3);
        b.query(10);
        b.passes(1s);
        CHECK(b.words() == "is exclude 1, ");
    }
    SUBCASE("version 1") {
        b.older(igmp_type::query, 0);
        CHECK(b.machine.version(b.now) == 1);
        b.passes(20s);
        CHECK(b.words() == "v1 report 1, ");
        b.machine.leave(group, b.now);
        b.passes(20s);
        CHECK(b.words().empty());
        CHECK(b.machine.next_deadline() == never);
    }
    SUBCASE("it comes while an answer is pending") {
        b.query(100);
        b.older(igmp_type::query, 100);
        b.passes(20s);
        CHECK(b.words() == "v2 report 1, ");
    }
}

namespace {

using stack_type =
    net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::udp, net::igmp>;

struct two_stacks {
    memory::simulation world{};
    memory::seeded_random random{61}, other{62};
    memory::link<> wire{world.loop()};
    stack_type here{world.loop(), wire.a(), world.clock(), random, {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}}};
    stack_type there{world.loop(), wire.b(), world.clock(), other, {.network = {.ipv4 = {{10, 0, 0, 2}, 24}}}};
    std::vector<std::vector<std::byte>> igmp_frames{};
    std::uint8_t last_ttl = 0;
    nursery tasks{world.loop()};

    struct eavesdropper {
        two_stacks& home;
        bool operator()(octets frame) const {
            const auto packet = wire::ipv4_view::parse(frame.subspan(14));
            if (packet && packet->protocol() == wire::ip_protocol::igmp)
                home.igmp_frames.emplace_back(frame.begin(), frame.end());
            if (packet && packet->protocol() == wire::ip_protocol::udp)
                home.last_ttl = packet->ttl();
            return true;
        }
    } ear{*this};

    two_stacks() {
        wire.a().filter(ear);
        REQUIRE(tasks.spawn(here.run()));
        REQUIRE(tasks.spawn(there.run()));
    }
};

const octets text = std::as_bytes(std::span{"text", 4});

} // namespace

TEST_CASE("multicast datagrams reach the sockets that have joined (RFC 1112 sections 6.1 and 7)") {
    two_stacks b;
    auto sender = b.here.udp().bind(0), mdns = b.there.udp().bind(5353), second = b.there.udp().bind(5354);
    unsigned got = 0, others = 0;
    const auto count = [](auto& socket, unsigned& n) -> task<> {
        while (const auto d = co_await socket.receive()) {
            CHECK(d->to == group);
            ++n;
        }
    };
    REQUIRE(b.tasks.spawn(count(mdns, got)));
    REQUIRE(b.tasks.spawn(count(second, others)));
    const auto send = [&](std::uint16_t port) {
        REQUIRE(sender.send_to({group, port}, text));
        b.world.run_for(10ms);
    };
    send(5353);
    CHECK(got == 0);
    CHECK(b.there.ip().statistics().not_for_us >= 1);
    REQUIRE(mdns.join(group));
    CHECK(mdns.join(group).error() == errc::in_use);
    CHECK(mdns.join({}).error() == errc::invalid_argument);
    CHECK(mdns.join(ipv4_address{10, 0, 0, 1}).error() == errc::invalid_argument);
    send(5353);
    CHECK(got == 1);
    CHECK(b.last_ttl == 1);
    sender.multicast_hops(9);
    send(5354); // the stack is a member, this socket is not
    CHECK(others == 0);
    CHECK(b.last_ttl == 9);
    REQUIRE(sender.send_to({{10, 0, 0, 2}, 9}, text));
    b.world.run_for(10ms);
    CHECK(b.last_ttl == 64); // for one host
    mdns.leave(group);
    send(5353);
    CHECK(got == 1);
    {
        auto brief = b.there.udp().bind(7000);
        REQUIRE(brief.join(group));
        CHECK(b.there.get<net::igmp>().groups().is_member(group));
    }
    CHECK_FALSE(b.there.get<net::igmp>().groups().is_member(group)); // the socket is gone
}

TEST_CASE("what an IGMP message looks like on the link (RFC 3376 section 4)") {
    two_stacks b;
    auto socket = b.here.udp().bind(1000);
    REQUIRE(socket.join(group));
    b.world.run_for(10s);
    REQUIRE(b.igmp_frames.size() == 2);
    const octets frame{b.igmp_frames[0]};
    const auto ethernet = wire::ethernet_view::parse(frame);
    CHECK(ethernet->destination() == net::multicast_mac(net::igmp_v3_group));
    const auto packet = wire::ipv4_view::parse(ethernet->payload());
    REQUIRE(packet);
    CHECK(packet->ttl() == 1);
    CHECK(packet->dscp_ecn() == 0xc0);
    CHECK(packet->source() == ipv4_address{10, 0, 0, 1});
    CHECK(packet->destination() == net::igmp_v3_group);
    REQUIRE(packet->find_option(148)); // RFC 2113
    CHECK(wire::igmp_view::parse(packet->payload())->type() == igmp_type::report_v3);

    // a query, from a router on the link
    std::array<std::byte, 14 + 20 + 8> query{};
    const mutable_octets all{query};
    const auto ask = [&](std::uint8_t ttl) {
        wire::ethernet_header{net::multicast_mac(net::all_hosts_group), b.wire.b().mac(), wire::ethertype::ipv4}.emit(all);
        wire::ipv4_header{.source = ipv4_address{10, 0, 0, 9},
                          .destination = net::all_hosts_group,
                          .protocol = wire::ip_protocol::igmp,
                          .ttl = ttl,
                          .total_length = 28}
            .emit(all.subspan(14));
        igmp_short{.type = igmp_type::query, .response_code = 10}.emit(all.subspan(34));
        REQUIRE(b.wire.b().transmit({.headers = query}));
        b.world.run_for(2s);
    };
    ask(2);
    CHECK(b.igmp_frames.size() == 2); // it has passed a router
    CHECK(b.here.get<net::igmp>().statistics().malformed == 1);
    ask(1);
    CHECK(b.igmp_frames.size() == 3);
    CHECK(b.here.get<net::igmp>().statistics().queries == 1);
}

namespace {

/// An end of a link that notes which Ethernet groups are wanted.
struct listening_end {
    static constexpr offload capabilities = memory::netif<>::capabilities;
    memory::netif<>& end;
    std::vector<mac_address> wanted{};

    mac_address mac() const noexcept { return end.mac(); }
    std::size_t mtu() const noexcept { return end.mtu(); }
    offload offloads() const noexcept { return end.offloads(); }
    std::size_t receive(std::span<received_frame> burst) noexcept { return end.receive(burst); }
    result<> transmit(const transmit_frame& frame) noexcept { return end.transmit(frame); }
    void flush() noexcept { end.flush(); }
    event& readable() noexcept { return end.readable(); }
    const buffer_pool& receive_pool() const noexcept { return end.receive_pool(); }
    void hear(mac_address g) noexcept { wanted.push_back(g); }
    void ignore(mac_address g) noexcept { wanted.erase(std::ranges::find(wanted, g)); }
};
static_assert(group_filtering<listening_end> && !group_filtering<memory::netif<>>);

} // namespace

TEST_CASE("an interface that can keep groups back is told which ones matter (RFC 1112 section 7.3)") {
    memory::simulation world;
    memory::seeded_random random{63};
    memory::link<> wire{world.loop()};
    listening_end end{wire.a()};
    using listening_stack = net::stack<listening_end, memory::virtual_clock, memory::seeded_random, net::ipv4, net::udp, net::igmp>;
    listening_stack stack{world.loop(), end, world.clock(), random, {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}}};
    const auto mac = [](ipv4_address of) { return net::multicast_mac(of); };
    using macs = std::vector<mac_address>;

    CHECK(end.wanted == macs{mac(net::all_hosts_group)}); // RFC 1112 section 7.2: for ever
    auto first = stack.udp().bind(1), second = stack.udp().bind(2);
    REQUIRE(first.join(group));
    REQUIRE(second.join(group));
    REQUIRE(second.join(other_group));
    CHECK(end.wanted == macs{mac(net::all_hosts_group), mac(group), mac(other_group)});
    first.leave(group);
    CHECK(end.wanted == macs{mac(net::all_hosts_group), mac(group), mac(other_group)});
    second.leave(group);
    second.leave(group); // has left already
    CHECK(end.wanted == macs{mac(net::all_hosts_group), mac(other_group)});

    // Two groups, one Ethernet address (RFC 1112 section 6.4): it is wanted twice.
    constexpr ipv4_address alias{239, 129, 2, 3};
    REQUIRE(mac(alias) == mac(group));
    REQUIRE(first.join(group));
    REQUIRE(second.join(alias));
    first.leave(group);
    CHECK(end.wanted == macs{mac(net::all_hosts_group), mac(other_group), mac(alias)});
    CHECK_FALSE(first.join(ipv4_address{10, 0, 0, 9}));
    REQUIRE(first.join(net::all_hosts_group));
    first.leave(net::all_hosts_group);
    CHECK(end.wanted.size() == 3);
}
