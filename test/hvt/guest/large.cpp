// SPDX-License-Identifier: MIT
//
// An image of several 2 MiB regions: constants and zeroed memory push the page tables, stacks and heap upwards.
#include "mirage/core/check.hpp"
#include "mirage/platform.hpp"
#include <algorithm>
#include <array>

template <class...>
class large {};

MIRAGE_PLATFORM_NOTES(large<mirage::platform::console>)

namespace {
constexpr auto make_constants() noexcept {
    std::array<std::uint32_t, 768 * 1024> a{};
    for (std::uint32_t i = 0; i < 1000; ++i)
        a[i * 786] = i + 1;
    return a;
}
constexpr auto constants = make_constants(); // 3 MiB
std::array<std::byte, 5 << 20> zeroes;
} // namespace

int mirage_application(mirage::platform&) noexcept {
    const auto* c = constants.data();
    auto* z = zeroes.data();
    asm volatile("" : "+r"(c), "+r"(z));
    for (std::uint32_t i = 0; i < 1000; ++i)
        mirage::check(c[i * 786] == i + 1, "a constant has changed");
    mirage::check(std::all_of(z, z + zeroes.size(), [](std::byte b) { return b == std::byte{0}; }), "bss is not zero");
    std::fill(z, z + zeroes.size(), std::byte{1});
    void* const heap = ::operator new(4096);
    mirage::check(static_cast<std::byte*>(heap) >= z + zeroes.size(), "the heap overlaps the image");
    ::operator delete(heap);
    mirage::hvt::put("SUCCESS\n");
    return 0;
}
