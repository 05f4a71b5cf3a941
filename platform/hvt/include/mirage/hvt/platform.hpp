// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/hvt/block.hpp"
#include "mirage/hvt/clock.hpp"
#include "mirage/hvt/console.hpp"
#include "mirage/hvt/machine.hpp"
#include "mirage/hvt/netif.hpp"
#include "mirage/hvt/random.hpp"
#include "mirage/hvt/wait.hpp"
#include <optional>
#include <string_view>

namespace mirage::hvt {

/// The Solo5 hvt platform: types of its devices, and the machine itself. One per image, made before the
/// application.
class platform {
    std::optional<scheduler> loop_; ///< made when asked for: an application that never waits has none in its image
    wait_point wait_point_;

public:
    static constexpr std::string_view name = "hvt";

    using console = hvt::console;
    using clock = hvt::clock;
    using random = hvt::random;
    template <fixed_string Name>
    using netif = hvt::netif<Name>;
    template <fixed_string Name>
    using block = hvt::block<Name>;

    platform() noexcept = default;
    platform(const platform&) = delete;
    platform& operator=(const platform&) = delete;

    scheduler& loop() noexcept {
        if (!loop_)
            loop_.emplace(this_machine.now());
        return *loop_;
    }

    /// The application's arguments, joined by single spaces.
    static std::string_view command_line() noexcept { return this_machine.command_line(); }

    /// Where network devices enrol to be waited for. For devices.
    wait_point& waits() noexcept { return wait_point_; }

    /// Sleeps until a device may have input or `deadline` has passed; a deadline in the past only looks. The set
    /// of ready_bit()s of the devices that may have input.
    std::uint64_t wait(instant deadline) noexcept { return wait_point_.wait(deadline); }

    /// Ends the machine; `status` becomes the tender's.
    [[noreturn]] static void exit(int status) noexcept {
        this_console.flush();
        halt(status);
    }
};

} // namespace mirage::hvt
