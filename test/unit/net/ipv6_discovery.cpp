// SPDX-License-Identifier: MIT
// IPv6: Neighbours, routers and listeners on the link.
#include "over_ipv6.hpp"

using namespace test::over_ipv6;

TEST_CASE("a solicitation is answered, whoever asks (RFC 4861 section 7.2.4)") {
    bench b;
    b.settle();
    b.icmp(peer_address, ipv6_address::solicited_node(here_address), bench::solicitation(here_address, peer_mac));
    auto answers = bench::only(b.run(1ms), 136);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].destination == peer_address);
    CHECK(answers[0].to == peer_mac);
    CHECK(wire::load<std::uint32_t>(answers[0].text().data() + 4) == 0x60000000u); // solicited, override
    CHECK(answers[0].target() == here_address);
    // Somebody else tries to take it: RFC 4862 section 5.4.3 on his side
    b.icmp({}, ipv6_address::solicited_node(here_address), bench::solicitation(here_address));
    answers = bench::only(b.run(1ms), 136);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].destination == ipv6_address::all_nodes());
    CHECK(wire::load<std::uint32_t>(answers[0].text().data() + 4) == 0x20000000u);
}

TEST_CASE("what cannot be Neighbour Discovery is discarded (RFC 4861 sections 6.1, 7.1 and 8.1)") {
    bench b;
    b.settle();
    const auto group = ipv6_address::solicited_node(here_address);
    b.icmp(peer_address, group, bench::solicitation(here_address, peer_mac), 254); // came through a router
    b.icmp({}, here_address, bench::solicitation(here_address));                   // a probe not to the group
    b.icmp({}, group, bench::solicitation(here_address, peer_mac));                // a probe with an address
    auto zero = bench::solicitation(here_address, peer_mac);
    zero[25] = std::byte{0}; // an option of no length
    b.icmp(peer_address, group, zero);
    b.icmp(peer_address, here_address, bench::router_advertisement(1800)); // not from a link-local address
    auto brief = bench::solicitation(here_address);
    brief.resize(20);
    b.icmp(peer_address, group, brief);
    CHECK(bench::only(b.run(1ms), 136).empty());
    CHECK(b.here.ip6().host().statistics().malformed == 6);
}

TEST_CASE("a neighbour is asked for, believed, suspected and given up (RFC 4861 sections 7.2 and 7.3)") {
    bench b;
    b.settle();
    auto socket = b.here.udp().bind(0);
    CHECK(socket.send_to({peer_address, 9}, as_octets("one")));
    auto sent = b.run(100ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 135);
    CHECK(sent[0].destination == ipv6_address::solicited_node(peer_address));
    CHECK(sent[0].source == here_address);
    b.icmp(peer_address, here_address, bench::advertisement(peer_address, 0x60000000u, peer_mac));
    sent = b.run(1ms);
    REQUIRE(sent.size() == 1); // what waited
    CHECK(sent[0].to == peer_mac);
    CHECK(sent[0].chain.protocol == 17);

    // Without an override flag another address is not believed, only suspected: section 7.2.5
    b.icmp(peer_address, here_address, bench::advertisement(peer_address, 0x40000000u, router_mac));
    (void)b.run(1ms);
    CHECK(socket.send_to({peer_address, 9}, as_octets("two")));
    sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].to == peer_mac);
    sent = b.run(5s + 100ms); // DELAY, then a unicast PROBE
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 135);
    CHECK(sent[0].to == peer_mac);
    CHECK(sent[0].destination == peer_address);
    CHECK(b.run(10s).size() == 2); // two more, and the entry goes
    CHECK(b.here.ip6().host().neighbours().state(peer_address, b.sim.now()) == net::neighbour_state::unknown);
    // An advertisement that nobody asked for makes no entry.
    b.icmp(peer_address, here_address, bench::advertisement(peer_address, 0x20000000u, peer_mac));
    (void)b.run(1ms);
    CHECK(b.here.ip6().host().neighbours().state(peer_address, b.sim.now()) == net::neighbour_state::unknown);
}

