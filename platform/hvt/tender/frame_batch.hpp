// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"
#include <array>
#include <liburing.h>
#include <memory>

namespace mirage::tender {

/// Frames on their way out, sent together: one system call for as many as the guest has posted, through io_uring.
///
/// A client on this machine that a frame wakes takes the processor when the system call ends. After each frame
/// that is one change of processes per frame; after a burst it is one, and the client finds the whole burst.
/// Where the kernel has no io_uring, or forbids it, frames are written one by one.
class frame_batch {
    struct ring_end {
        void operator()(io_uring* ring) const noexcept {
            ::io_uring_queue_exit(ring);
            delete ring;
        }
    };
    static constexpr unsigned most = 64;

    std::span<device> devices_;
    std::unique_ptr<io_uring, ring_end> ring_; ///< nullptr: one by one
    struct pending {
        std::uint32_t handle;
        std::span<const std::byte> frame;
    };
    std::array<pending, most> pending_{};
    unsigned count_ = 0;

    bool submit_all() noexcept;

public:
    explicit frame_batch(std::span<device> devices) noexcept : devices_{devices} {}

    /// Asks the kernel for the queue, and confines it to writing: to be called before the sandbox is closed. Not to
    /// get it is no failure.
    void open();

    /// Takes a frame for the network device `handle`. Its memory stays as it is until send().
    void add(std::uint32_t handle, std::span<const std::byte> frame) noexcept {
        if (count_ == most)
            send();
        pending_[count_++] = {handle, frame};
    }

    /// Sends what was added, in order. Then its memory is the guest's again.
    void send() noexcept;
};

} // namespace mirage::tender
