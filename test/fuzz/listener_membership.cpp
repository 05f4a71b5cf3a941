// SPDX-License-Identifier: MIT
#include "mirage/net/listener_membership.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"

using namespace mirage;

/// A listener to some groups hears what the script says, at times that it says; its reports stay well-formed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::script script{fuzz::input(data, size)};
    net::listener_membership machine;
    instant now{std::chrono::hours{1}};
    const auto group = [&] { return ipv6_address{0xff00'0000'0000'0000u | std::uint64_t{script.choice(3)} << 48, script.choice(20)}; };
    for (unsigned steps = 0; !script.done() && steps < 200; ++steps) {
        switch (script.choice(4)) {
        case 0: (void)machine.join(group(), now); break;
        case 1: machine.leave(group(), now); break;
        case 2: now += std::chrono::milliseconds{script.number<std::uint16_t>()}; break;
        default: {
            std::array<std::byte, 32> message{};
            const auto length = script.choice(2) == 0 ? 24u : 28u;
            std::ranges::copy(script.take(length), message.begin());
            const auto view = wire::icmpv6_view::parse(octets{message}.first(length), {}, wire::verify::no);
            if (const auto query = view ? wire::mld_query::parse(*view) : std::unexpected(view.error()))
                machine.queried(*query, wire::mld_querier::of(*view), now, script);
            break;
        }
        }
        for (unsigned turns = 0; machine.next_deadline() <= now; ++turns) {
            fuzz::expect(turns < 100, "time goes on");
            if (const auto out = machine.on_time(now, script)) {
                fuzz::expect(out->destination.is_multicast(), "a message goes to a group");
                fuzz::expect(out->size == 24 || out->size % 20 == 8, "and is whole");
                fuzz::touch(out->view());
            }
        }
    }
    return 0;
}
