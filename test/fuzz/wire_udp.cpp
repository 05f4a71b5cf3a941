// SPDX-License-Identifier: MIT
#include "mirage/wire/udp.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto pseudo = [](std::size_t length) {
        return pseudo_header_sum(ipv4_address{192, 0, 2, 1}, ipv4_address{198, 51, 100, 2}, 17,
                                 static_cast<std::uint16_t>(length));
    };
    const auto datagram = fuzz::input(data, std::min<std::size_t>(size, 65515));
    const auto view = udp_view::parse(datagram, pseudo(datagram.size()), verify::no);
    const auto verified = udp_view::parse(datagram, pseudo(datagram.size()));
    if (!view) {
        fuzz::expect(!verified, "verification accepts nothing more");
        return 0;
    }
    fuzz::touch(view->payload());
    const auto length = udp_view::header_length + view->payload().size();
    const bool intact = sum(datagram.first(length), pseudo(length)).intact();
    fuzz::expect(verified.has_value() == (intact || !view->has_checksum()), "the checksum decides");

    const udp_header header{view->source_port(), view->destination_port(),
                            static_cast<std::uint16_t>(length)};
    std::vector<std::byte> again(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(length));
    header.emit(again, pseudo(length) + sum(view->payload()));
    const auto back = udp_view::parse(again, pseudo(length));
    fuzz::expect(back && back->has_checksum(), "it comes back with a checksum");
    fuzz::expect(back->source_port() == header.source_port
                     && back->destination_port() == header.destination_port
                     && fuzz::same(back->payload(), view->payload()),
                 "with the same ports and payload");
    return 0;
}
