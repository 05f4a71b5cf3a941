// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/task.hpp"
#include "mirage/xen/platform.hpp"
#include "mirage/xen/xenbus.hpp"
#include <chrono>

namespace mirage::xen {

/// What a device is called when it does not connect.
struct device_words {
    std::string_view what;        ///< "network device"
    std::string_view name;        ///< the application's
    std::string_view of_toolstack; ///< "vif"
    std::string_view missing;     ///< what to do when the domain has none
    std::string_view unsupported; ///< why the backend will not do
    std::string_view list;        ///< the order to dom0 that shows them
};

/// Turns the loop until the device's frontend has connected (`connecting`), for half a minute at most; says on the console why
/// it has not, and what to do about it.
[[gnu::noinline]] inline result<> connect_device(platform& home, task<result<>>& connecting, const frontend& bus,
                                                 std::size_t order, const device_words& words) noexcept {
    constexpr auto patience = std::chrono::seconds{30};
    errc why = errc::no_buffers;
    const bool in_time = !connecting || home.block_on(connecting, home.now() + patience);
    if (connecting && in_time) {
        const result<> done = connecting.take();
        if (done)
            return done;
        why = done.error();
    }
    line<240> out;
    out << "xen: " << words.what << " '" << words.name << "' (" << words.of_toolstack << ' ' << order << "): ";
    if (!in_time) {
        why = errc::timed_out;
        out << "waited 30 s for " << bus.waits_for() << "; see `xl " << words.list << "` and the hotplug logs in dom0";
    } else if (why == errc::not_found) {
        out << words.missing;
    } else if (why == errc::no_buffers) {
        out << "too little memory, or grants, for its buffers; give the domain more memory";
    } else if (why == errc::unsupported) {
        out << words.unsupported;
    } else {
        out << "it did not connect while waiting for " << bus.waits_for();
    }
    out << '\n';
    this_machine.console().write(out.view());
    return std::unexpected(why);
}

} // namespace mirage::xen
