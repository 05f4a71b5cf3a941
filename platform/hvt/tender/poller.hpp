// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"

namespace mirage::tender {

/// Waits for frames: one epoll set of all network devices, and a timer of nanoseconds.
class poller {
    hosted::unique_fd epoll_, timer_;
    std::span<device> devices_;

public:
    static outcome<poller> open(std::span<device> devices);

    /// Waits until a device has a frame or `timeout` nanoseconds have passed; 0: only looks. Bit h: device h.
    std::uint64_t wait(std::uint64_t timeout) noexcept;
};

} // namespace mirage::tender
