// SPDX-License-Identifier: MIT
#include "mirage/wire/ipv4.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

static ipv4_header header_of(ipv4_view v) {
    return {v.source(),
            v.destination(),
            v.protocol(),
            v.ttl(),
            v.dscp_ecn(),
            v.dont_fragment(),
            v.more_fragments(),
            v.identification(),
            static_cast<std::uint16_t>(v.fragment_offset()),
            v.total_length()};
}

static void touch(ipv4_view v) {
    fuzz::touch(v.header());
    fuzz::touch(v.options());
    fuzz::touch(v.payload());
    fuzz::touch(v.packet());
    fuzz::touch(v.pseudo_header());
    fuzz::touch(v.has_source_route());
    for (unsigned type = 0; type < 256; ++type)
        if (const auto option = v.find_option(static_cast<std::uint8_t>(type)))
            fuzz::touch(*option);
    fuzz::expect(v.version() == 4, "the version");
    fuzz::expect(v.is_fragment() == (v.more_fragments() || v.fragment_offset() != 0), "what a fragment is");
    fuzz::expect(v.header().size() + v.payload().size() == v.packet().size(),
                 "header and payload are the packet");
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = fuzz::input(data, size);
    if (const auto quote = ipv4_view::parse_quote(packet)) {
        touch(*quote);
        fuzz::expect(quote->payload().size() >= 8, "a quote has 8 octets of payload");
    }
    const auto view = ipv4_view::parse(packet, verify::no);
    if (!view) {
        fuzz::expect(!ipv4_view::parse(packet), "verification accepts nothing more");
        return 0;
    }
    touch(*view);
    fuzz::expect(view->packet().size() == view->total_length(), "padding is cut");
    fuzz::expect(ipv4_view::parse(packet).has_value() == sum(view->header()).intact(),
                 "the checksum decides");

    // Emitted without options, in front of the same payload.
    auto header = header_of(*view);
    header.total_length = static_cast<std::uint16_t>(ipv4_header::size + view->payload().size());
    std::vector<std::byte> again(header.total_length);
    header.emit(again);
    std::ranges::copy(view->payload(), again.begin() + ipv4_header::size);
    const auto back = ipv4_view::parse(again);
    fuzz::expect(back && header_of(*back) == header, "the header comes back, with a right checksum");
    fuzz::expect(fuzz::same(back->payload(), view->payload()), "the payload is the same");
    fuzz::expect(back->pseudo_header().fold() == view->pseudo_header().fold(), "so is the pseudo header");
    if (!back->is_fragment())
        fuzz::expect(header.pseudo_header().fold() == back->pseudo_header().fold(), "as the sender sees it");
    return 0;
}
