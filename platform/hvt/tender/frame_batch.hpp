// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"
#include <array>
#include <liburing.h>
#include <memory>

namespace mirage::tender {

/// Frames that go together: one system call for as many as the guest has posted, through io_uring.
///
/// A client on this machine that a frame wakes takes the processor when the system call ends. After each frame
/// that is one change of processes per frame; after a burst it is one, and the client finds the whole burst.
/// Where the kernel has no io_uring, or forbids it, frames are written and read one by one.
class frame_batch {
    struct ring_end {
        void operator()(io_uring* ring) const noexcept {
            ::io_uring_queue_exit(ring);
            delete ring;
        }
    };

    std::span<device> devices_;
    std::unique_ptr<io_uring, ring_end> ring_; ///< nullptr: one by one

public:
    static constexpr unsigned most = 128;

private:
    struct outgoing {
        std::uint32_t handle;
        outgoing_frame frame;
    };
    std::array<outgoing, most> outgoing_{};
    unsigned count_ = 0;
    std::array<frame_parts, most> parts_{};
    std::array<std::int64_t, most> outcome_{};

    template <class Descriptor>
    void run(std::uint8_t operation, unsigned count, Descriptor descriptor) noexcept;

public:
    explicit frame_batch(std::span<device> devices) noexcept : devices_{devices} {}

    /// Asks the kernel for the queue, and confines it to reading and writing: to be called before the sandbox is
    /// closed. Not to get it is no failure.
    void open();

    /// Takes a frame for the network device `handle`. Its memory stays as it is until send().
    void add(std::uint32_t handle, const outgoing_frame& frame) noexcept {
        if (count_ == most)
            send();
        outgoing_[count_++] = {handle, frame};
    }

    /// Sends what was added, in order. Then its memory is the guest's again.
    void send() noexcept;

    /// Receives up to `rooms.size()` frames, at most `most`, each into a room of its own, in order. How many; `frames`
    /// says what each is.
    unsigned receive(net_device& from, std::span<const std::span<std::byte>> rooms,
                     std::span<incoming_frame> frames) noexcept;
};

} // namespace mirage::tender
