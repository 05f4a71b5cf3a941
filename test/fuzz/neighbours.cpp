// SPDX-License-Identifier: MIT
// Random traffic, ARP packets and times: nothing that waits is lost without being counted, the bounds hold,
// and no address is asked for more than the rate allows.
#include "mirage/net/neighbours.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"

using namespace mirage;
using fuzz::expect;

namespace {

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}};
constexpr ipv4_address own{10, 0, 0, 2};

struct parcel {
    static inline std::size_t alive = 0;
    bool full = true;
    parcel() noexcept { ++alive; }
    parcel(parcel&& other) noexcept : full{std::exchange(other.full, false)} {}
    parcel& operator=(parcel&&) = delete;
    ~parcel() { alive -= full ? 1u : 0u; }
};

struct output {
    std::size_t packets = 0, resolved_count = 0, failed_count = 0;
    void transmit(const wire::arp_packet& packet, mac_address to) noexcept {
        ++packets;
        expect(packet.sender_hardware == own_mac && packet.sender_protocol == own, "sends in our name");
        expect(!to.is_group() || (to.is_broadcast() && packet.operation == wire::arp_operation::request),
               "only requests are broadcast");
    }
    void resolved(parcel p, mac_address mac) noexcept {
        expect(p.full && !mac.is_group() && mac != own_mac, "resolved to a host");
        ++resolved_count;
    }
    void failed(parcel p, ipv4_address) noexcept {
        expect(p.full, "failed holds a packet");
        ++failed_count;
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    {
        fuzz::script script{fuzz::input(data, size)};
        net::neighbours<parcel, 8> cache{own_mac};
        output out;
        instant now{std::chrono::hours{1}};
        cache.configure(own);
        std::size_t given = 0;
        const auto address = [&] { return ipv4_address{own.value() + script.choice(24)}; };
        while (!script.done()) {
            switch (script.choice(7)) {
            case 0: {
                const auto to = address();
                ++given;
                cache.resolve(to, parcel{}, now, out);
                break;
            }
            case 1: {
                const auto to = address();
                if (const auto* mac = cache.find(to, now, out))
                    expect(!mac->is_group(), "found a host");
                break;
            }
            case 2: { // an ARP packet of a neighbour, mostly sensible
                const auto from = address();
                const wire::arp_packet packet{script.choice(2) != 0 ? wire::arp_operation::reply
                                                                    : wire::arp_operation::request,
                                              {{2, 0, 0, 0, 1, script.number<std::uint8_t>()}},
                                              from,
                                              own_mac,
                                              script.choice(4) != 0 ? own : address()};
                std::array<std::byte, wire::arp_packet::size> raw{};
                packet.emit(raw);
                cache.receive(*wire::arp_view::parse(raw), now, out);
                break;
            }
            case 3: // an ARP packet of nobody
                if (const auto view = wire::arp_view::parse(script.take(wire::arp_view::length)))
                    cache.receive(*view, now, out);
                break;
            case 4:
                now += std::chrono::milliseconds{script.number<std::uint16_t>()}
                       * (script.choice(8) == 0 ? 100 : 1);
                if (cache.next_deadline() <= now) {
                    cache.on_time(now, out);
                    expect(cache.next_deadline() > now, "the timer advances");
                }
                break;
            case 5: cache.confirm(address(), now); break;
            }
            expect(cache.size() <= 8, "bounded entries");
            expect(cache.incomplete() <= 4, "bounded incomplete entries");
            expect(cache.waiting() <= 4, "bounded packets");
            expect(cache.incomplete() != 0 || cache.waiting() == 0, "packets wait only for answers");
            expect(cache.incomplete() == 0 || cache.next_deadline() != never,
                   "an unanswered request has a timer");
            expect(parcel::alive == cache.waiting(), "no packet is leaked");
            expect(out.resolved_count + out.failed_count + cache.waiting() <= given, "no packet is made up");
        }
        cache.configure({});
        expect(parcel::alive == 0 && cache.size() == 0, "a new configuration forgets all");
    }
    return 0;
}
