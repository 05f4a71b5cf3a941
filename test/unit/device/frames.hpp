// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/memory/segmentation.hpp"
#include "mirage/device/netif.hpp"
#include <string>

namespace mirage::test {

/// A frame that is all header.
inline transmit_frame frame_of(std::string_view text) { return {.headers = as_octets(text)}; }

inline std::byte* bytes(std::string& s) { return reinterpret_cast<std::byte*>(s.data()); }

/// Ethernet, IPv4 and TCP headers (54 octets) for `payload` octets, with PSH, FIN, ACK and CWR set and, in the
/// checksum's place, the sum of the pseudo-header.
inline std::string tcp_headers(std::size_t payload, std::uint32_t sequence) {
    std::string h = std::string("\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a\x08\0", 14)
                    + std::string("\x45\0\0\0\xff\xfe\x40\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2", 20)
                    + std::string("\x12\x34\0\x50\0\0\0\0\0\0\0\1\x50\x99\x10\0\0\0\0\0", 20);
    const mutable_octets o{bytes(h), h.size()};
    namespace s = memory::segmentation;
    s::store16(o, 16, 40 + payload);
    s::store16(o, 24, static_cast<std::uint16_t>(~s::fold(s::sum_of(o.subspan(14, 20)))));
    s::store16(o, 38, sequence >> 16);
    s::store16(o, 40, sequence);
    s::store16(o, 50, s::fold(s::sum_of(o.subspan(26, 8), 6 + 20 + payload)));
    return h;
}

/// Both checksums of a TCP/IPv4 frame without options are right (RFC 1071).
inline bool checksums_are_right(octets f) {
    namespace s = memory::segmentation;
    return s::fold(s::sum_of(f.subspan(14, 20))) == 0xffff
           && s::fold(s::sum_of(f.subspan(34), s::sum_of(f.subspan(26, 8), 6 + f.size() - 34))) == 0xffff;
}

} // namespace mirage::test
