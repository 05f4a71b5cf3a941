// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/unique_fd.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mirage::hosted {

/// A TAP interface of this machine: one Ethernet frame per read and write, non-blocking.
struct tap {
    unique_fd descriptor{};
    std::size_t mtu = 1500; ///< octets
    bool up = true;         ///< false: nothing goes through before somebody sets it up
    std::string device{};   ///< the interface's name; empty: a descriptor without one
    bool header = false;    ///< each frame has an offload_header in front, both ways
};

/// Opens the existing interface `device`; with `header` each frame has an offload_header in front, and what is sent
/// may be a large TCP segment. The error is a sentence for a person, with what to do.
std::expected<tap, std::string> open_tap(const std::string& device, bool header);

/// What the kernel may leave undone in the frames of an interface with an offload_header: their transport checksum,
/// and cutting joined TCP segments, of IPv4 and, with `ipv6`, of IPv6. False: it does not let us choose.
bool take_unfinished(int descriptor, bool checksums, bool joined_segments, bool ipv6) noexcept;

/// Fills in what is not known about a descriptor that another program has opened (`--net:NAME=@3`).
std::expected<tap, std::string> adopt_tap(int descriptor);

/// A random locally administered unicast address.
std::expected<std::array<std::uint8_t, 6>, std::string> random_mac();

/// "02:00:00:00:00:01", the address of one station.
std::expected<std::array<std::uint8_t, 6>, std::string> parse_mac(std::string_view text);

} // namespace mirage::hosted
