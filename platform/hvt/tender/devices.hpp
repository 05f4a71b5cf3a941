// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"
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
    hosted::unique_fd frames_, capture_;
    std::atomic<bool> gone_ = false, refusing_ = false;
    std::atomic<std::uint64_t> lost_ = 0; ///< frames that the host did not take

    void record(std::span<const std::byte> frame) const noexcept;

public:
    net_device(std::string name, hosted::unique_fd frames) noexcept
        : name_{std::move(name)}, frames_{std::move(frames)} {}

    const std::string& name() const noexcept { return name_; }
    int descriptor() const noexcept { return frames_.get(); }
    /// The interface behind it was removed: nothing comes any more.
    bool gone() const noexcept { return gone_; }
    void mark_gone() noexcept;

    /// Writes every frame to this file from now on: pcap, microseconds.
    outcome<> capture_to(const std::string& path);

    /// Sends one frame; what the interface does not take (it is down, its queue is full) is lost, and said
    /// once.
    void write(std::span<const std::byte> frame) noexcept;
    /// The two halves of write() around a system call that somebody else makes: what to send (nothing over an
    /// interface that is gone), and how that ended: octets sent, or an error number, negated.
    std::span<const std::byte> sending(std::span<const std::byte> frame) const noexcept;
    void sent(std::int64_t outcome) noexcept;
    /// Receives one frame into `room`, cut to its size. Its length; -1 when there is none now.
    std::int64_t read(std::span<std::byte> room) noexcept;
};

/// A disk: a file or block device of this machine.
struct block_device {
    hosted::unique_fd file{};
    std::uint64_t capacity = 0; ///< octets
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
