// SPDX-License-Identifier: MIT
// What a stack publishes: every layer that is listed, and nothing of one that is not.
#include "mirage/app/http/counters.hpp"
#include "mirage/app/metrics.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/address_guard.hpp"
#include "mirage/net/dhcpv6.hpp"
#include "mirage/net/igmp.hpp"
#include "mirage/net/mld.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <map>
#include <set>
#include <string>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr ipv4_address here_address{10, 0, 0, 1}, there_address{10, 0, 0, 2};

template <class... Layers>
using stack_of = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, Layers...>;
using plain_stack = stack_of<net::ipv4, net::icmp, net::udp, net::tcp<>>;

/// An exposition, read as strictly as the text format, version 0.0.4, is written: HELP and TYPE once for each name,
/// before its series, which stand together and differ.
struct exposition {
    std::map<std::string, std::uint64_t> series;
    std::set<std::string> names;

    explicit exposition(const auto& registry, bool with_help = true) {
        std::string text;
        registry.write([&](std::string_view t) { text += t; });
        std::string name, helped;
        for (std::size_t at = 0; at < text.size();) {
            const auto end = text.find('\n', at);
            REQUIRE(end != text.npos);
            const std::string line = text.substr(at, end - at);
            at = end + 1;
            CAPTURE(line);
            if (line.starts_with("# HELP ")) {
                helped = line.substr(7, line.find(' ', 7) - 7);
                CHECK(line.size() > 8 + helped.size());
            } else if (line.starts_with("# TYPE ")) {
                name = line.substr(7, line.find(' ', 7) - 7);
                CHECK(line.substr(8 + name.size()) == (name.ends_with("_total") ? "counter" : "gauge"));
                CHECK((!with_help || name == helped));
                CHECK(names.insert(name).second);
            } else {
                const auto space = line.rfind(' ');
                const std::string key = line.substr(0, space);
                CHECK(key.substr(0, key.find('{')) == name);
                CHECK(series.emplace(key, std::stoull(line.substr(space + 1))).second);
            }
        }
    }
    bool has_layer(std::string_view prefix) const {
        const auto at = names.lower_bound(std::string{prefix});
        return at != names.end() && at->starts_with(prefix);
    }
};

template <class Stack>
struct two_hosts {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random here_random{1}, there_random{2};
    Stack here{sim.loop(), link.a(), sim.clock(), here_random, {.network = {.ipv4 = {here_address, 24}}}};
    Stack there{sim.loop(), link.b(), sim.clock(), there_random, {.network = {.ipv4 = {there_address, 24}}}};
    nursery tasks{sim.loop()};

    two_hosts() {
        (void)tasks.spawn(here.run());
        (void)tasks.spawn(there.run());
    }
};

} // namespace

TEST_CASE("a stack publishes the layers that it has, and no others") {
    two_hosts<plain_stack> net;
    metrics<> m;
    net.here.publish(m);
    const exposition all{m};
    for (const char* prefix : {"net_frames_", "net_receive_pool_", "arp_", "ipv4_received", "ipv4_reassembly_", "icmp_", "udp_",
                               "tcp_segments_", "tcp_connections", "tcp_copies_"}) {
        CAPTURE(prefix);
        CHECK(all.has_layer(prefix));
    }
    for (const char* prefix : {"ipv6_", "ndp_", "igmp_", "mld_", "dhcp", "vlan_", "http_"})
        CHECK_FALSE(all.has_layer(prefix));
}

TEST_CASE("with every layer listed, everything is published once") {
    two_hosts<stack_of<net::ipv4, net::icmp, net::igmp, net::ipv6, net::mld, net::udp, net::dhcpv6, net::tcp<net::syn_cookies>>> net;
    metrics<> m;
    net.here.publish(m);
    const exposition all{m};
    for (const char* prefix : {"net_", "arp_", "ipv4_", "icmp_", "igmp_", "ipv6_", "ipv6_reassembly_", "ndp_", "ndp_neighbour_", "mld_",
                               "udp_", "dhcpv6_", "tcp_"}) {
        CAPTURE(prefix);
        CHECK(all.has_layer(prefix));
    }
    CHECK(all.series.size() > 90);
}

TEST_CASE("what happens shows in the series of its layer") {
    two_hosts<plain_stack> net;
    metrics<> m;
    net.here.publish(m);
    auto to_nobody = net.there.udp().bind(0);
    (void)to_nobody.send_to({here_address, 9}, as_octets("is there anybody?"));
    auto listener = net.here.tcp().listen(7);
    bool open = false;
    (void)net.tasks.spawn([](plain_stack& from, bool& done) -> task<> {
        auto stream = co_await from.tcp().connect({here_address, 7});
        done = stream.has_value();
        co_await from.loop().sleep_for(1h); // and keeps it
    }(net.there, open));
    REQUIRE(net.sim.run_until([&] { return open; }, net.sim.now() + 10s));
    net.sim.run_until([] { return false; }, net.sim.now() + 1s);
    const exposition e{m};
    CHECK(e.series.at("udp_received_total") == 1);
    CHECK(e.series.at("udp_no_port_total") == 1);
    CHECK(e.series.at("icmp_errors_sent_total") == 1);
    CHECK(e.series.at("tcp_connections") == 1);
    CHECK(e.series.at("tcp_connections_accepted_total") == 1);
    CHECK(e.series.at("arp_replies_total") == 1);
    CHECK(e.series.at("ipv4_received_total") == net.here.ip().statistics().received);
    CHECK(e.series.at("net_frames_received_total") == net.here.statistics().frames_received);
    CHECK(e.series.at("net_receive_pool_size") == net.link.a().receive_pool().size());
}

TEST_CASE("segments that carry what was sent before are counted (RFC 4022, tcpRetransSegs)") {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{1};
    plain_stack alone{sim.loop(), link.a(), sim.clock(), random, {.network = {.ipv4 = {here_address, 24}}}};
    nursery tasks{sim.loop()};
    (void)tasks.spawn(alone.run());
    // Somebody answers ARP, and nothing else.
    stack_of<net::ipv4> mute{sim.loop(), link.b(), sim.clock(), random, {.network = {.ipv4 = {there_address, 24}}}};
    (void)tasks.spawn(mute.run());
    (void)tasks.spawn([](plain_stack& from) -> task<> { (void)co_await from.tcp().connect({there_address, 7}); }(alone));
    sim.run_until([] { return false; }, sim.now() + 4s); // the SYN at 0, after 1 s and after 3 s: RFC 6298 section 2
    CHECK(alone.tcp().statistics().segments_sent == 3);
    CHECK(alone.tcp().statistics().segments_retransmitted == 2);
}

TEST_CASE("two stacks in one registry differ in their labels, and their series stand together") {
    two_hosts<plain_stack> net;
    metrics<> m;
    net.here.publish(m, "interface=\"service\"");
    http::counters served;
    m.add(served);
    net.there.publish(m, "interface=\"management\"");
    const exposition all{m};
    CHECK(all.series.contains("udp_received_total{interface=\"service\"}"));
    CHECK(all.series.contains("udp_received_total{interface=\"management\"}"));
    CHECK(all.series.contains("http_responses_total{code=\"2xx\"}"));
}

TEST_CASE("the compact form has the same series") {
    two_hosts<plain_stack> net;
    metrics<> full;
    compact_metrics<> compact;
    net.here.publish(full);
    net.here.publish(compact);
    CHECK(exposition{full}.series == exposition{compact, false}.series);
}
