// SPDX-License-Identifier: MIT
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

using device = memory::netif<>;
template <class... Layers>
using stack_of = net::stack<device, memory::virtual_clock, memory::seeded_random, Layers...>;
using only_ipv6 = stack_of<net::ipv6, net::udp, net::tcp<>>;
using dual = stack_of<net::ipv4, net::icmp, net::ipv6, net::udp, net::tcp<>>;
static_assert(std::is_same_v<only_ipv6::endpoint_type, ipv6_endpoint> && std::is_same_v<dual::endpoint_type, ip_endpoint>);

ipv6_address of(const char* text) { return *ipv6_address::parse(text); }

const ipv6_address here_address = of("2001:db8::2"), peer_address = of("2001:db8::9"), router_address = of("fe80::1");
constexpr mac_address router_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 9}};

/// A frame that the stack sent, taken apart.
struct seen {
    std::vector<std::byte> octets_{};
    mac_address to{};
    ipv6_address source{}, destination{};
    std::uint8_t hop_limit = 0;
    wire::ipv6_chain chain{};
    octets text() const { return octets{octets_}.subspan(14u + chain.offset); }
    std::uint8_t type() const { return chain.protocol == 58 ? std::to_integer<std::uint8_t>(text()[0]) : std::uint8_t{0}; }
    std::uint8_t code() const { return std::to_integer<std::uint8_t>(text()[1]); }
    ipv6_address target() const { return wire::field<ipv6_address, 8>::load(text().data()); }
};

/// One stack, and the other end of its link in the hands of the test.
struct bench {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{7};
    only_ipv6 here;
    nursery tasks{sim.loop()};

    explicit bench(net::ipv6_options options = {.ipv6 = {here_address, 64}, .gateway = router_address})
        : here{sim.loop(), link.b(), sim.clock(), random, {.ipv6 = options}} {
        (void)tasks.spawn(here.run());
    }

    /// What the stack sends in this time.
    std::vector<seen> run(duration d) {
        (void)sim.run_until([] { return false; }, sim.now() + d);
        std::vector<seen> all;
        std::array<received_frame, 16> burst;
        for (std::size_t n = 0; (n = link.a().receive(burst)) != 0;)
            for (auto& f : std::span{burst}.first(n)) {
                const octets o = f.data.view();
                if (const auto view = wire::ipv6_view::parse(o.subspan(14))) {
                    seen s{{o.begin(), o.end()}, wire::load_native<mac_address>(o.data()), view->source(),
                           view->destination(), view->hop_limit(), wire::walk_extensions(*view)};
                    if (s.chain.protocol == 58 && s.chain.verdict == wire::ipv6_verdict::deliver) {
                        const auto pseudo = wire::pseudo_header_sum(s.source, s.destination, 58,
                                                                    static_cast<std::uint32_t>(s.text().size()));
                        CHECK(wire::sum(s.text(), pseudo).intact());
                    }
                    all.push_back(std::move(s));
                }
                f.data.reset();
            }
        return all;
    }
    /// Those of them that are ICMPv6 messages of this type.
    static std::vector<seen> only(std::vector<seen> all, unsigned type) {
        std::erase_if(all, [&](const seen& s) { return s.type() != type; });
        return all;
    }
    void settle() { (void)run(5s); }

