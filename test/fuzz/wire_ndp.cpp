// SPDX-License-Identifier: MIT
#include "mirage/wire/ndp.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

namespace {

void look_at(const ndp_options& options) {
    for (const auto type : {ndp_option::source_link, ndp_option::target_link})
        if (const auto mac = options.link(type))
            fuzz::touch(*mac);
    fuzz::touch(options.nonce());
    fuzz::touch(options.mtu());
    options.each([](ndp_option type, octets one) {
        fuzz::expect(one.size() >= 8 && one.size() % 8 == 0, "an option is of whole units");
        fuzz::touch(one);
        if (const auto prefix = ndp_options::prefix(type, one))
            fuzz::expect(prefix->prefix.length <= 128, "a prefix is no longer than an address");
        if (const auto servers = ndp_options::servers(type, one))
            fuzz::expect(!servers->addresses.empty() && servers->addresses.size() % 16 == 0, "whole addresses");
    });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = icmpv6_view::parse(fuzz::input(data, size), {}, verify::no);
    if (!message)
        return 0;
    fuzz::touch(message->payload());
    if (const auto n = ndp_neighbour::parse(*message))
        look_at(n->options);
    if (const auto r = ndp_redirect::parse(*message))
        look_at(r->options);
    if (const auto r = ndp_router::parse(*message))
        look_at(r->options);
    return 0;
}
