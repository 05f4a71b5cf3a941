// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <array>

/// What an offloading network card does to the frames of the stack, in software and on octets alone: a device knows
/// no header views.
namespace mirage::memory::segmentation {

constexpr std::uint16_t load16(octets o, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(o[at]) << 8 | std::to_integer<unsigned>(o[at + 1]));
}
constexpr void store16(mutable_octets o, std::size_t at, std::uint64_t value) noexcept {
    o[at] = static_cast<std::byte>(value >> 8 & 0xff);
    o[at + 1] = static_cast<std::byte>(value & 0xff);
}

/// Folds a sum of 16-bit words (RFC 1071 section 1).
constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}
constexpr std::uint64_t sum_of(octets o, std::uint64_t sum = 0) noexcept {
    std::size_t i = 0;
    for (; i + 1 < o.size(); i += 2)
        sum += load16(o, i);
    if (i < o.size())
        sum += std::to_integer<std::uint64_t>(o[i]) << 8;
    return sum;
}

/// Finishes a transport checksum whose field holds the pseudo-header's sum (transmit_frame::checksum_start).
constexpr void complete_checksum(mutable_octets frame, std::size_t start, std::size_t offset) noexcept {
    const auto sum = static_cast<std::uint16_t>(~fold(sum_of(frame.subspan(start))));
    constexpr std::size_t udp = 6; // where UDP has its checksum; zero means "none" there (RFC 768)
    store16(frame, start + offset, sum == 0 && offset == udp ? 0xffff : sum);
}

/// Cuts a TCP frame, of IPv4 or IPv6, into frames of `gso_size` payload octets and hands each to `emit(mutable_octets)`, with
/// every checksum done. `room` takes one frame. The header at `tcp` (offset in octets) and all before it are the
/// pattern: the identification counts up, FIN and PSH are the last segment's, CWR is the first's
/// (RFC 3168 section 6.1.2).
template <class Emit>
void cut(octets frame, std::size_t tcp, std::size_t gso_size, mutable_octets room, Emit emit) noexcept {
    constexpr std::size_t ip = 14;
    const bool is_v6 = load16(frame, 12) == 0x86dd;
    check(frame.size() >= tcp + 20 && tcp >= ip + (is_v6 ? 40 : 20) && (is_v6 || load16(frame, 12) == 0x0800) && gso_size > 0,
          "segmentation offload: not a TCP frame");
    const std::size_t headers = tcp + std::to_integer<std::size_t>(frame[tcp + 12] >> 4) * 4;
    check(headers <= frame.size() && headers + gso_size <= room.size(), "segmentation offload: segment too large");
    const std::uint32_t sequence = std::uint32_t{load16(frame, tcp + 4)} << 16 | load16(frame, tcp + 6);
    const std::uint16_t identification = load16(frame, ip + 4);
    const octets payload = frame.subspan(headers);

    std::size_t done = 0, count = 0;
    do {
        const std::size_t now = std::min(gso_size, payload.size() - done);
        const bool last = done + now == payload.size();
        const mutable_octets out = room.first(headers + now);
        std::ranges::copy(frame.first(headers), out.begin());
        std::ranges::copy(payload.subspan(done, now), out.begin() + static_cast<std::ptrdiff_t>(headers));

        if (is_v6) {
            store16(out, ip + 4, out.size() - ip - 40);
        } else {
            store16(out, ip + 2, out.size() - ip);
            store16(out, ip + 4, identification + count);
            store16(out, ip + 10, 0);
            store16(out, ip + 10, static_cast<std::uint16_t>(~fold(sum_of(out.subspan(ip, tcp - ip)))));
        }

        const auto here = static_cast<std::uint32_t>(sequence + done);
        store16(out, tcp + 4, here >> 16);
        store16(out, tcp + 6, here);
        if (!last)
            out[tcp + 13] &= ~std::byte{0x09}; // FIN, PSH
        if (count != 0)
            out[tcp + 13] &= ~std::byte{0x80}; // CWR
        constexpr std::uint64_t protocol = 6;
        const octets addresses = is_v6 ? out.subspan(ip + 8, 32) : out.subspan(ip + 12, 8);
        const std::uint64_t pseudo = sum_of(addresses, protocol + out.size() - tcp);
        store16(out, tcp + 16, fold(pseudo));
        complete_checksum(out, tcp, 16);
        emit(out);
        done += now;
        ++count;
    } while (done < payload.size());
}

} // namespace mirage::memory::segmentation