    void inject(const ipv6_address& source, const ipv6_address& destination, std::uint8_t next, octets rest,
                std::uint8_t hop_limit = 64, mac_address from = peer_mac) {
        std::vector<std::byte> frame(54);
        const mac_address to = destination.is_multicast() ? net::ndp_host<int>::group_mac(destination) : link.b().mac();
        wire::ethernet_header{to, from, wire::ethertype::ipv6}.emit(frame);
        wire::ipv6_header{.source = source, .destination = destination, .next = wire::next_header{next},
                          .hop_limit = hop_limit, .payload_length = static_cast<std::uint16_t>(rest.size())}
            .emit(mutable_octets{frame}.subspan(14));
        const slice text = slice::of_static(rest);
        REQUIRE(link.a().transmit({.headers = frame, .payload = std::span{&text, 1}}));
    }
    /// An ICMPv6 message; its checksum is made.
    void icmp(const ipv6_address& source, const ipv6_address& destination, std::vector<std::byte> message,
              std::uint8_t hop_limit = 255, mac_address from = peer_mac) {
        const auto pseudo =
            wire::pseudo_header_sum(source, destination, 58, static_cast<std::uint32_t>(message.size()));
        wire::icmpv6_at::checksum::store(message.data(), wire::sum(message, pseudo).finish());
        inject(source, destination, 58, message, hop_limit, from);
    }
    static std::vector<std::byte> message(std::uint32_t first, std::uint32_t second) {
        std::vector<std::byte> m(8);
        wire::store<std::uint32_t>(m.data(), first);
        wire::store<std::uint32_t>(m.data() + 4, second);
        return m;
    }
    static void put(std::vector<std::byte>& m, const ipv6_address& a) {
        m.resize(m.size() + 16);
        wire::field<ipv6_address, 0>::store(m.data() + m.size() - 16, a);
    }
    static void put(std::vector<std::byte>& m, wire::ndp_option type, mac_address mac) {
        m.resize(m.size() + 8);
        auto* const p = m.data() + m.size() - 8;
        p[0] = static_cast<std::byte>(type);
        p[1] = std::byte{1};
        wire::store_native(p + 2, mac);
    }
    static std::vector<std::byte> solicitation(const ipv6_address& target, std::optional<mac_address> link = {}) {
        auto m = message(0x87000000u, 0);
        put(m, target);
        if (link)
            put(m, wire::ndp_option::source_link, *link);
        return m;
    }
    static std::vector<std::byte> advertisement(const ipv6_address& target, std::uint32_t flags, mac_address link) {
        auto m = message(0x88000000u, flags);
        put(m, target);
        put(m, wire::ndp_option::target_link, link);
        return m;
    }
    static std::vector<std::byte> router_advertisement(std::uint16_t lifetime) {
        auto m = message(0x86000000u, 64u << 24 | lifetime);
        m.resize(16);
        put(m, wire::ndp_option::source_link, router_mac);
        return m;
    }
    static void put_prefix(std::vector<std::byte>& m, const ipv6_address& prefix, std::uint32_t valid,
                           std::uint32_t preferred, unsigned flags = 0xc0, unsigned length = 64) {
        const std::size_t at = m.size();
        m.resize(at + 16);
        wire::store<std::uint32_t>(m.data() + at, 0x03040000u | length << 8 | flags);
        wire::store<std::uint32_t>(m.data() + at + 4, valid);
        wire::store<std::uint32_t>(m.data() + at + 8, preferred);
        put(m, prefix);
    }
    /// The stack knows the peer's link-layer address: it has answered a solicitation of his.
    void meet_peer() {
        icmp(peer_address, here_address, solicitation(here_address, peer_mac));
        (void)run(1ms);
    }
    const net::own_address* own(const ipv6_address& prefix) {
        for (const auto& o : here.ip6().addresses())
            if (o.valid() && o.address.high() == prefix.high())
                return &o;
        return nullptr;
    }
};

std::vector<std::byte> echo(std::size_t text) {
    auto m = bench::message(0x80000000u, 0x12340001u);
    for (std::size_t i = 0; i < text; ++i)
        m.push_back(static_cast<std::byte>(i * 7));
    return m;
}

} // namespace

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

TEST_CASE("echo is answered, in pieces when it must be (RFC 4443 section 4.2, RFC 8200 section 4.5)") {
    bench b;
    b.settle();
    b.meet_peer();
    b.icmp(peer_address, here_address, echo(100));
    const auto small = bench::only(b.run(1ms), 129);
    REQUIRE(small.size() == 1);
    CHECK(small[0].text().size() == 108);
    CHECK(std::ranges::equal(small[0].text().subspan(4), octets{echo(100)}.subspan(4)));

    // 3000 octets in three pieces, last first; the answer is in pieces, too.
    auto whole = echo(2992);
    const auto pseudo = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{3000});
    wire::icmpv6_at::checksum::store(whole.data(), wire::sum(whole, pseudo).finish());
    for (const std::size_t at : {std::size_t{2400}, std::size_t{1200}, std::size_t{0}}) {
        const std::size_t size = std::min<std::size_t>(1200, 3000 - at);
        std::vector<std::byte> piece(8 + size);
        wire::ipv6_fragment_header{58, at + size < 3000, static_cast<std::uint16_t>(at), 0xabcd}.emit(piece);
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(at), size, piece.begin() + 8);
        b.inject(peer_address, here_address, 44, piece);
    }
    const auto pieces = b.run(1ms);
    CHECK(pieces.size() == 3);
    std::size_t total = 0;
    for (const seen& s : pieces) {
        CHECK(s.chain.verdict == wire::ipv6_verdict::reassemble);
        CHECK(s.octets_.size() <= 1514);
        total += s.octets_.size() - 14 - 48;
    }
    CHECK(total == 3000);
    CHECK(b.here.ip6().statistics().echo_replies == 2);
}

