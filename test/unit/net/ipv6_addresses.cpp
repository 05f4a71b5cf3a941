// SPDX-License-Identifier: MIT
// IPv6: Whence the addresses of a host come, and which of them speaks.
#include "over_ipv6.hpp"
#include "mirage/net/router_names.hpp"
#include <string_view>

using namespace test::over_ipv6;

TEST_CASE("an address is used when nobody has answered for it (RFC 4862 section 5.4)") {
    bench b;
    const auto sent = b.run(5s);
    const auto probes = bench::only(sent, 135);
    REQUIRE(probes.size() == 2); // the link-local address and the given one
    for (const seen& s : probes) {
        CHECK(s.source.is_unspecified());
        CHECK(s.destination == ipv6_address::solicited_node(s.target()));
        CHECK(s.to == net::ndp_host<int>::group_mac(s.destination));
        CHECK(s.hop_limit == 255);
        const auto n = wire::ndp_neighbour::parse(*wire::icmpv6_view::parse(s.text(), {}, wire::verify::no));
        REQUIRE(n.has_value());
        CHECK(n->options.nonce().has_value()); // RFC 7527 section 4.1
        CHECK_FALSE(n->options.link(wire::ndp_option::source_link).has_value());
    }
    CHECK(b.here.ip6().addresses().is_valid(here_address));
    CHECK(b.here.ip6().addresses().link_local().is_link_local());
    // The groups are joined first: RFC 4862 section 5.4.2, RFC 3810 section 5.2
    const auto reports = bench::only(sent, 143);
    REQUIRE(reports.size() >= 2);
    CHECK(reports[0].destination == of("ff02::16"));
    CHECK(reports[0].source.is_unspecified());
    CHECK(reports[0].hop_limit == 1);
    CHECK(reports[0].chain.router_alert);
    CHECK(reports[0].text().size() == 8 + 2 * 20);
}

TEST_CASE("an address that somebody has is not used (RFC 4862 sections 5.4.3 and 5.4.4)") {
    SUBCASE("somebody advertises it") {
        bench b;
        (void)b.run(1s + 100ms);
        b.icmp(here_address, ipv6_address::all_nodes(), bench::advertisement(here_address, 0x20000000u, peer_mac));
        b.settle();
        CHECK_FALSE(b.here.ip6().addresses().is_valid(here_address));
        CHECK(b.here.ip6().host().statistics().duplicates == 1);
    }
    SUBCASE("somebody else is asking") {
        bench b;
        (void)b.run(1s + 100ms);
        b.icmp({}, ipv6_address::solicited_node(here_address), bench::solicitation(here_address));
        b.settle();
        CHECK_FALSE(b.here.ip6().addresses().is_valid(here_address));
    }
    SUBCASE("our own question comes back from the link (RFC 7527 section 4.2)") {
        bench b;
        bool looped = false;
        for (int i = 0; i < 200 && !looped; ++i)
            for (const seen& s : bench::only(b.run(10ms), 135))
                if (s.target() == here_address) {
                    REQUIRE(b.link.a().transmit({.headers = s.octets_}));
                    looped = true;
                }
        REQUIRE(looped);
        b.settle();
        CHECK(b.here.ip6().addresses().is_valid(here_address));
        CHECK(b.here.ip6().host().statistics().duplicates == 0);
    }
}

