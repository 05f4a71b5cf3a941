// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/unique_fd.hpp"
#include <cstddef>
#include <expected>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace mirage::tender {

/// A file of one interface's frames in both directions, as a wire would carry them, except that joined segments stay
/// so: what an offload leaves unfinished in a checksum is finished in the copy. pcap, microseconds. For two threads.
class frame_capture {
    hosted::unique_fd file_;
    std::mutex recording_;
    std::vector<std::byte> copy_;

    explicit frame_capture(hosted::unique_fd file) noexcept : file_{std::move(file)} {}

public:
    /// Makes the file anew. The error is the system's.
    static std::expected<std::unique_ptr<frame_capture>, std::string> open(const std::string& path);

    /// `checksum_start` is 0 when the checksums are complete.
    void record(std::span<const std::byte> frame, std::size_t checksum_start, std::size_t checksum_offset);
};

} // namespace mirage::tender
