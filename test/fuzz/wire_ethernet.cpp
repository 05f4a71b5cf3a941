// SPDX-License-Identifier: MIT
#include "mirage/wire/ethernet.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto frame = fuzz::input(data, size);
    const auto view = ethernet_view::parse(frame);
    if (!view)
        return 0;
    fuzz::touch(view->payload());
    std::array<std::byte, ethernet_header::size> again{};
    ethernet_header{view->destination(), view->source(), view->type()}.emit(again);
    fuzz::expect(fuzz::same(again, frame.first(again.size())), "the header comes back");
    fuzz::expect(again.size() + view->payload().size() == size, "the payload is the rest");
    return 0;
}
