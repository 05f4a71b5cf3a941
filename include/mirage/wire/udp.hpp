// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/checksum.hpp"

namespace mirage::wire {

namespace udp_at { // RFC 768
using source_port = field<std::uint16_t, 0>;
using destination_port = field<std::uint16_t, 2>;
using length = field<std::uint16_t, 4>;
using checksum = field<std::uint16_t, 6>;
} // namespace udp_at

/// A UDP datagram, read in place. RFC 768
class udp_view {
    octets octets_;
    explicit constexpr udp_view(octets o) noexcept : octets_{o} {}

public:
    static constexpr std::size_t header_length = 8; ///< octets

    /// `pseudo` is the sum of the pseudo header (ipv4_view::pseudo_header()). errc::truncated,
    /// errc::malformed or errc::bad_checksum. A checksum of zero says that the sender made none (RFC 768):
    /// such a datagram is accepted, as RFC 1122 section 4.1.3.4 allows. Octets past the length field are left
    /// out of payload(), and of the sum, which then is over the shorter length.
    static constexpr result<udp_view> parse(octets datagram, partial_sum pseudo,
                                            verify whole = verify::yes) noexcept {
        if (datagram.size() < header_length)
            return std::unexpected(errc::truncated);
        const std::size_t length = udp_at::length::load(datagram.data());
        if (length < header_length)
            return std::unexpected(errc::malformed);
        if (length > datagram.size())
            return std::unexpected(errc::truncated);
        const udp_view view{datagram.first(length)};
        if (whole == verify::yes && view.has_checksum()) {
            // The pseudo header holds the UDP length, not that of the IP payload: take off what was too much.
            const auto excess = static_cast<std::uint16_t>(datagram.size() - length);
            const auto less = partial_sum::of(static_cast<std::uint16_t>(~excess));
            if (!sum(view.octets_, pseudo + less).intact())
                return std::unexpected(errc::bad_checksum);
        }
        return view;
    }

    constexpr std::uint16_t source_port() const noexcept { return udp_at::source_port::load(octets_.data()); }
    constexpr std::uint16_t destination_port() const noexcept {
        return udp_at::destination_port::load(octets_.data());
    }
    constexpr bool has_checksum() const noexcept { return udp_at::checksum::load(octets_.data()) != 0; }
    constexpr octets payload() const noexcept { return octets_.subspan(header_length); }
};

/// The header of a UDP datagram. RFC 768
struct udp_header {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t length = 8; ///< octets, header and payload

    static constexpr std::size_t size = udp_view::header_length; ///< octets

    /// Writes the header to the first `size` octets of `room`. `rest` is the sum of pseudo header and
    /// payload. A checksum that comes out as zero is sent as its other form, all ones (RFC 768).
    constexpr void emit(mutable_octets room, partial_sum rest) const noexcept {
        const auto own =
            partial_sum::of(std::uint32_t{source_port} << 16 | destination_port) + partial_sum::of(length);
        const auto checksum = (own + rest).finish();
        write(room, checksum == 0 ? std::uint16_t{0xffff} : checksum);
    }

    /// The same for a device that completes the checksum: the field holds the folded sum of the pseudo
    /// header.
    constexpr void emit_for_offload(mutable_octets room, partial_sum pseudo) const noexcept {
        write(room, pseudo.fold());
    }

    friend constexpr bool operator==(const udp_header&, const udp_header&) noexcept = default;

private:
    constexpr void write(mutable_octets room, std::uint16_t checksum) const noexcept {
        check(room.size() >= size, "udp_header: no room");
        udp_at::source_port::store(room.data(), source_port);
        udp_at::destination_port::store(room.data(), destination_port);
        udp_at::length::store(room.data(), length);
        udp_at::checksum::store(room.data(), checksum);
    }
};

} // namespace mirage::wire
