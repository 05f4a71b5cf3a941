// SPDX-License-Identifier: MIT
// A hostile network backend: the input decides what it writes into the rings and into every page that it was granted,
// and when, while frames are sent and received. Nothing may be touched that is not ours, nothing that was handed up may
// change, and in the end everything is back.
#include "../unit/xen/channel_book.hpp"
#include "../unit/xen/grant_book.hpp"
#include "../unit/xen/netback.hpp"
#include "mirage/xen/netfront/data_path.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"
#include <vector>

using namespace mirage;
using fuzz::expect;

namespace {

constexpr domid_t backend = 3;

struct domain {
    scheduler loop{};
    xen::test::grant_book book{};
    xen::test::channel_book channels{};
    xen::test::grant_book& grants() noexcept { return book; }
    xen::test::channel_book& events() noexcept { return channels; }
};

/// A frame that was handed up, and what was in it then.
struct kept_frame {
    slice data{};
    std::string was{};
};

alignas(4096) std::byte statics[5 * 4096];

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::script script{fuzz::input(data, size)};
    domain home;
    home.book.peer = backend;
    event readable{home.loop}, changed{home.loop};
    buffer_pool pool{8, 8192};
    {
        xen::netfront_data_path<domain> front{home, readable, changed,
                                              {.receive_pages = 64, .lent_pages = 32, .joined_frames = 2,
                                               .transmit_slots = 32, .gather_pages = 16}};
        expect(front.ready(), "there is memory");
        const unsigned features = script.number<std::uint8_t>();
        const xen::transmit_features taken{.scatter = (features & 1) != 0, .checksum = (features & 2) != 0,
                                           .gso_ipv4 = (features & 4) != 0, .gso_ipv6 = (features & 8) != 0,
                                           .trusted = (features & 16) != 0};
        expect(front.open(backend, taken).has_value(), "it opens");
        front.serve();
        xen::test::netback<xen::test::grant_book> back{home.book};
        auto* const tx_page = home.book.map(front.tx_ring(), true);
        auto* const rx_page = home.book.map(front.rx_ring(), true);
        back.tx.open(tx_page);
        back.rx.open(rx_page);
        std::vector<kept_frame> kept;
        std::vector<grant_ref_t> mapped;

        const auto receive = [&](std::size_t most) {
            std::array<received_frame, 16> burst;
            const std::size_t n = front.receive(std::span{burst}.first(most));
            expect(n <= most, "no more than there is room for");
            for (std::size_t i = 0; i < n; ++i) {
                const auto view = burst[i].data.view();
                expect(view.size() >= 14 && view.size() <= 65'553, "a frame has a frame's size");
                expect(!home.book.shows(view.data()) && !home.book.shows(view.data() + view.size() - 1),
                       "what is handed up is not granted any more");
                std::string was{as_text(view)};
                kept.push_back({std::move(burst[i].data), std::move(was)});
            }
        };

        while (!script.done()) {
            switch (script.choice(12)) {
            case 0: receive(script.choice(16)); break;
            case 1: front.flush(); break;
            case 2: { // a frame goes out
                std::array<std::byte, 256> headers{};
                headers[12] = script.choice(2) == 0 ? std::byte{8} : std::byte{0x86};
                headers[13] = headers[12] == std::byte{8} ? std::byte{0} : std::byte{0xdd};
                std::vector<slice> parts;
                for (unsigned i = script.choice(8); i > 0; --i) {
                    const std::size_t offset = script.number<std::uint16_t>() % 8192;
                    const std::size_t length = script.number<std::uint16_t>() % 8192;
                    page p = script.choice(2) == 0 ? pool.take() : page{};
                    if (p)
                        parts.push_back(std::move(p).freeze(offset, std::min(length, 8192 - offset)));
                    else
                        parts.push_back(slice::of_static(octets{statics}.subspan(offset, length)));
                }
                const bool cut = script.choice(4) == 0, sum = cut || script.choice(2) == 0;
                (void)front.transmit({.headers = octets{headers}.first(script.number<std::uint16_t>() % 257), .payload = parts,
                                      .checksum_start = static_cast<std::uint16_t>(sum ? 34 : 0), .checksum_offset = 16,
                                      .gso_size = static_cast<std::uint16_t>(cut ? 1448 : 0)});
                break;
            }
            case 3: // the backend does its work
                back.answers = script.choice(2) == 0;
                if (back.tx.waiting() <= back.tx.size)
                    back.serve();
                (void)back.push();
                break;
            case 4:
                back.answer_held();
                (void)back.push();
                break;
            case 5: {
                const std::string frame(1 + script.number<std::uint16_t>() % 20'000, 'f');
                if (back.rx.waiting() <= back.rx.size)
                    (void)back.send(frame, {.flags = script.number<std::uint8_t>(),
                                            .gso_size = script.number<std::uint8_t>(), .per_slot = 1 + std::size_t{script.number<std::uint16_t>()} % 4096});
                (void)back.push();
                break;
            }
            case 6: { // any octets anywhere in a ring
                std::byte* const ring = script.choice(2) == 0 ? tx_page : rx_page;
                const octets dirt = script.take(script.choice(64));
                std::ranges::copy(dirt, ring + script.number<std::uint16_t>() % (4096 - 64));
                break;
            }
            case 7: // the indices, a little or far away
                (script.choice(2) == 0 ? back.tx.shared().rsp_prod : back.rx.shared().rsp_prod) +=
                    script.choice(8) != 0 ? script.choice(3) : script.number<std::uint32_t>();
                break;
            case 8: // any response
                back.respond(std::bit_cast<netif_rx_response>(script.number<std::uint64_t>()));
                (void)back.rx.push();
                break;
            case 9:
                back.answer(script.number<std::uint16_t>(), static_cast<std::int16_t>(script.number<std::uint8_t>() % 4 - 2));
                (void)back.tx.push();
                break;
            case 10: { // it writes to what it may write to, and maps what it likes
                const grant_ref_t ref = 8 + script.choice(120);
                const bool write = script.choice(2) == 0;
                if (std::byte* const page = home.book.map(ref, write); page != nullptr) {
                    if (write && page != tx_page && page != rx_page)
                        std::fill_n(page, 4096, static_cast<std::byte>(script.number<std::uint8_t>()));
                    if (script.choice(4) != 0)
                        home.book.unmap(ref);
                    else
                        mapped.push_back(ref);
                }
                break;
            }
            default:
                if (!kept.empty())
                    kept.erase(kept.begin());
            }
            for (const kept_frame& k : kept)
                expect(as_text(k.data.view()) == k.was, "what was handed up stays as it was");
            if (front.broken()) {
                std::array<received_frame, 1> burst;
                expect(front.receive(burst) == 0, "a backend that broke the protocol is not listened to");
                break;
            }
        }
        kept.clear();
        for (unsigned i = 0; i < 3; ++i)
            for (grant_ref_t ref = 8; ref < 400; ++ref)
                while (home.book.is_mapped(ref))
                    home.book.unmap(ref);
        expect(front.close(), "everything can be taken back");
        expect(home.book.in_use() == 0, "no grant is left");
        expect(home.channels.open() == 0, "no channel is left");
    }
    expect(pool.available() == pool.size(), "every page is returned");
    return 0;
}
