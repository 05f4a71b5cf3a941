// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <optional>
#include <vector>

/// A host over IPv6, and the other end of its link in the hands of the test.
namespace test::over_ipv6 {

using namespace mirage;
using namespace std::chrono_literals;

using device = memory::netif<>;
template <class... Layers>
using stack_of = net::stack<device, memory::virtual_clock, memory::seeded_random, Layers...>;
using only_ipv6 = stack_of<net::ipv6, net::udp, net::tcp<>>;
using dual = stack_of<net::ipv4, net::icmp, net::ipv6, net::udp, net::tcp<>>;
static_assert(std::is_same_v<only_ipv6::endpoint_type, ipv6_endpoint> && std::is_same_v<dual::endpoint_type, ip_endpoint>);

inline ipv6_address of(const char* text) { return *ipv6_address::parse(text); }

inline const ipv6_address here_address = of("2001:db8::2"), peer_address = of("2001:db8::9"), router_address = of("fe80::1");
inline constexpr mac_address router_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 9}};

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
template <class Stack>
struct bench_of {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{7};
    Stack here;
    nursery tasks{sim.loop()};

    explicit bench_of(net::ipv6_options options = {.ipv6 = {here_address, 64}, .gateway = router_address})
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

using bench = bench_of<only_ipv6>;

inline std::vector<std::byte> echo(std::size_t text) {
    auto m = bench::message(0x80000000u, 0x12340001u);
    for (std::size_t i = 0; i < text; ++i)
        m.push_back(static_cast<std::byte>(i * 7));
    return m;
}

} // namespace test::over_ipv6
