// SPDX-License-Identifier: MIT
#include "mirage/net/temporary_addresses.hpp"
#include "over_ipv6.hpp"

using namespace test::over_ipv6;

namespace {

using private_stack = stack_of<net::ipv6, net::udp, net::tcp<>, net::temporary_addresses>;
const ipv6_address prefix = of("2001:db8:5::"), other_prefix = of("2001:db8:6::"), far = of("2001:db8:77::1");

struct network : bench_of<private_stack> {
    network() : bench_of<private_stack>{net::ipv6_options{}} { (void)run(5s); }

    void advertise(std::uint32_t valid, std::uint32_t preferred, const ipv6_address& of_prefix = prefix) {
        auto m = router_advertisement(1800);
        put_prefix(m, of_prefix, valid, preferred);
        icmp(router_address, ipv6_address::all_nodes(), m, 255, router_mac);
    }
    auto& layer() { return here.get<net::temporary_addresses>(); }
    bool is_temporary(const ipv6_address& a) { return layer().is_temporary(a); }
    /// The valid addresses of the prefix that are temporary, or those that are not.
    std::vector<net::own_address> all(bool temporary, const ipv6_address& of_prefix = prefix) {
        std::vector<net::own_address> found;
        for (const auto& o : here.ip6().addresses())
            if (o.valid() && o.address.high() == of_prefix.high() && is_temporary(o.address) == temporary)
                found.push_back(o);
        return found;
    }
};

} // namespace

TEST_CASE("a prefix gives a stable and a temporary address (RFC 8981 section 3.4)") {
    network n;
    n.advertise(30 * 86400, 7 * 86400);
    const instant made = n.sim.now();
    (void)n.run(5s);
    REQUIRE(n.all(false).size() == 1);
    REQUIRE(n.all(true).size() == 1);
    const auto temporary = n.all(true)[0];
    // no longer than a day, less the random part of up to 0.4 of it; two days in all
    CHECK(temporary.preferred_until <= made + 24h + 1s);
    CHECK(temporary.preferred_until >= made + 14h);
    CHECK(temporary.valid_until <= made + 48h + 1s);
    CHECK(temporary.valid_until >= made + 47h);
    CHECK(n.all(false)[0].preferred_until >= made + 6 * 24h);
    CHECK(n.here.ip6().source_for(far) == temporary.address); // RFC 6724 section 5 rule 7
    // the same again changes nothing
    n.advertise(30 * 86400, 7 * 86400);
    (void)n.run(5s);
    REQUIRE(n.all(true).size() == 1);
    CHECK(n.all(true)[0].address == temporary.address);
    CHECK(n.all(true)[0].preferred_until == temporary.preferred_until);
    CHECK(n.all(true)[0].valid_until == temporary.valid_until);
}

TEST_CASE("two hosts, or two prefixes, have nothing in common (RFC 8981 section 3.1)") {
    network n;
    n.advertise(30 * 86400, 7 * 86400);
    n.advertise(30 * 86400, 7 * 86400, other_prefix);
    (void)n.run(5s);
    REQUIRE(n.all(true).size() == 1);
    REQUIRE(n.all(true, other_prefix).size() == 1);
    CHECK(n.all(true)[0].address.low() != n.all(true, other_prefix)[0].address.low());
    CHECK(n.all(true)[0].address.low() != n.all(false)[0].address.low());
}

TEST_CASE("a short-lived prefix gives short-lived addresses (RFC 8981 section 3.4 steps 4 and 5)") {
    network n;
    n.advertise(7200, 3600);
    (void)n.run(5s);
    REQUIRE(n.all(true).size() == 1);
    CHECK(n.all(true)[0].preferred_until <= n.sim.now() + 3600s);
    CHECK(n.all(true)[0].valid_until <= n.sim.now() + 7200s);
    // not used for long enough to be worth it
    n.advertise(7200, 5, other_prefix);
    (void)n.run(3s);
    CHECK(n.all(false, other_prefix).size() == 1);
    CHECK(n.all(true, other_prefix).empty());
}

TEST_CASE("before one is deprecated there is the next (RFC 8981 section 3.5)") {
    network n;
    n.layer().lifetimes(10min, 30min);
    n.advertise(30 * 86400, 7 * 86400);
    (void)n.run(5s);
    const auto first = n.all(true).at(0);
    (void)n.run(first.preferred_until - n.sim.now() - 6s);
    CHECK(n.all(true).size() == 1);
    (void)n.run(5s);
    REQUIRE(n.all(true).size() == 2);
    (void)n.run(2s);
    const auto second = n.here.ip6().source_for(far);
    CHECK(second != first.address);
    CHECK(n.is_temporary(second));
    CHECK(n.here.ip6().addresses().is_valid(first.address)); // for what has begun
    (void)n.run(first.valid_until - n.sim.now() + 1s);
    CHECK_FALSE(n.here.ip6().addresses().is_valid(first.address));
    // and so on: never many, and always one to speak from
    bool always = true, few = true;
    for (unsigned i = 0; i < 24 * 60; ++i) {
        (void)n.run(1min);
        if (i % 10 == 0)
            n.advertise(30 * 86400, 7 * 86400);
        always = always && n.is_temporary(n.here.ip6().source_for(far));
        few = few && n.all(true).size() <= 5;
    }
    CHECK(always);
    CHECK(few);
    CHECK_FALSE(n.here.ip6().addresses().is_valid(second));
    CHECK(n.all(false).size() == 1);
}

