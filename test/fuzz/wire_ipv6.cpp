// SPDX-License-Identifier: MIT
#include "mirage/net/reassembly.hpp"
#include "mirage/wire/icmpv6.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

namespace {

buffer_pool pool{4, 2048};
net::reassembly<4, net::ipv6_fragments> machine{pool};
instant now{};

void look_at(const ipv6_view& view, bool whole) {
    const ipv6_chain chain = walk_extensions(view);
    const std::size_t size = view.packet().size();
    switch (chain.verdict) {
    case ipv6_verdict::deliver:
        fuzz::expect(chain.offset <= size && chain.named_at < chain.offset, "the upper layer is in the packet");
        fuzz::touch(view.packet().subspan(chain.offset));
        break;
    case ipv6_verdict::reassemble: {
        fuzz::expect(chain.fragment_at >= ipv6_view::header_length && chain.fragment_at + 8u <= size, "the piece is, too");
        fuzz::touch(has_whole_chain(view, chain.fragment_at));
        const auto piece = ipv6_piece::make(view, chain);
        if (!piece)
            return;
        fuzz::touch(piece->payload());
        now += std::chrono::seconds{1};
        machine.on_time(now, [](octets quote) { fuzz::touch(quote); });
        const auto made = machine.add(*piece, now);
        if (made && whole) {
            const auto again = ipv6_view::parse(made->view());
            fuzz::expect(again && again->packet().size() == made->size(), "what was put together is a packet");
            look_at(*again, false);
        }
        break;
    }
    case ipv6_verdict::report:
    case ipv6_verdict::report_always:
        fuzz::expect(chain.pointer < size, "the pointer points into the packet");
        break;
    case ipv6_verdict::discard: break;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = fuzz::input(data, size);
    if (const auto quote = ipv6_view::parse_quote(packet))
        fuzz::touch(quote->payload());
    // A few packets one after the other, so that pieces meet.
    for (octets rest = packet; !rest.empty();) {
        const auto view = ipv6_view::parse(rest);
        if (!view)
            break;
        std::array<std::byte, ipv6_header::size> again;
        ipv6_header{view->source(), view->destination(), next_header{view->first_header()}, view->hop_limit(),
                    view->traffic_class(), view->flow_label(), view->payload_length()}
            .emit(again);
        fuzz::expect(fuzz::same(again, view->header()), "the header comes back");
        look_at(*view, true);
        rest = rest.subspan(view->packet().size());
    }
    return 0;
}
