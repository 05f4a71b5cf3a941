// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/sink.hpp"
#include "mirage/device/block.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/os/version.hpp"
#include <boost/hana/for_each.hpp>

namespace mirage::os {

namespace detail {

/// ", service 02:00:00:00:00:01 mtu 1500" or ", disk 2048 x 512 octets"; nothing for devices without a name.
template <class Device>
[[gnu::cold]] void describe(line_builder& out, const Device& device) noexcept {
    if constexpr (netif<Device>)
        out << "\n  " << Device::name << ": " << device.mac() << ", mtu " << device.mtu()
            << (device.offloads().tso_size != 0 ? ", segmentation offload" : "");
    else if constexpr (block<Device>)
        out << "\n  " << Device::name << ": " << device.sectors() << " sectors of " << device.sector_size()
            << (device.read_only() ? ", read-only" : "");
}

} // namespace detail

/// Says what runs where, and how long it took to get here: one line, and one more for each interface and disk
/// as far as they fit (the first three).
template <class Clock, class Devices>
[[gnu::cold]] void print_banner(std::string_view name, std::string_view platform, const Clock& clock,
                                const Devices& devices, octet_sink out) noexcept {
    line<400> l;
    l << name << " on mirage " << version << ", " << platform;
    unsigned shown = 0;
    boost::hana::for_each(devices, [&](const auto& device) {
        using type = std::remove_cvref_t<decltype(device)>;
        if constexpr (netif<type> || block<type>)
            if (shown++ < 3)
                detail::describe(l, device);
    });
    const auto us = static_cast<std::uint64_t>(clock.now().time_since_epoch().count()) / 1000;
    l << (shown == 0 ? ", up in " : "\n  up in ");
    l.digits(us / 1000).put('.').digits(us % 1000, 10, 3).put(" ms\n");
    out.write(as_octets(l.view()));
}

} // namespace mirage::os
