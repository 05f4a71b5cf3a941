// SPDX-License-Identifier: MIT
#pragma once
#include "frame.hpp"
#include "message.hpp"
#include "mirage/hosted/capture_file.hpp"
#include "mirage/hosted/unique_fd.hpp"
#include "mirage/hvt/abi.hpp"
#include "options.hpp"
#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace mirage::tender {

/// A network device: a descriptor that gives and takes one frame per call. Used by two threads.
class net_device {
    std::string name_;
    hosted::unique_fd frames_;
    bool header_;                                    ///< a hosted::offload_header precedes each frame
    std::unique_ptr<hosted::capture_file> capture_;
    std::atomic<bool> gone_ = false, refusing_ = false;
    std::atomic<std::uint64_t> lost_ = 0;            ///< frames that the host did not take
    bool takes_unfinished_ = false, takes_joined_ = false;

public:
    net_device(std::string name, hosted::unique_fd frames, bool header) noexcept
        : name_{std::move(name)}, frames_{std::move(frames)}, header_{header} {}

    const std::string& name() const noexcept { return name_; }
    int descriptor() const noexcept { return frames_.get(); }
    /// The interface completes checksums and cuts TCP segments.
    bool offloads() const noexcept { return header_; }
    /// The interface behind it was removed: nothing comes any more.
    bool gone() const noexcept { return gone_; }
    void mark_gone() noexcept;

    /// Writes every frame to this file from now on: pcapng, nanoseconds.
    outcome<> capture_to(const std::string& path);
    void finish_capture();

    /// What the guest takes as it comes, from now on. Without offloads() nothing is ever unfinished.
    void take(bool unfinished, bool joined) noexcept;

    /// Sends one frame; what the interface does not take (it is down, its queue is full) is lost, and said
    /// once.
    void write(const outgoing_frame& frame) noexcept;
    /// The two halves of write() around a system call that somebody else makes: what to hand to the kernel, and how
    /// that ended: octets sent, or an error number, negated.
    void prepare(const outgoing_frame& frame, frame_parts& parts) noexcept;
    void sent(std::int64_t outcome) noexcept;
    /// Receives one frame into `room`, cut to its size.
    incoming_frame read(std::span<std::byte> room) noexcept;
    /// The halves of read(), likewise.
    void prepare(std::span<std::byte> room, frame_parts& parts) const noexcept;
    incoming_frame received(const frame_parts& parts, std::int64_t outcome) noexcept;
};

/// A disk: a file or block device of this machine.
struct block_device {
    hosted::unique_fd file{};
    std::uint64_t capacity = 0; ///< octets
    bool read_only = false;     ///< this machine does not let us write it
};

/// One entry of the manifest, attached. Index = handle.
struct device {
    std::unique_ptr<net_device> net{};
    std::unique_ptr<block_device> block{};
};

/// The open descriptors that the command line names (`--net:NAME=@FD`).
std::vector<int> adopted_descriptors(const options& chosen);

/// Attaches every device of the manifest to what the command line names, and fills the entries in.
outcome<std::vector<device>> attach_devices(std::span<hvt::abi::manifest_entry> manifest,
                                            const options& chosen);

} // namespace mirage::tender
