// SPDX-License-Identifier: MIT
// A hostile DHCPv6 server and a long time: the client always asks again some day, never too often, and holds no address
// past the end of its lease. A script that begins as a message is read as one, too.
#include "mirage/net/dhcpv6_client.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"

using namespace mirage;
using fuzz::expect;

namespace {

constexpr mac_address own_mac{{2, 0, 0, 0, 0, 1}};

void look_at(octets message) {
    const auto view = wire::dhcpv6_view::parse(message);
    if (!view)
        return;
    fuzz::touch(view->transaction());
    view->options().each([](wire::dhcpv6_option, octets text) { fuzz::touch(text); });
    if (const auto ia = view->association(1))
        ia->each([](const wire::dhcpv6_address& a) { fuzz::touch(a.address); });
    net::dhcpv6_names names;
    names.read(view->options());
    for (const auto& a : names.servers())
        expect(!a.is_multicast(), "a server is a host");
}

/// A message that the client may believe: most options are there, with any value.
std::size_t write(fuzz::script& script, mutable_octets room, std::uint32_t transaction) {
    using option = wire::dhcpv6_option;
    wire::dhcpv6_writer out{room, script.choice(2) != 0 ? wire::dhcpv6_type::reply : wire::dhcpv6_type::advertise, transaction};
    out.add(option::client_identifier, wire::dhcpv6_duid::of(own_mac).view());
    out.add(option::server_identifier, static_cast<std::uint8_t>(script.choice(2)));
    if (script.choice(2) != 0)
        out.add(option::rapid_commit);
    if (script.choice(4) == 0)
        out.add(option::preference, script.number<std::uint8_t>());
    if (script.choice(4) == 0)
        out.add(option::status, std::uint16_t{static_cast<std::uint8_t>(script.choice(7))});
    if (script.choice(4) == 0)
        out.add(option::solicit_max_rt, script.number<std::uint32_t>());
    if (script.choice(4) == 0)
        out.add(option::information_refresh_time, script.number<std::uint32_t>());
    const auto seconds = [&] { return script.choice(2) != 0 ? script.number<std::uint16_t>() : script.number<std::uint32_t>(); };
    const bool failed = script.choice(4) == 0;
    out.open(option::ia_na, failed ? 18 : 40);
    for (const std::uint32_t n : {1u, seconds(), seconds()})
        out.put(n);
    if (failed)
        out.add(option::status, std::uint16_t{static_cast<std::uint8_t>(script.choice(7))});
    else
        out.add(wire::dhcpv6_address{{0x2001'0db8'0000'0000u, script.choice(3)}, seconds(), seconds()});
    if (script.choice(2) != 0)
        out.add(option::domain_list, script.take(script.choice(20)));
    if (script.choice(2) != 0)
        out.add(option::dns_servers, script.take(script.choice(40)));
    return out.size();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    look_at(fuzz::input(data, size));
    fuzz::script script{fuzz::input(data, size)};
    net::dhcpv6_client client{own_mac, 1};
    instant now{std::chrono::hours{1}}, asked_at{};
    std::uint32_t transaction = 0;
    bool holds = false;
    std::size_t heard_since = 1;

    const auto note = [&](const net::dhcpv6_step& step) {
        if (step.event == net::dhcpv6_event::bound) {
            expect(!holds, "bound once");
            holds = true;
        } else if (step.event == net::dhcpv6_event::lost) {
            expect(holds, "only what is held is lost");
            holds = false;
        } else if (step.event == net::dhcpv6_event::renewed) {
            expect(holds, "only what is held is renewed");
        }
        expect(holds == (client.lease() != nullptr), "events tell the truth about the lease");
        if (!step.send)
            return;
        expect(now - asked_at >= std::chrono::milliseconds{900} || heard_since > 0, "asks no faster than is answered");
        asked_at = now;
        heard_since = 0;
        const auto view = wire::dhcpv6_view::parse(step.send->view());
        expect(view.has_value(), "every message is well-formed");
        transaction = view->transaction();
    };

    client.advertised(script.choice(2) != 0, true, now, script);
    while (!script.done()) {
        std::array<std::byte, 512> room{};
        switch (script.choice(8)) {
        case 0:
        case 1:
        case 2:
            if (const auto view = wire::dhcpv6_view::parse(octets{room}.first(write(script, room, transaction)))) {
                ++heard_since;
                note(client.on_message(*view, now, script));
            }
            break;
        case 3:
            ++heard_since; // a report is an answer of a kind
            note(client.conflict(now, script));
            break;
        case 4:
            ++heard_since; // so is what a router says
            if (script.choice(3) == 0)
                client.moved(now, script);
            else
                client.advertised(script.choice(2) != 0, script.choice(2) != 0, now, script);
            break;
        default: {
            now += std::chrono::seconds{1} * (script.choice(4) == 0 ? script.number<std::uint16_t>() : script.choice(64));
            for (int turns = 0; client.next_deadline() <= now; ++turns) {
                expect(turns < 4, "on_time ends");
                note(client.on_time(now, script));
            }
        }
        }
        expect(client.state() != net::dhcpv6_state::stopped, "never stops by itself");
        if (const auto* lease = client.lease()) {
            expect(!lease->address.is_multicast() && !lease->address.is_unspecified(), "an address that a host can have");
            expect(lease->renew_at <= lease->rebind_at && lease->rebind_at <= lease->valid_until, "T1 <= T2 <= end");
            expect(client.next_deadline() <= lease->valid_until, "a timer ends the lease");
        } else if (client.state() != net::dhcpv6_state::informed) {
            expect(client.next_deadline() != never, "asks again some day");
        }
    }
    ++heard_since;
    note(client.release(now, script));
    return 0;
}
