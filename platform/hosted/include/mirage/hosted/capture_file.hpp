// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/unique_fd.hpp"
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace mirage::hosted {

/// A file of one interface's frames in both directions, as a wire would carry them, except that joined segments stay
/// so: what an offload leaves unfinished in a checksum is finished in the copy. pcapng (draft-ietf-opsawg-pcapng):
/// nanoseconds, the interface's name, each frame's direction, and how many were lost. For two threads.
class capture_file {
    hosted::unique_fd file_;
    std::mutex recording_;
    std::vector<std::byte> block_;
    std::uint64_t seen_ = 0, lost_ = 0;

    explicit capture_file(unique_fd file) noexcept : file_{std::move(file)} {}
    void begin(std::uint32_t type);
    void put(std::span<const std::byte> octets);
    template <class T>
    void put_number(T value);
    void put_option(std::uint16_t code, std::span<const std::byte> value);
    void put_time();
    void end();
    void put_statistics();

public:
    enum class direction : std::uint32_t { inbound = 1, outbound = 2 }; ///< as in epb_flags

    /// Makes the file anew, for the interface `name` of `program`. The error is the system's.
    static std::expected<std::unique_ptr<capture_file>, std::string> open(const std::string& path, const std::string& program,
                                                                          const std::string& name);

    /// One frame, in parts. `checksum_start` is 0 when the checksums are complete.
    void record(direction way, std::span<const std::span<const std::byte>> parts, std::size_t checksum_start,
                std::size_t checksum_offset);
    /// The interface did not take a frame: an Interface Statistics Block says how many it were so far.
    void lost();
    /// The last figures, for who reads the file.
    void finish();
};

} // namespace mirage::hosted