TEST_CASE("addresses come from Router Advertisements (RFC 4862 section 5.5, RFC 7217)") {
    bench b{{.secret = "a secret of this machine"}};
    auto sent = b.run(3s);
    const auto solicitations = bench::only(sent, 133);
    REQUIRE(solicitations.size() == 1); // RFC 4861 section 6.3.7
    CHECK(solicitations[0].destination == ipv6_address::all_routers());
    const auto prefix = of("2001:db8:1:2::"), ula = of("fd00:1:2:3::");
    auto ra = bench::router_advertisement(1800);
    bench::put_prefix(ra, prefix, 86400, 14400);
    bench::put_prefix(ra, ula, 86400, 14400);
    bench::put_prefix(ra, of("2001:db8:5::"), 86400, 14400, 0xc0, 48); // no length for an interface identifier
    bench::put_prefix(ra, of("2001:db8:6::"), 100, 200);               // preferred longer than valid
    b.icmp(router_address, ipv6_address::all_nodes(), ra, 255, router_mac);
    (void)b.run(3s);
    REQUIRE(b.own(prefix) != nullptr);
    REQUIRE(b.own(ula) != nullptr);
    CHECK(b.own(of("2001:db8:5::")) == nullptr);
    CHECK(b.own(of("2001:db8:6::")) == nullptr);
    const ipv6_address mine = b.own(prefix)->address;
    CHECK(mine.low() != b.own(ula)->address.low()); // nobody is followed from network to network
    CHECK(bench::only(b.run(1min), 133).empty());   // there is a router: no more questions

    // Its lifetime ends; but nobody unknown ends it in less than two hours: (e)
    auto shorter = bench::router_advertisement(1800);
    bench::put_prefix(shorter, prefix, 10, 10);
    b.icmp(router_address, ipv6_address::all_nodes(), shorter, 255, router_mac);
    (void)b.run(1h);
    CHECK(b.own(prefix) != nullptr);
    (void)b.run(1h + 1min);
    CHECK(b.own(prefix) == nullptr);
    CHECK(b.own(ula) != nullptr);

    // The same secret, the same address.
    bench again{{.secret = "a secret of this machine"}};
    (void)again.run(3s);
    again.icmp(router_address, ipv6_address::all_nodes(), ra, 255, router_mac);
    (void)again.run(3s);
    REQUIRE(again.own(prefix) != nullptr);
    CHECK(again.own(prefix)->address == mine);
    bench other{{.secret = "another one"}};
    (void)other.run(3s);
    other.icmp(router_address, ipv6_address::all_nodes(), ra, 255, router_mac);
    (void)other.run(3s);
    REQUIRE(other.own(prefix) != nullptr);
    CHECK(other.own(prefix)->address != mine);
}

TEST_CASE("a flood of Router Advertisements fills bounded tables (RFC 6104)") {
    bench b{net::ipv6_options{}};
    (void)b.run(3s);
    for (std::uint64_t i = 0; i < 300; ++i) {
        auto ra = bench::router_advertisement(1800);
        bench::put_prefix(ra, {0x20010db800000000 | i << 8, 0}, 86400, 14400);
        b.icmp(ipv6_address::link_local(0x1000 + i), ipv6_address::all_nodes(), ra, 255,
               {{2, 1, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}});
        (void)b.run(1ms);
    }
    (void)b.run(3s);
    CHECK(b.here.ip6().addresses().link_local().is_link_local());
    std::size_t count = 0;
    for (const auto& o : b.here.ip6().addresses())
        count += o.used();
    CHECK(count == 8);
    CHECK(b.here.ip6().host().neighbours().size() <= 64);
    b.icmp(router_address, b.here.ip6().addresses().link_local(), echo(8), 64, router_mac);
    CHECK_FALSE(b.run(1s).empty());
}

TEST_CASE("name servers are learnt and forgotten (RFC 8106 section 5.1)") {
    bench b{net::ipv6_options{}};
    (void)b.run(3s);
    auto ra = bench::router_advertisement(1800);
    const std::size_t at = ra.size();
    ra.resize(at + 8);
    wire::store<std::uint32_t>(ra.data() + at, 0x19030000u);
    wire::store<std::uint32_t>(ra.data() + at + 4, 60);
    bench::put(ra, of("2001:db8::35"));
    b.icmp(router_address, ipv6_address::all_nodes(), ra, 255, router_mac);
    (void)b.run(1s);
    std::vector<ipv6_address> servers;
    b.here.ip6().host().each_name_server([&](const ipv6_address& a) { servers.push_back(a); });
    CHECK(servers == std::vector{of("2001:db8::35")});
    (void)b.run(1min);
    servers.clear();
    b.here.ip6().host().each_name_server([&](const ipv6_address& a) { servers.push_back(a); });
    CHECK(servers.empty());
}