TEST_CASE("routers shorten what they have given, and do not lengthen it (RFC 8981 section 3.4 step 1)") {
    network n;
    n.advertise(30 * 86400, 7 * 86400);
    (void)n.run(5s);
    const auto before = n.all(true).at(0);
    n.advertise(86400, 0); // deprecated
    (void)n.run(10s);
    REQUIRE(n.all(true).size() == 1); // no successor, either
    CHECK(n.all(true)[0].address == before.address);
    CHECK(n.all(true)[0].preferred_until <= n.sim.now());
    CHECK(n.all(true)[0].valid_until <= n.sim.now() + 24h);
    n.advertise(0, 0); // RFC 4862 section 5.5.3 (e): not at once, by whoever says so
    (void)n.run(1s);
    REQUIRE(n.all(true).size() == 1);
    CHECK(n.all(true)[0].valid_until >= n.sim.now() + 119min);
    (void)n.run(2h);
    CHECK(n.all(true).empty());
}

TEST_CASE("another is tried when somebody has it, three in all (RFC 8981 section 3.4 step 7)") {
    network n;
    n.advertise(30 * 86400, 7 * 86400);
    unsigned refused = 0;
    const auto refuse = [&](unsigned most) {
        for (unsigned step = 0; step < 200; ++step)
            for (const seen& s : network::only(n.run(50ms), 135))
                if (s.source.is_unspecified() && s.target().high() == prefix.high() && n.is_temporary(s.target())
                    && refused < most) {
                    ++refused;
                    n.icmp(peer_address, ipv6_address::all_nodes(),
                           network::advertisement(s.target(), 0x20000000u, peer_mac));
                }
    };
    SUBCASE("once") {
        refuse(1);
        CHECK(refused == 1);
        CHECK(n.all(true).size() == 1);
    }
    SUBCASE("always") {
        refuse(10);
        CHECK(refused == 3);
        CHECK(n.all(true).empty());
        CHECK(n.all(false).size() == 1);
        n.advertise(30 * 86400, 7 * 86400);
        refuse(10);
        CHECK(refused == 3);
        CHECK_FALSE(n.is_temporary(n.here.ip6().source_for(far)));
    }
}

TEST_CASE("whoever advertises many prefixes gets few addresses (RFC 8981 section 3.6)") {
    network n;
    for (unsigned i = 0; i < 20; ++i) {
        n.advertise(30 * 86400, 7 * 86400, ipv6_address{0x2001'0db8'0100'0000u + i, 0});
        (void)n.run(2s);
    }
    std::size_t temporary = 0;
    for (const auto& o : n.here.ip6().addresses())
        temporary += o.used() && n.is_temporary(o.address) ? 1 : 0;
    CHECK(temporary <= 5);
    CHECK_FALSE(n.here.ip6().source_for(far).is_unspecified());
}

TEST_CASE("a datagram is answered from the address that it came to (RFC 1122 section 4.1.3.5)") {
    network n;
    n.advertise(30 * 86400, 7 * 86400);
    (void)n.run(5s);
    const ipv6_address stable = n.all(false).at(0).address, temporary = n.all(true).at(0).address;
    auto socket = n.here.udp().bind(7);
    REQUIRE(n.tasks.spawn([](auto& from) -> task<> {
        for (bool answers = true;; answers = !answers) {
            auto text = co_await from.receive();
            if (!text)
                co_return;
            (void)(answers ? from.answer(*text, text->data) : from.send_to(text->from, text->data));
        }
    }(socket)));
    n.icmp(peer_address, stable, network::solicitation(stable, peer_mac));
    (void)n.run(1ms);
    const auto ask = [&]() -> ipv6_address {
        std::array<std::byte, 12> text{};
        const auto pseudo = wire::pseudo_header_sum(peer_address, stable, 17, 12);
        wire::udp_header{5000, 7, 12}.emit(text, pseudo);
        wire::udp_at::checksum::store(text.data(), 0);
        wire::udp_at::checksum::store(text.data(), wire::sum(text, pseudo).finish());
        n.inject(peer_address, stable, 17, text);
        for (const seen& s : n.run(3s))
            if (s.chain.protocol == 17)
                return s.source;
        return {};
    };
    CHECK(ask() == stable);
    CHECK(ask() == temporary);
}