TEST_CASE("the sender hears when nobody has the address (RFC 4861 section 7.2.2)") {
    bench b;
    b.settle();
    auto socket = b.here.udp().bind(0);
    socket.hear_of_losses();
    CHECK(socket.send_to({peer_address, 9}, as_octets("anybody?")));
    std::optional<errc> why;
    REQUIRE(b.tasks.spawn([](auto& s, auto& out) -> task<> {
        const auto got = co_await s.receive();
        out = got ? errc{} : got.error();
    }(socket, why)));
    CHECK(bench::only(b.run(10s), 135).size() == 3);
    CHECK(why == errc::unreachable);
}

TEST_CASE("only the router in use may redirect (RFC 4861 section 8)") {
    bench b;
    b.settle();
    const auto far = of("2001:db8:ffff::1"), better = of("fe80::5");
    const auto redirect = [&](const ipv6_address& from) {
        auto m = bench::message(0x89000000u, 0);
        bench::put(m, better);
        bench::put(m, far);
        bench::put(m, wire::ndp_option::target_link, peer_mac);
        b.icmp(from, here_address, m);
        (void)b.run(1ms);
        return b.here.ip6().host().statistics().redirects;
    };
    CHECK(redirect(of("fe80::66")) == 0);
    CHECK(redirect(router_address) == 1);
    auto socket = b.here.udp().bind(0);
    CHECK(socket.send_to({far, 9}, as_octets("there")));
    const auto sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].to == peer_mac);
    // It does not answer: first it is suspected, then asked for, then forgotten (RFC 4861 section 7.3.3).
    (void)b.run(10s);
    CHECK(socket.send_to({far, 9}, as_octets("there?")));
    auto asked = bench::only(b.run(10s), 135);
    REQUIRE(asked.size() == 3);
    CHECK(asked[0].target() == better);
    CHECK(socket.send_to({far, 9}, as_octets("the long way")));
    asked = bench::only(b.run(1ms), 135);
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].target() == router_address);
}

