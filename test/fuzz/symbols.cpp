// SPDX-License-Identifier: MIT
// The names in a fault report come from a file that may be damaged: it is read within its bounds, and says
// something.
#include "../../platform/hvt/tender/symbols.cpp"
#include "support/fuzz.hpp"

using namespace mirage;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const tender::symbol_table symbols{fuzz::input(data, size)};
    for (const std::uint64_t address :
         {std::uint64_t{0}, std::uint64_t{0x100000}, std::uint64_t{0x100004}, ~std::uint64_t{0}}) {
        const std::string text = symbols.describe(address);
        fuzz::expect(text.starts_with("0x"), "the number is always there");
        fuzz::expect(text.size() < 256, "and the line stays a line");
    }
    return 0;
}
