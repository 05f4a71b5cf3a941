// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/abi.hpp"
#include "mirage/os/device_list.hpp"
#include <algorithm>

namespace mirage::hvt {

/// The ABI's manifest of an application, from the named devices among its template arguments. Entry 0 is the
/// ABI's own, so the application's first named device has handle 1.
template <class App>
consteval auto make_manifest() noexcept {
    constexpr auto devices = os::device_list<App>::manifest;
    static_assert(devices.size() < abi::manifest_max_entries, "hvt: more than 63 named devices");
    abi::manifest_note<devices.size() + 1> note;
    note.entry[0].type = abi::device_type::reserved_first;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        auto& entry = note.entry[i + 1];
        entry.type = devices[i].kind == os::device_kind::netif ? abi::device_type::net : abi::device_type::block;
        std::ranges::copy(devices[i].name, entry.name);
    }
    return note;
}

} // namespace mirage::hvt

/// Puts the notes that the tender looks for into the image. Namespace-scope variables, because GCC ignores section
/// attributes on members of templates.
#define MIRAGE_HVT_NOTES(...)                                                                                      \
    [[gnu::section(".note.solo5.abi"), gnu::used, gnu::aligned(4)]] extern constexpr ::mirage::hvt::abi::abi_note  \
        mirage_abi_note{};                                                                                         \
    [[gnu::section(".note.solo5.manifest"), gnu::used, gnu::aligned(8)]] extern constexpr auto                     \
        mirage_manifest_note = ::mirage::hvt::make_manifest<__VA_ARGS__>();