TEST_CASE("overlapping fragments spoil their packet (RFC 5722 section 4)") {
    bench b;
    b.settle();
    b.meet_peer();
    auto whole = echo(1592);
    const auto pseudo = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{1600});
    wire::icmpv6_at::checksum::store(whole.data(), wire::sum(whole, pseudo).finish());
    const auto send = [&](std::size_t at, std::size_t size, bool more) {
        std::vector<std::byte> piece(8 + size);
        wire::ipv6_fragment_header{58, more, static_cast<std::uint16_t>(at), 0xabcd}.emit(piece);
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(at), size, piece.begin() + 8);
        b.inject(peer_address, here_address, 44, piece);
    };
    send(0, 800, true);
    send(792, 800, true);
    send(800, 800, false);
    CHECK(b.run(1ms).empty());
    // An atomic fragment has nothing to overlap with: RFC 6946 section 4
    auto small = echo(8);
    const auto sum16 = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{16});
    wire::icmpv6_at::checksum::store(small.data(), wire::sum(small, sum16).finish());
    std::vector<std::byte> atomic(8);
    wire::ipv6_fragment_header{58, false, 0, 0xabcd}.emit(atomic);
    atomic.insert(atomic.end(), small.begin(), small.end());
    b.inject(peer_address, here_address, 44, atomic);
    CHECK(bench::only(b.run(1ms), 129).size() == 1);
}

TEST_CASE("errors are sent about what cannot be delivered, and never without end (RFC 4443 section 2.4)") {
    bench b;
    b.settle();
    b.meet_peer();
    std::vector<std::byte> datagram(8);
    wire::udp_header{5353, 9, 8}.emit(datagram, wire::pseudo_header_sum(peer_address, here_address, 17, std::uint32_t{8}));
    b.inject(peer_address, here_address, 17, datagram);
    auto sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 1);
    CHECK(sent[0].code() == 4);
    CHECK(sent[0].text().size() == 8 + 40 + 8); // all of it is quoted

    b.inject(peer_address, here_address, 132, datagram); // nobody speaks SCTP
    sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 4);
    CHECK(sent[0].code() == 1);
    CHECK(wire::load<std::uint32_t>(sent[0].text().data() + 4) == 6);

    b.inject(peer_address, ipv6_address::all_nodes(), 132, datagram); // to a group
    b.inject({}, here_address, 132, datagram);                        // from nobody
    b.icmp(peer_address, here_address, bench::message(0x01040000u, 0)); // an error is not answered
    CHECK(b.run(1ms).empty());
    for (int i = 0; i < 200; ++i)
        b.inject(peer_address, here_address, 132, datagram);
    CHECK(b.run(1ms).size() <= 21);
    // IPv6 has no datagrams without a checksum: RFC 8200 section 8.1
    wire::store<std::uint16_t>(datagram.data() + 6, 0);
    b.inject(peer_address, here_address, 17, datagram);
    CHECK(b.run(1s).empty());
    CHECK(b.here.udp().statistics().bad_checksum == 1);
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

TEST_CASE("what is sent to a group stays on the link (RFC 3493 section 5.2)") {
    bench b;
    b.settle();
    auto socket = b.here.udp().bind(0);
    CHECK(socket.send_to({of("ff02::fb"), 5353}, as_octets("everybody")));
    const auto sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].hop_limit == 1);
    CHECK(sent[0].to == mac_address{{0x33, 0x33, 0, 0, 0, 0xfb}});
    CHECK(sent[0].source.is_link_local());
}

TEST_CASE("a packet that was too big is sent smaller (RFC 8201 section 4)") {
    bench b;
    b.settle();
    b.meet_peer();
    CHECK(b.here.ip6().path_mtu(peer_address) == 1500);
    const auto too_big = [&](std::uint32_t mtu, const ipv6_address& source) {
        auto m = bench::message(0x02000000u, mtu);
        std::vector<std::byte> quote(48);
        wire::ipv6_header{.source = source, .destination = peer_address, .next = wire::next_header::icmpv6,
                          .payload_length = 8}
            .emit(quote);
        m.insert(m.end(), quote.begin(), quote.end());
        b.icmp(router_address, here_address, m, 64);
        (void)b.run(1ms);
        return b.here.ip6().path_mtu(peer_address);
    };
    CHECK(too_big(1400, peer_address) == 1500); // not about a packet of ours
    CHECK(too_big(1400, here_address) == 1400);
    CHECK(too_big(1450, here_address) == 1400); // never larger
    b.icmp(peer_address, here_address, echo(1400));
    CHECK(b.run(1ms).size() == 2);
    CHECK(too_big(600, here_address) == 1280); // never below the minimum
    (void)b.run(11min);
    CHECK(b.here.ip6().path_mtu(peer_address) == 1500);
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
