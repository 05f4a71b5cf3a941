// SPDX-License-Identifier: MIT
#include "mirage/net/group_membership.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"

using namespace mirage;

/// A member of some groups hears what the script says, at times that it says; its reports stay well-formed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto view = wire::igmp_view::parse(fuzz::input(data, size))) {
        fuzz::touch(view->group());
        fuzz::expect(view->response_time() <= std::chrono::milliseconds{3'174'400}, "the response time");
        fuzz::expect(view->version() >= 1 && view->version() <= 3, "the version");
    }
    fuzz::script script{fuzz::input(data, size)};
    net::group_membership machine;
    instant now{std::chrono::hours{1}};
    const auto group = [&] { return ipv4_address{239, 0, 0, static_cast<std::uint8_t>(script.choice(20))}; };
    for (unsigned steps = 0; !script.done() && steps < 200; ++steps) {
        switch (script.choice(4)) {
        case 0: (void)machine.join(group(), now); break;
        case 1: machine.leave(group(), now); break;
        case 2: now += std::chrono::milliseconds{script.number<std::uint16_t>()}; break;
        default: {
            std::array<std::byte, 16> message{};
            const auto length = script.choice(2) == 0 ? 8u : 12u;
            std::ranges::copy(script.take(length), message.begin());
            wire::igmp_at::checksum::store(message.data(), 0);
            wire::igmp_at::checksum::store(message.data(), wire::sum(octets{message}.first(length)).finish());
            if (const auto view = wire::igmp_view::parse(octets{message}.first(length)))
                machine.receive(*view, script.choice(2) == 0 ? net::all_hosts_group : view->group(), now, script);
            break;
        }
        }
        for (unsigned turns = 0; machine.next_deadline() <= now; ++turns) {
            fuzz::expect(turns < 100, "time goes on");
            if (const auto out = machine.on_time(now, script)) {
                fuzz::expect(wire::igmp_view::parse(out->view()).has_value(), "a message is well-formed");
                fuzz::expect(out->destination.is_multicast(), "and goes to a group");
            }
        }
    }
    return 0;
}