TEST_CASE("queries for listeners are answered after a while (RFC 3810 section 6.2)") {
    bench b;
    b.settle();
    (void)b.run(10s);
    auto query = bench::message(0x82000000u, 1000u << 16);
    bench::put(query, {});
    query.resize(28);
    const auto pseudo = wire::pseudo_header_sum(router_address, ipv6_address::all_nodes(), 58, std::uint32_t{28});
    wire::icmpv6_at::checksum::store(query.data(), wire::sum(query, pseudo).finish());
    std::vector<std::byte> alerted(8);
    wire::store<std::uint64_t>(alerted.data(), 0x3a00'0502'0000'0100u);
    alerted.insert(alerted.end(), query.begin(), query.end());
    b.inject(router_address, ipv6_address::all_nodes(), 58, query, 1); // without a router alert: not believed
    CHECK(bench::only(b.run(2s), 143).empty());
    b.inject(router_address, ipv6_address::all_nodes(), 0, alerted, 1);
    CHECK(bench::only(b.run(1100ms), 143).size() == 1);
}

namespace {

/// A query of this many octets for all groups, as a router says it.
void query_listeners(bench& b, std::size_t size) {
    auto query = bench::message(0x82000000u, 1000u << 16);
    query.resize(size);
    const auto pseudo =
        wire::pseudo_header_sum(router_address, ipv6_address::all_nodes(), 58, static_cast<std::uint32_t>(size));
    wire::icmpv6_at::checksum::store(query.data(), wire::sum(query, pseudo).finish());
    std::vector<std::byte> alerted(8);
    wire::store<std::uint64_t>(alerted.data(), wire::mld::router_alert);
    alerted.insert(alerted.end(), query.begin(), query.end());
    b.inject(router_address, ipv6_address::all_nodes(), 0, alerted, 1);
}

} // namespace

TEST_CASE("a router of the first version is answered in it, until it has been silent for long (RFC 3810 section 8.2.1)") {
    bench b;
    b.settle();
    (void)b.run(10s);
    query_listeners(b, 24);
    auto sent = b.run(1100ms);
    CHECK(bench::only(sent, 143).empty());
    sent = bench::only(sent, 131);
    REQUIRE(sent.size() == 2); // the link-local and the given address have a group each
    for (const seen& s : sent) { // RFC 2710 section 3
        CHECK(s.text().size() == 24);
        CHECK(s.destination == s.target());
        CHECK(s.target().is_solicited_node());
        CHECK(s.source.is_link_local());
        CHECK(s.hop_limit == 1);
        CHECK(s.chain.router_alert);
        CHECK(s.to == net::ndp_host<int>::group_mac(s.target()));
    }
    CHECK(sent[0].target() != sent[1].target());
    query_listeners(b, 28); // a newer router beside it changes nothing
    CHECK(bench::only(b.run(1100ms), 131).size() == 2);
    (void)b.run(260s);
    query_listeners(b, 28);
    sent = b.run(1100ms);
    CHECK(bench::only(sent, 143).size() == 1);
    CHECK(bench::only(sent, 131).empty());
    query_listeners(b, 26); // section 8.1: neither
    CHECK(b.run(2s).empty());
}

TEST_CASE("the group of an address that ends is left (RFC 3810 section 6.1, RFC 2710 section 4)") {
    for (const bool first_version : {false, true}) {
        CAPTURE(first_version);
        bench b{{}};
        b.settle();
        auto m = bench::router_advertisement(1800);
        bench::put_prefix(m, of("2001:db8:5::"), 8000, 8000);
        b.icmp(router_address, ipv6_address::all_nodes(), m, 255, router_mac);
        b.settle();
        const auto* const o = b.own(of("2001:db8:5::"));
        REQUIRE(o != nullptr);
        const ipv6_address group = ipv6_address::solicited_node(o->address);
        (void)b.run(7900s);
        if (first_version)
            query_listeners(b, 24);
        const auto sent = b.run(200s);
        CHECK(b.own(of("2001:db8:5::")) == nullptr);
        if (first_version) {
            const auto done = bench::only(sent, 132);
            REQUIRE(done.size() == 2); // Robustness Variable
            CHECK(done[0].target() == group);
            CHECK(done[0].destination == ipv6_address::all_routers());
        } else {
            const auto reports = bench::only(sent, 143);
            REQUIRE(reports.size() == 2);
            bool left = false;
            const octets text = reports[0].text();
            for (std::size_t at = 8; at < text.size(); at += 20)
                if (wire::field<ipv6_address, 4>::load(text.data() + at) == group)
                    left = text[at] == std::byte{3}; // CHANGE_TO_INCLUDE_MODE: section 5.2.12
            CHECK(left);
        }
        if (!first_version) { // and then it is not spoken of any more
            query_listeners(b, 28);
            const auto reports = bench::only(b.run(1100ms), 143);
            REQUIRE(reports.size() == 1);
            CHECK(reports[0].text().size() == 8 + 20);
        }
    }
}

TEST_CASE("a scan of the subnet does not displace who is spoken to (RFC 6583)") {
    bench b;
    b.settle();
    b.meet_peer();
    auto socket = b.here.udp().bind(0);
    for (int i = 0; i < 3; ++i)
        CHECK(socket.send_to({peer_address, 9}, as_octets("known")));
    CHECK(b.run(1ms).size() == 3);
    for (std::uint64_t i = 0; i < 1000; ++i) { // answers to addresses that nobody has
        (void)socket.send_to({{0x20010db800000000, 0x1000 + i}, 9}, as_octets("scanned"));
        if (i % 16 == 0)
            (void)b.run(1ms);
    }
    (void)b.run(1ms);
    CHECK(b.here.ip6().host().neighbours().size() <= 64);
    CHECK(socket.send_to({peer_address, 9}, as_octets("still known")));
    auto sent = b.run(1ms);
    std::erase_if(sent, [](const seen& s) { return s.chain.protocol != 17; });
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].to == peer_mac);
}
