// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>

/// Writes the first N octets of the test stream: octet i is (i * 2654435761 mod 2^32) >> 24. No stretch of it that
/// is lost, doubled or moved by a stack goes unnoticed: the neighbours of an octet say where it belongs.
int main(int count, char** words) {
    std::uint64_t octets = 0;
    if (count == 2)
        std::from_chars(words[1], words[1] + std::strlen(words[1]), octets);
    if (octets == 0) {
        std::fputs("usage: pattern OCTETS\n", stderr);
        return 2;
    }
    std::array<unsigned char, 65536> block;
    std::uint32_t product = 0;
    while (octets > 0) {
        std::size_t filled = 0;
        for (; filled < block.size() && filled < octets; ++filled, product += 2654435761u)
            block[filled] = static_cast<unsigned char>(product >> 24);
        if (std::fwrite(block.data(), 1, filled, stdout) != filled)
            return 1;
        octets -= filled;
    }
}