TEST_CASE("search domains are learnt, renewed and forgotten (RFC 8106 section 5.2)") {
    using named = stack_of<net::ipv6, net::udp, net::tcp<>, net::router_names>;
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{7};
    named here{sim.loop(), link.b(), sim.clock(), random, {}};
    nursery tasks{sim.loop()};
    (void)tasks.spawn(here.run());
    (void)sim.run_until([] { return false; }, sim.now() + 3s);
    const auto advertise = [&](std::uint32_t lifetime, std::string_view names) {
        auto ra = bench::router_advertisement(1800);
        const std::size_t at = ra.size(), size = (8 + names.size() + 7) / 8 * 8;
        ra.resize(at + size);
        wire::store<std::uint32_t>(ra.data() + at, 0x1f00'0000u | static_cast<std::uint32_t>(size / 8) << 16);
        wire::store<std::uint32_t>(ra.data() + at + 4, lifetime);
        std::ranges::copy(as_octets(names), ra.begin() + static_cast<std::ptrdiff_t>(at) + 8);
        std::vector<std::byte> frame(54);
        const auto to = ipv6_address::all_nodes();
        wire::icmpv6_at::checksum::store(
            ra.data(),
            wire::sum(ra, wire::pseudo_header_sum(router_address, to, 58, static_cast<std::uint32_t>(ra.size()))).finish());
        wire::ethernet_header{net::ndp_host<int>::group_mac(to), router_mac, wire::ethertype::ipv6}.emit(frame);
        wire::ipv6_header{.source = router_address, .destination = to, .next = wire::next_header::icmpv6, .hop_limit = 255,
                          .payload_length = static_cast<std::uint16_t>(ra.size())}
            .emit(mutable_octets{frame}.subspan(14));
        const slice text = slice::of_static(octets{ra});
        REQUIRE(link.a().transmit({.headers = frame, .payload = std::span{&text, 1}}));
        (void)sim.run_until([] { return false; }, sim.now() + 1ms);
    };
    const auto known = [&] {
        std::vector<wire::dns_name> all;
        here.ip6().host().each_search_domain([&](const wire::dns_name& n) { all.push_back(n); });
        return all;
    };
    const auto name = [](const char* text) { return *wire::dns_name::parse(text); };
    using namespace std::string_view_literals;

    advertise(60, "\7example\3org\0\2in\7example\3org\0"sv);
    CHECK(known() == std::vector{name("example.org"), name("in.example.org")});
    (void)sim.run_until([] { return false; }, sim.now() + 30s);
    advertise(60, "\7example\3org\0"sv); // longer
    (void)sim.run_until([] { return false; }, sim.now() + 40s);
    CHECK(known() == std::vector{name("example.org")});
    advertise(0, "\7example\3org\0"sv); // not any more
    CHECK(known().empty());
    advertise(60, "\1a\0\xc0\x08\1b\0"sv); // a pointer, which MUST NOT be there: what follows is not read
    CHECK(known() == std::vector{name("a")});
    advertise(60, "\1b\0\x3f"sv); // cut
    CHECK(known().size() == 2);
    advertise(120, "\1c\0\1d\0\1e\0\1f\0\1g\0"sv); // bounded
    CHECK(known().size() == 4);
}

TEST_CASE("the source is the address that fits the destination (RFC 6724 section 5)") {
    net::ipv6_addresses a;
    const auto add = [&](const char* text, instant preferred = never) {
        a.add({.address = of(text), .tentative = false, .preferred_until = preferred});
    };
    const instant now{1h};
    CHECK(a.source_for(of("2001:db8::9"), now).is_unspecified());
    add("fe80::2");
    CHECK(a.source_for(of("2001:db8::9"), now).is_unspecified()); // nobody beyond the link can answer to that
    CHECK(a.source_for(of("fe80::9"), now) == of("fe80::2"));
    CHECK(a.source_for(of("ff02::1"), now) == of("fe80::2"));
    add("2001:db8:1::2");
    add("2001:db8:2::2");
    add("fd00::2");
    CHECK(a.source_for(of("2001:db8:2::9"), now) == of("2001:db8:2::2")); // rule 8
    CHECK(a.source_for(of("fd00::9"), now) == of("fd00::2"));             // rule 6
    CHECK(a.source_for(of("2a00::9"), now).group(0) == 0x2001);
    CHECK(a.source_for(of("fe80::9"), now) == of("fe80::2")); // rule 2
    CHECK(a.source_for(of("2001:db8:2::2"), now) == of("2001:db8:2::2")); // rule 1
    add("2001:db8:2:1::2", instant{1min}); // deprecated: rule 3
    CHECK(a.source_for(of("2001:db8:2:1::9"), now) == of("2001:db8:2::2"));
}
