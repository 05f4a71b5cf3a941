// SPDX-License-Identifier: MIT
// Packets to a whole stack of IPv6, with right checksums and addresses that matter, and time that passes: nothing that
// the link says breaks it, its tables stay bounded, and it still answers an echo request in the end.
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"
#include <vector>

using namespace mirage;
using fuzz::expect;

namespace {

using device = memory::netif<>;
using stack_type = net::stack<device, memory::virtual_clock, memory::seeded_random, net::ipv6, net::udp>;

constexpr ipv6_address ours{0x20010db800000000, 2}, router = ipv6_address::link_local(1);
constexpr mac_address peer_mac{{2, 0, 0, 0, 0, 9}};

struct world {
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{7};
    buffer_pool frames{4, 2048};
    stack_type here{sim.loop(), link.b(), sim.clock(), random, {.ipv6 = {.ipv6 = {ours, 64}}}};

    /// Takes what the stack has sent; how many echo replies were among it.
    unsigned drain() {
        unsigned replies = 0;
        std::array<received_frame, 16> burst;
        for (std::size_t n = 0; (n = link.a().receive(burst)) != 0;)
            for (auto& f : std::span{burst}.first(n)) {
                const auto view = wire::ipv6_view::parse(f.data.view().subspan(14));
                expect(view.has_value(), "what is sent is IPv6");
                const auto chain = wire::walk_extensions(*view);
                expect(chain.verdict == wire::ipv6_verdict::deliver || chain.verdict == wire::ipv6_verdict::reassemble,
                       "and its headers are in order");
                if (chain.verdict == wire::ipv6_verdict::deliver && chain.protocol == 58) {
                    const octets text = view->packet().subspan(chain.offset);
                    const auto pseudo = wire::pseudo_header_sum(view->source(), view->destination(), 58,
                                                                static_cast<std::uint32_t>(text.size()));
                    expect(wire::sum(text, pseudo).intact(), "checksums are right");
                    replies += text[0] == std::byte{129} ? 1 : 0;
                }
                f.data.reset();
            }
        return replies;
    }
    void pass(duration d) {
        (void)sim.run_until([] { return false; }, sim.now() + d);
        (void)drain();
    }
    void give(octets packet, const ipv6_address& destination) {
        // The frame lies in the device's memory, exactly as long as it is.
        received_frame frame;
        page memory = frames.take();
        if (!memory || packet.size() + 14 > memory.room().size())
            return;
        const bool group = destination.is_multicast();
        wire::ethernet_header{group ? net::ndp_host<int>::group_mac(destination) : link.b().mac(), peer_mac,
                              wire::ethertype::ipv6}
            .emit(memory.room());
        std::ranges::copy(packet, memory.room().begin() + 14);
        frame.data = std::move(memory).freeze(0, 14 + packet.size());
        here.input(frame);
        frame.data.reset();
    }
    /// `rest` behind an IPv6 header; where it is an ICMPv6 message its checksum is made right.
    void give(const ipv6_address& source, const ipv6_address& destination, std::uint8_t next, std::uint8_t hops,
              octets rest) {
        std::vector<std::byte> packet(40 + rest.size());
        wire::ipv6_header{.source = source, .destination = destination, .next = wire::next_header{next},
                          .hop_limit = hops, .payload_length = static_cast<std::uint16_t>(rest.size())}
            .emit(packet);
        std::ranges::copy(rest, packet.begin() + 40);
        const auto chain = wire::walk_extensions(*wire::ipv6_view::parse(packet));
        if (chain.verdict == wire::ipv6_verdict::deliver && chain.protocol == 58 && packet.size() >= chain.offset + 8u) {
            const mutable_octets text = mutable_octets{packet}.subspan(chain.offset);
            wire::icmpv6_at::checksum::store(text.data(), 0);
            const auto pseudo =
                wire::pseudo_header_sum(source, destination, 58, static_cast<std::uint32_t>(text.size()));
            wire::icmpv6_at::checksum::store(text.data(), wire::sum(text, pseudo).finish());
        }
        give(packet, destination);
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    world w;
    w.pass(std::chrono::seconds{4});
    if (!w.here.ip6().addresses().is_valid(ours))
        return 0;
    fuzz::script script{fuzz::input(data, size)};
    auto socket = w.here.udp().bind(7);
    socket.hear_of_losses();
    while (!script.done()) {
        const auto address = [&]() -> ipv6_address {
            switch (script.choice(8)) {
            case 0: return ours;
            case 1: return router;
            case 2: return ipv6_address::all_nodes();
            case 3: return ipv6_address::solicited_node(ours);
            case 4: return w.here.ip6().addresses().link_local();
            case 5: return ipv6_address{0x20010db800000000, 16u + script.choice(250)};
            case 6: return {};
            default: return {script.number<std::uint64_t>(), script.number<std::uint64_t>()};
            }
        };
        switch (script.choice(8)) {
        case 0: w.pass(std::chrono::milliseconds{script.number<std::uint16_t>()}); break;
        case 1: (void)socket.send_to({address(), 9}, as_octets("text")); break;
        case 2: { // as it comes
            const auto packet = script.take(script.number<std::uint8_t>());
            w.give(packet, ours);
            break;
        }
        case 3: w.pass(std::chrono::seconds{script.number<std::uint16_t>()}); break;
        default: {
            constexpr std::uint8_t nexts[] = {58, 58, 58, 58, 0, 44, 60, 17};
            constexpr std::uint8_t types[] = {1, 2, 3, 4, 128, 130, 133, 134, 135, 136, 137, 143};
            const auto source = address(), destination = address();
            const std::uint8_t next = nexts[script.choice(8)];
            std::vector<std::byte> rest(8);
            rest[0] = static_cast<std::byte>(next == 58 ? types[script.choice(12)] : script.choice(256));
            const auto more = script.take(script.number<std::uint8_t>());
            rest.insert(rest.end(), more.begin(), more.end());
            wire::store<std::uint32_t>(rest.data() + 4, script.number<std::uint32_t>());
            w.give(source, destination, next, script.choice(4) == 0 ? std::uint8_t{1} : std::uint8_t{255}, rest);
            break;
        }
        }
        (void)w.drain();
        expect(w.here.ip6().host().neighbours().size() <= 64, "the neighbours are bounded");
    }
    // The peer says who it is and asks; the address may have been taken from us, but not while it was valid.
    w.pass(std::chrono::minutes{5});
    expect(w.here.ip6().addresses().is_valid(ours), "a valid address stays");
    const auto peer = ipv6_address{0x20010db800000000, 9};
    std::vector<std::byte> ask(32);
    ask[0] = std::byte{135};
    wire::field<ipv6_address, 8>::store(ask.data(), ours);
    ask[24] = ask[25] = std::byte{1};
    wire::store_native(ask.data() + 26, peer_mac);
    w.give(peer, ipv6_address::solicited_node(ours), 58, 255, ask);
    std::vector<std::byte> echo(16);
    echo[0] = std::byte{128};
    w.give(peer, ours, 58, 64, echo);
    expect(w.drain() == 1, "it still answers");
    return 0;
}
