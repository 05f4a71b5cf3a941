// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/random.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <vector>

namespace mirage::contract {

/// What every source of random octets promises, as far as it can be seen from outside. A `Harness` has device().
/// The bounds are so wide that a true source fails one run in more than 10^9.
template <class Harness>
void random_contract() {
    Harness h;
    auto& device = h.device();
    static_assert(mirage::random_source<std::remove_reference_t<decltype(device)>>);

    SUBCASE("all of the span is written and nothing around it, at every size and alignment") {
        std::array<std::byte, 320> room;
        for (std::size_t size = 0; size <= 300; ++size) {
            const std::size_t start = size % 9 + 1;
            std::array<std::byte, 320> changed{};
            for (int round = 0; round < 6; ++round) { // 2^-48 that an octet stays zero all along
                room.fill(std::byte{0});
                device.fill(std::span{room}.subspan(start, size));
                for (std::size_t i = 0; i < room.size(); ++i)
                    changed[i] |= room[i];
            }
            bool right = true;
            for (std::size_t i = 0; i < room.size(); ++i)
                right &= (changed[i] != std::byte{0}) == (i >= start && i < start + size);
            INFO("size " << size);
            CHECK(right);
        }
    }
    SUBCASE("it does not repeat itself") {
        std::vector<std::array<std::byte, 16>> seen(1000);
        for (auto& block : seen)
            device.fill(block);
        std::ranges::sort(seen);
        CHECK(std::ranges::adjacent_find(seen) == seen.end());
    }
    SUBCASE("bits and octets are evenly distributed") {
        constexpr std::size_t size = 1 << 18;
        std::vector<std::byte> octets(size);
        device.fill(octets);
        std::array<double, 256> count{};
        double ones = 0;
        for (const std::byte o : octets) {
            ones += std::popcount(std::to_integer<unsigned>(o));
            ++count[std::to_integer<std::size_t>(o)];
        }
        // Monobit: 7 standard deviations, sqrt(8 n) / 2 each.
        CHECK(std::abs(ones - 4.0 * size) < 7 * std::sqrt(8.0 * size) / 2);
        // Chi-square over 256 values: mean 255, deviation 22.6.
        double chi = 0;
        for (const double c : count)
            chi += (c - size / 256.0) * (c - size / 256.0) / (size / 256.0);
        CHECK(chi < 255 + 8 * 22.6);
        CHECK(chi > 255 - 8 * 22.6);
    }
    SUBCASE("integers of every width are made of it") {
        std::uint64_t all = 0;
        std::uint8_t small = 0;
        for (int i = 0; i < 64; ++i) {
            all |= random_integer<std::uint64_t>(device);
            small |= random_integer<std::uint8_t>(device);
        }
        CHECK(all == ~std::uint64_t{0});
        CHECK(small == 0xff);
    }
}

} // namespace mirage::contract
