// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"
#include <functional>

namespace mirage::tender {

/// Waits for frames: one epoll set of all network devices, and a timer of nanoseconds.
class poller {
    hosted::unique_fd epoll_, timer_;
    std::span<device> devices_;
    std::function<void()> attend_{};

public:
    /// `also`, unless it is -1: a descriptor of the tender's own, not the guest's to know.
    static outcome<poller> open(std::span<device> devices, int also = -1);
    /// Is called, and waiting goes on, when that descriptor has something.
    void on_attention(std::function<void()> attend) { attend_ = std::move(attend); }

    /// Waits until a device has a frame or `timeout` nanoseconds have passed; 0: only looks. Bit h: device h.
    std::uint64_t wait(std::uint64_t timeout) noexcept;
};

} // namespace mirage::tender
