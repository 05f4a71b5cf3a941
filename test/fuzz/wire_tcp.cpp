// SPDX-License-Identifier: MIT
#include "mirage/wire/tcp.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

static tcp_header header_of(tcp_view v) {
    return {v.source_port(), v.destination_port(), v.sequence(),       v.acknowledgment(),
            v.flags(),       v.window(),           v.urgent_pointer(), v.options()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto pseudo = [](std::size_t length) {
        return pseudo_header_sum(ipv4_address{192, 0, 2, 1}, ipv4_address{198, 51, 100, 2}, 6,
                                 static_cast<std::uint16_t>(length));
    };
    const auto segment = fuzz::input(data, std::min<std::size_t>(size, 65000));
    const auto view = tcp_view::parse(segment, pseudo(segment.size()), verify::no);
    const bool intact = sum(segment, pseudo(segment.size())).intact();
    fuzz::expect(tcp_view::parse(segment, pseudo(segment.size())).has_value() == (view && intact),
                 "the checksum decides");
    if (!view)
        return 0;
    fuzz::touch(view->option_octets());
    fuzz::touch(view->payload());
    fuzz::expect(view->header().size() + view->payload().size() == segment.size(),
                 "header and payload are all");

    auto header = header_of(*view);
    fuzz::expect(header.options.sack_count <= 4 && header.options.window_scale.value_or(0) <= 14, "limits");
    header.options.malformed = false; // cannot be sent
    const auto length = header.size();
    fuzz::expect(length >= 20 && length <= 60 && length % 4 == 0, "the size of a header");
    std::vector<std::byte> again(length + view->payload().size());
    std::ranges::copy(view->payload(), again.begin() + static_cast<std::ptrdiff_t>(length));
    header.emit(again, pseudo(again.size()) + sum(view->payload()));

    const auto back = tcp_view::parse(again, pseudo(again.size()));
    fuzz::expect(back.has_value(), "it parses, with a right checksum");
    fuzz::expect(fuzz::same(back->payload(), view->payload()), "the payload is the same");
    // SACK blocks give way when other options fill the header.
    const auto kept = back->options().sack_count;
    fuzz::expect(kept <= header.options.sack_count, "no block is made up");
    header.options.sack_count = kept;
    for (std::size_t i = kept; i < header.options.sack.size(); ++i)
        header.options.sack[i] = {};
    fuzz::expect(header_of(*back) == header, "the header comes back");
    return 0;
}
