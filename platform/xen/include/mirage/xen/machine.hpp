// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/xen/console_ring.hpp"
#include "mirage/xen/hypercall.hpp"
#include "mirage/xen/layout.h"
#include "mirage/xen/time_source.hpp"
#include <cstdint>
#include <string_view>

namespace mirage::xen {

/// What the domain builder told at boot, and what needs no driver: time, console, the page shared with Xen. One
/// object, set before anything else in C++ runs.
class machine {
    const hvm_start_info* start_ = nullptr;
    std::uint64_t origin_ = 0;         ///< system time at the first instruction
    mutable std::uint64_t latest_ = 0; ///< what now() gave last, in nanoseconds since then
    void (*before_exit_)() noexcept = nullptr;
    console_ring console_;

    void map_shared_info() noexcept;

public:
    constexpr machine() noexcept = default;
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    /// `first_cycle`: the TSC at the first instruction. Ends the domain when Xen refuses what every domain gets.
    void open(const hvm_start_info& start, std::uint64_t first_cycle) noexcept;

    /// Lets the toolstack save or move the domain. True: it goes on elsewhere, where only memory is what it was; time
    /// goes on, too. False: nothing came of it.
    bool suspend() noexcept;

    /// What is to be called when the application has ended, and its devices have been destroyed.
    void before_exit(void (*last)() noexcept) noexcept { before_exit_ = last; }

    /// The application has ended: before exit().
    void wind_up() const noexcept {
        if (before_exit_ != nullptr)
            before_exit_();
    }

    /// Ends the domain, when all that was written to the console has been taken. 0: powers it off; else: a crash.
    [[noreturn]] void exit(int status) noexcept;

    /// Ends the domain likewise; the toolstack makes it anew (on_reboot).
    [[noreturn]] void reboot() noexcept;

    const hvm_start_info& start() const noexcept { return *start_; }
    console_ring& console() noexcept { return console_; }

    static shared_info& shared() noexcept { return *reinterpret_cast<shared_info*>(SHARED_INFO_ADDRESS); }

    /// Xen's system time, which SCHEDOP_poll's timeouts are in, in nanoseconds.
    static std::uint64_t system_now() noexcept { return system_time(shared().vcpu_info[0].time); }

    /// The system time of `t`.
    std::uint64_t system_time_of(instant t) const noexcept {
        return origin_ + static_cast<std::uint64_t>(t.time_since_epoch().count());
    }

    /// Time since boot. Never goes back, whatever the host's processors' counters do.
    instant now() const noexcept {
        const std::uint64_t t = system_now() - origin_;
        if (static_cast<std::int64_t>(t - latest_) > 0)
            latest_ = t;
        return instant{duration{static_cast<std::int64_t>(latest_)}};
    }

    wall_time wall() const noexcept {
        return wall_time{duration{static_cast<std::int64_t>(wall_time_base(shared()) + system_now())}};
    }

    std::string_view command_line() const noexcept {
        return start_->cmdline_paddr == 0 ? std::string_view{}
                                          : std::string_view{reinterpret_cast<const char*>(start_->cmdline_paddr)};
    }
};

inline constinit machine this_machine;

} // namespace mirage::xen
