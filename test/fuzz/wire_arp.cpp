// SPDX-License-Identifier: MIT
#include "mirage/wire/arp.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = fuzz::input(data, size);
    const auto view = arp_view::parse(packet);
    if (!view)
        return 0;
    fuzz::expect(!(view->is_probe() && view->is_announcement()), "not both at once");
    std::array<std::byte, arp_packet::size> again{};
    arp_packet::from(*view).emit(again);
    fuzz::expect(fuzz::same(again, packet.first(again.size())), "the packet comes back");

    const auto answer = arp_packet::reply(mac_address::broadcast(), view->target_protocol(), *view);
    answer.emit(again);
    const auto answer_view = arp_view::parse(again);
    fuzz::expect(answer_view && arp_packet::from(*answer_view) == answer, "an answer parses");
    return 0;
}
