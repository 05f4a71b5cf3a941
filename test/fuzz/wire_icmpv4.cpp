// SPDX-License-Identifier: MIT
#include "mirage/wire/icmpv4.hpp"
#include "mirage/wire/ipv4.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = fuzz::input(data, size);
    const auto view = icmpv4_view::parse(message, verify::no);
    fuzz::expect(icmpv4_view::parse(message).has_value() == (view && sum(message).intact()),
                 "the checksum decides");
    if (!view)
        return 0;
    fuzz::touch(view->identifier());
    fuzz::touch(view->sequence());
    fuzz::touch(view->pointer());
    fuzz::touch(view->next_hop_mtu());
    if (view->is_error())
        if (const auto quote = ipv4_view::parse_quote(view->payload()))
            fuzz::touch(quote->payload());

    const icmpv4_header header{view->type(), view->code(), view->rest()};
    std::vector<std::byte> again(message.begin(), message.end());
    header.emit(again, sum(view->payload()));
    const auto back = icmpv4_view::parse(again);
    fuzz::expect(back && icmpv4_header{back->type(), back->code(), back->rest()} == header,
                 "the header comes back");
    fuzz::expect(fuzz::same(back->payload(), view->payload()), "so does the payload");

    const auto reply = icmpv4_header::echo_reply(*view);
    reply.emit(again, sum(view->payload()));
    fuzz::expect(icmpv4_view::parse(again).has_value(), "a reply parses");
    fuzz::expect(icmpv4_header::quote(message).size() <= icmpv4_header::max_quote, "a quote is short");
    return 0;
}
