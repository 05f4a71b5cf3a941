// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"

namespace mirage::os {

/// That the machine is asked to end (`xl shutdown`, `xl reboot`): `co_await ctx.stop.wait()`, close what is open, and
/// return. An application that never waits for it is ended on the spot, and so is one that is asked a second time.
class stop_signal {
    event asked_;
    bool heard_ = false; ///< the application waits, or has waited
    bool given_ = false;

public:
    explicit stop_signal(scheduler& home) noexcept : asked_{home} {}

    /// Awaitable: returns when the machine has been asked to end. For one task.
    auto wait() noexcept {
        heard_ = true;
        return asked_.wait();
    }

    /// For the platform: tells the application. False: it does not listen, or was told before; then end it.
    bool give() noexcept {
        const bool first = heard_ && !given_;
        given_ = true;
        if (first)
            asked_.set();
        return first;
    }
};

} // namespace mirage::os
