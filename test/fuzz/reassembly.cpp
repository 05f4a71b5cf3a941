// SPDX-License-Identifier: MIT
// Random fragments of a few datagrams: whatever comes out was put in, octet for octet, and memory stays
// bounded.
#include "mirage/net/reassembly.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"
#include <map>
#include <vector>

using namespace mirage;
using fuzz::expect;

namespace {

/// What has been received for one datagram: the truth that the machine is compared with. Forgotten whenever
/// the machine may have forgotten it, too.
struct model {
    std::map<std::size_t, std::byte> there{};
    bool ambiguous = false; ///< one octet came in two versions
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t datagrams = 3;
    buffer_pool pool{datagrams, 512};
    {
        fuzz::script script{fuzz::input(data, size)};
        net::reassembly<datagrams> machine{pool};
        std::map<std::uint16_t, model> models;
        instant now{};
        while (!script.done()) {
            switch (script.choice(8)) {
            case 0:
                now += std::chrono::seconds{script.choice(32)};
                machine.on_time(now, [](octets first) {
                    expect(first.size() >= 20 && first.size() <= 512, "a quote is a header and some text");
                });
                expect(machine.next_deadline() > now, "the timer advances");
                models.clear();
                break;
            case 1: { // raw: whatever the parser lets through
                const auto view =
                    wire::ipv4_view::parse(script.take(script.number<std::uint8_t>()), wire::verify::no);
                if (view && view->is_fragment())
                    (void)machine.add(*view, now);
                break;
            }
            default: {
                const auto id = static_cast<std::uint16_t>(1 + script.choice(5));
                const bool any = script.choice(8) == 0; // mostly few places, so that fragments meet
                const std::size_t offset = 8u * script.choice(any ? 60 : 6);
                const std::size_t length = any ? script.choice(64) : 8u * (1 + script.choice(4));
                const bool more = script.choice(4) != 0;
                const std::size_t header = 20 + 4 * script.choice(3);
                const auto seed = script.choice(4) == 0 ? 1u : 0u; // now and then other octets
                std::vector<std::byte> raw(header + length, std::byte{1});
                wire::ipv4_header{.source = ipv4_address{10, 0, 0, 9},
                                  .destination = ipv4_address{10, 0, 0, 2},
                                  .protocol = wire::ip_protocol::udp,
                                  .dont_fragment = false,
                                  .more_fragments = more,
                                  .identification = id,
                                  .fragment_offset = static_cast<std::uint16_t>(offset),
                                  .total_length = static_cast<std::uint16_t>(raw.size())}
                    .emit(raw);
                raw[0] = static_cast<std::byte>(0x40 | header / 4);
                for (std::size_t i = 0; i < length; ++i)
                    raw[header + i] = static_cast<std::byte>((offset + i) * 31 + seed + id);
                const auto view = wire::ipv4_view::parse(raw, wire::verify::no);
                expect(view.has_value(), "a fragment made here parses");
                if (!view->is_fragment())
                    break;
                const auto displaced = machine.count().displaced;
                const auto result = machine.add(*view, now);
                if (machine.count().displaced != displaced)
                    models.clear();
                model& m = models[id];
                for (std::size_t i = 0; i < length; ++i)
                    m.ambiguous |=
                        m.there.try_emplace(offset + i, raw[header + i]).first->second != raw[header + i];
                if (result) {
                    const auto whole = wire::ipv4_view::parse(result->view());
                    expect(whole.has_value() && !whole->is_fragment(), "what comes out is a whole packet");
                    expect(whole->identification() == id, "of the same datagram");
                    expect(!m.ambiguous, "an overlap with other octets spoils a datagram");
                    for (const auto& [at, octet] : m.there)
                        expect(at < whole->payload().size() && whole->payload()[at] == octet,
                               "every octet is in its place");
                }
                if (result || result.error() != errc::would_block)
                    models.erase(id);
            }
            }
            expect(machine.in_progress() <= datagrams, "bounded datagrams");
            expect(pool.size() - pool.available() <= machine.in_progress(), "bounded pages");
        }
    }
    expect(pool.available() == pool.size(), "every page is returned");
    return 0;
}
