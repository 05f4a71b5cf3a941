// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/os/device_list.hpp"
#include <array>
#include <cstddef>

namespace mirage::xen {

/// The devices of an application as text, for tools that write its configuration: "netif service\nblock data\n", in the
/// application's order, which is that of the domain's vifs and vbds.
template <class App>
consteval auto make_manifest() noexcept {
    constexpr auto& devices = os::device_list<App>::manifest;
    constexpr auto kind = [](const os::device_entry& d) {
        return d.kind == os::device_kind::netif ? std::string_view{"netif "} : std::string_view{"block "};
    };
    constexpr std::size_t size = [&] {
        std::size_t sum = 0;
        for (const auto& d : devices)
            sum += kind(d).size() + d.name.size() + 1;
        return sum;
    }();
    std::array<char, size + 1> text{};
    std::size_t at = 0;
    for (const auto& d : devices) {
        for (const char c : kind(d))
            text[at++] = c;
        for (const char c : d.name)
            text[at++] = c;
        text[at++] = '\n';
    }
    return text;
}

} // namespace mirage::xen

/// Puts the manifest into the image, in a section that is not loaded.
#define MIRAGE_XEN_NOTES(...)                                                                                      \
    [[gnu::section(".mirage.manifest"), gnu::used]] extern constexpr auto mirage_manifest                          \
        = ::mirage::xen::make_manifest<__VA_ARGS__>();
