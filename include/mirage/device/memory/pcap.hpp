// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include "mirage/core/sink.hpp"
#include "mirage/core/time.hpp"
#include <array>
#include <bit>

namespace mirage::memory {

/// Writes a capture file that tcpdump, tshark and Wireshark read: classic pcap (draft-ietf-opsawg-pcap section 4),
/// Ethernet frames, in this machine's octet order.
class pcap_writer {
    octet_sink out_;
    bool nanoseconds_;
    std::uint32_t limit_;

    template <std::size_t N>
    void put(const std::array<std::uint32_t, N>& words) noexcept {
        out_.write(std::as_bytes(std::span{words}));
    }

public:
    enum class resolution { microseconds, nanoseconds };

    /// Writes the file's header. What `out` refers to must outlive this. Frames are cut to `limit` octets.
    explicit pcap_writer(octet_sink out, resolution r = resolution::nanoseconds,
                         std::uint32_t limit = 262'144) noexcept
        : out_{out}, nanoseconds_{r == resolution::nanoseconds}, limit_{limit} {
        constexpr std::uint32_t version = std::endian::native == std::endian::little ? 4u << 16 | 2u : 2u << 16 | 4u;
        constexpr std::uint32_t ethernet = 1;
        put(std::array<std::uint32_t, 6>{nanoseconds_ ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, limit_, ethernet});
    }

    /// One frame, without FCS, seen at `when`.
    void frame(wall_time when, octets data) noexcept {
        const auto ns = static_cast<std::uint64_t>(when.time_since_epoch().count());
        const auto fraction = static_cast<std::uint32_t>(ns % 1'000'000'000);
        const auto kept = static_cast<std::uint32_t>(data.size() < limit_ ? data.size() : limit_);
        put(std::array<std::uint32_t, 4>{static_cast<std::uint32_t>(ns / 1'000'000'000),
                                         nanoseconds_ ? fraction : fraction / 1000, kept,
                                         static_cast<std::uint32_t>(data.size())});
        out_.write(data.first(kept));
    }
};

} // namespace mirage::memory
