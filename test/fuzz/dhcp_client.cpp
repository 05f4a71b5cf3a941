// SPDX-License-Identifier: MIT
// A hostile server and a long time: the client always asks again some day, never too often, and holds no
// address past the end of its lease.
#include "mirage/net/dhcp_client.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"

using namespace mirage;
using fuzz::expect;

namespace {

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}};

struct server {
    fuzz::script& script;
    std::uint32_t transaction = 0;

    /// A message that the client may believe: most options are there, with any value.
    std::size_t write(mutable_octets room) {
        static constexpr std::array types{wire::dhcp_type::offer, wire::dhcp_type::ack, wire::dhcp_type::nak};
        const ipv4_address few{10, 0, 0, static_cast<std::uint8_t>(script.choice(4))};
        wire::dhcp_writer out{
            room,
            {.op = wire::dhcp_view::boot_reply,
             .transaction = transaction,
             .your_address = script.choice(8) != 0 ? few : ipv4_address{script.number<std::uint32_t>()},
             .client_hardware = own_mac}};
        out.add(types[script.choice(3)]);
        out.add(wire::dhcp_option::server_identifier,
                ipv4_address{10, 0, 0, static_cast<std::uint8_t>(script.choice(3))});
        out.add(wire::dhcp_option::lease_time,
                script.choice(2) != 0 ? script.number<std::uint16_t>() : script.number<std::uint32_t>());
        if (script.choice(2) != 0)
            out.add(wire::dhcp_option::subnet_mask, ipv4_address{0xffffffffu << script.choice(32)});
        if (script.choice(2) != 0)
            out.add(wire::dhcp_option::renewal_time, script.number<std::uint32_t>());
        if (script.choice(2) != 0)
            out.add(wire::dhcp_option::rebinding_time, script.number<std::uint32_t>());
        if (script.choice(2) != 0)
            out.add(wire::dhcp_option::routers, script.take(script.choice(12)));
        if (script.choice(2) != 0)
            out.add(wire::dhcp_option::dns_servers, script.take(script.choice(20)));
        return out.finish().value_or(0);
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::script script{fuzz::input(data, size)};
    net::dhcp_client client{{.hardware = own_mac, .iaid = 1, .host_name = "fuzz"}};
    server peer{script};
    instant now{std::chrono::hours{1}}, asked_at{};
    bool holds = false;
    std::size_t heard_since = 1;

    const auto note = [&](const net::dhcp_step& step) {
        if (step.event == net::dhcp_event::bound) {
            expect(!holds, "bound once");
            holds = true;
        } else if (step.event == net::dhcp_event::lost) {
            expect(holds, "only what is held is lost");
            holds = false;
        } else if (step.event == net::dhcp_event::renewed) {
            expect(holds, "only what is held is renewed");
        }
        expect(holds == (client.lease() != nullptr), "events tell the truth about the lease");
        if (!step.send)
            return;
        const auto& send = *step.send;
        expect(now - asked_at >= std::chrono::seconds{1} || heard_since > 0,
               "asks no faster than is answered");
        asked_at = now;
        heard_since = 0;
        peer.transaction = send.message.transaction;
        std::array<std::byte, 548> room{};
        const auto length = send.message.emit(room);
        expect(length && wire::dhcp_view::parse(octets{room}.first(*length)), "every message is well-formed");
        expect(send.source.is_unspecified() || client.lease() == nullptr
                   || send.source == client.lease()->own.address,
               "sends from its own address");
        expect(send.destination.is_limited_broadcast() || net::is_host(send.destination),
               "sends to a host or to all");
    };

    client.start(now, script, script.choice(2) != 0 ? ipv4_address{10, 0, 0, 3} : ipv4_address{});
    while (!script.done()) {
        std::array<std::byte, 1024> room{};
        switch (script.choice(8)) {
        case 0:
        case 1:
        case 2: {
            const auto length = peer.write(room);
            if (const auto view = wire::dhcp_view::parse(octets{room}.first(length))) {
                ++heard_since;
                note(client.on_message(*view, now, script));
            }
            break;
        }
        case 3: // raw options behind a good fixed part
            (void)peer.write(room);
            std::ranges::copy(script.take(script.number<std::uint8_t>()),
                              room.begin() + wire::dhcp_at::options);
            if (const auto view = wire::dhcp_view::parse(room)) {
                ++heard_since;
                note(client.on_message(*view, now, script));
            }
            break;
        case 4:
            ++heard_since; // a report is an answer of a kind
            note(client.conflict(now, script));
            break;
        default: {
            const auto step = std::chrono::seconds{1}
                              * (script.choice(4) == 0 ? script.number<std::uint16_t>() : script.choice(64));
            now += step;
            for (int turns = 0; client.next_deadline() <= now; ++turns) {
                expect(turns < 4, "on_time ends");
                note(client.on_time(now, script));
            }
        }
        }
        expect(client.state() != net::dhcp_state::stopped, "never stops by itself");
        if (const auto* lease = client.lease()) {
            expect(net::problem({.ipv4 = lease->own}).empty(), "an address that a host can have");
            expect(lease->gateway.is_unspecified() || net::is_host(lease->gateway),
                   "a gateway that is a host");
            expect(lease->renew_at <= lease->rebind_at && lease->rebind_at <= lease->expires_at,
                   "T1 <= T2 <= end");
            expect(lease->expires_at == never ? client.next_deadline() == never
                                              : client.next_deadline() <= lease->expires_at,
                   "a timer ends the lease");
        } else {
            expect(client.next_deadline() != never, "asks again some day");
        }
    }
    ++heard_since; // a release waits for nobody
    note(client.release(now, script));
    expect(client.next_deadline() == never, "a released client rests");
    return 0;
}
