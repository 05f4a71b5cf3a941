// SPDX-License-Identifier: MIT
#include "mirage/wire/checksum.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

/// RFC 1071 section 4.1.
static std::uint16_t naive_sum(octets data) {
    std::uint64_t s = 0;
    for (std::size_t i = 0; i < data.size(); ++i)
        s += std::to_integer<std::uint64_t>(data[i]) << (i % 2 == 0 ? 8 : 0);
    while (s >> 16 != 0)
        s = (s & 0xffff) + (s >> 16);
    return static_cast<std::uint16_t>(s);
}

/// The first octet says where to start, the second how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    auto data = fuzz::input(raw, size);
    if (size < 2)
        return 0;
    const auto skip = std::to_integer<std::size_t>(data[0]),
               piece = std::to_integer<std::size_t>(data[1]) + 1;
    data = data.subspan(std::min(2 + skip % 64, size));
    const auto expected = naive_sum(data);

    fuzz::expect(sum(data).fold() == expected, "sum");
    std::vector<std::byte> copy(data.size());
    fuzz::expect(copy_and_sum(copy, data).fold() == expected, "copy_and_sum");
    fuzz::expect(fuzz::same(copy, data), "copy_and_sum: the copy");

    running_sum running;
    for (auto rest = data; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
        running.add(rest.first(std::min(piece, rest.size())));
    fuzz::expect(running.fold() == expected, "running_sum");

    if (data.size() >= 4) {
        const auto before = load<std::uint16_t>(copy.data()), after = load<std::uint16_t>(copy.data() + 2);
        const auto old_checksum = checksum(copy);
        store<std::uint16_t>(copy.data(), after);
        const auto updated = update_checksum(old_checksum, before, after);
        // Both forms of zero are right when all data is zero: RFC 1624 section 3 discusses which one comes
        // out.
        fuzz::expect(updated == checksum(copy) || naive_sum(copy) == 0, "update_checksum");
    }
    return 0;
}
