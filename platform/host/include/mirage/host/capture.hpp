// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/memory/pcap.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/host/machine.hpp"
#include <optional>
#include <span>
#include <vector>

namespace mirage::host {

/// A capture file of one interface's frames in both directions, as a wire would carry them, except that
/// segments that are joined stay so: what an offload leaves unfinished in a checksum is finished in the copy.
class capture {
    struct file {
        int descriptor = -1;
        void write(octets data) noexcept;
    };
    file file_;
    std::optional<memory::pcap_writer> writer_;
    std::vector<std::byte> copy_;

    void put(std::size_t checksum_start, std::size_t checksum_offset) noexcept;

public:
    capture() noexcept = default;
    capture(const capture&) = delete;
    capture& operator=(const capture&) = delete;
    ~capture();

    /// Opens what `--pcap:NAME=` says, if anything. An error has been said.
    result<> open(const machine& home, std::string_view name) noexcept;
    explicit operator bool() const noexcept { return writer_.has_value(); }

    /// A frame that came in; checksum_start is 0 when its checksums are complete.
    void received(octets frame, std::size_t checksum_start, std::size_t checksum_offset) noexcept;
    void transmitted(const transmit_frame& frame) noexcept;
};

} // namespace mirage::host
