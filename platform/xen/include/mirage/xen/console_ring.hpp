// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include "mirage/core/time.hpp"
#include "mirage/xen/public.hpp"
#include <string_view>

namespace mirage::xen {

/// The guest's end of the console's ring (io/console.h): there from the first instruction on, before any driver. The
/// daemon at the other end keeps what it has taken, so whatever is taken before the domain ends is not lost.
class console_ring {
    evtchn_port_t port_ = 0;
    bool given_up_ = false; ///< nobody took anything for `patience`: until somebody does, octets are dropped

    std::uint32_t room() const noexcept;
    bool wait_for_room(std::uint32_t wanted) noexcept;
    void put(octets text) noexcept;

public:
    /// How long a write waits for the other end, in all.
    static constexpr duration patience = std::chrono::seconds{2};

    constexpr console_ring() noexcept = default;
    void open(evtchn_port_t port) noexcept {
        port_ = port;
        given_up_ = false;
    }

    /// Puts all octets out in order, as a terminal wants them: a carriage return goes before each line feed.
    void write(octets text) noexcept;
    void write(std::string_view text) noexcept { write(as_octets(text)); }

    /// Waits until all that was written has been taken. False: it has not, and will not be soon.
    bool drain() noexcept;
};

/// Text in an emergency, when the ring is not there or nobody takes from it: to Xen's own log (`xl dmesg`), as far
/// as Xen lets guests write there.
void emergency_write(std::string_view text) noexcept;

} // namespace mirage::xen
