// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/netif.hpp"
#include "mirage/host/machine.hpp"
#include "mirage/hosted/capture_file.hpp"
#include <memory>

namespace mirage::host {

/// What `--pcap:NAME=` asks for, if it is there: a file of one interface's frames in both directions.
class capture {
    std::unique_ptr<hosted::capture_file> file_;

public:
    capture() noexcept = default;
    capture(const capture&) = delete;
    capture& operator=(const capture&) = delete;
    /// The figures at the end are in the file then.
    ~capture();

    /// Opens what `--pcap:NAME=` says, if anything. An error has been said.
    result<> open(const machine& home, std::string_view name) noexcept;
    explicit operator bool() const noexcept { return file_ != nullptr; }

    /// A frame that came in; checksum_start is 0 when its checksums are complete.
    void received(octets frame, std::size_t checksum_start, std::size_t checksum_offset) noexcept;
    void transmitted(const transmit_frame& frame) noexcept;
    /// The interface did not take a frame.
    void lost() noexcept { file_->lost(); }
};

} // namespace mirage::host
