// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/time.hpp"
#include "mirage/wire/field.hpp"

namespace mirage::wire {

inline constexpr std::uint16_t ntp_port = 123; ///< RFC 5905 section 7.2

/// Who sends a message, and to whom. RFC 5905 section 7.3, figure 10
enum class ntp_mode : std::uint8_t { symmetric_active = 1, symmetric_passive = 2, client = 3, server = 4, broadcast = 5 };

/// A point of time in 2^-32 s since 1900 or, when the upper bit is clear, since 2036, when the count begins anew
/// (RFC 5905 section 6, RFC 4330 section 3). Zero: not known.
struct ntp_time {
    std::uint64_t value = 0;

    static constexpr std::int64_t unix_epoch = 2'208'988'800; ///< seconds from 1900 to 1970

    static constexpr ntp_time of(wall_time t) noexcept {
        const auto ns = t.time_since_epoch().count();
        const auto s = ns / 1'000'000'000 - (ns % 1'000'000'000 < 0 ? 1 : 0);
        const auto rest = static_cast<std::uint64_t>(ns - s * 1'000'000'000);
        return {static_cast<std::uint64_t>(s + unix_epoch) << 32 | (rest << 32) / 1'000'000'000};
    }
    constexpr wall_time wall() const noexcept {
        const auto s = static_cast<std::int64_t>(value >> 32) + (value >> 63 != 0 ? 0 : std::int64_t{1} << 32) - unix_epoch;
        const auto ns = static_cast<std::int64_t>(((value & 0xffffffff) * 1'000'000'000 + 0x80000000) >> 32);
        return wall_time{std::chrono::seconds{s} + duration{ns}};
    }
    friend constexpr bool operator==(ntp_time, ntp_time) noexcept = default;
};

/// 2^-16 s, as RFC 5905 section 6 writes short spans of time.
constexpr duration ntp_short(std::uint32_t value) noexcept {
    return duration{static_cast<std::int64_t>(std::uint64_t{value} * 1'000'000'000 >> 16)};
}

namespace ntp_at { // RFC 5905 section 7.3, figure 8
using leap_version_mode = field<std::uint8_t, 0>;
using stratum = field<std::uint8_t, 1>;
using poll = field<std::uint8_t, 2>;
using precision = field<std::uint8_t, 3>;
using root_delay = field<std::uint32_t, 4>;
using root_dispersion = field<std::uint32_t, 8>;
using reference_id = field<std::uint32_t, 12>;
using reference = field<std::uint64_t, 16>;
using origin = field<std::uint64_t, 24>;
using receive = field<std::uint64_t, 32>;
using transmit = field<std::uint64_t, 40>;
inline constexpr std::size_t length = 48;
} // namespace ntp_at

/// The four letters of a kiss-o'-death packet, as its reference identifier has them. RFC 5905 section 7.4
namespace ntp_kiss {
inline constexpr std::uint32_t deny = 0x44454e59, restricted = 0x52535452, rate = 0x52415445;
} // namespace ntp_kiss

/// An NTP message, read in place. Extension fields and authentication are left out. RFC 5905 section 7.3
class ntp_view {
    octets octets_;
    explicit constexpr ntp_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

public:
    /// errc::truncated; errc::unsupported: not version 3 or 4.
    static constexpr result<ntp_view> parse(octets message) noexcept {
        if (message.size() < ntp_at::length)
            return std::unexpected(errc::truncated);
        const ntp_view view{message.first(ntp_at::length)};
        if (view.version() < 3 || view.version() > 4)
            return std::unexpected(errc::unsupported);
        return view;
    }

    constexpr unsigned leap() const noexcept { return get<ntp_at::leap_version_mode>() >> 6; } ///< 3: not synchronised
    constexpr unsigned version() const noexcept { return get<ntp_at::leap_version_mode>() >> 3 & 7u; }
    constexpr ntp_mode mode() const noexcept {
        return ntp_mode{static_cast<std::uint8_t>(get<ntp_at::leap_version_mode>() & 7u)};
    }
    constexpr unsigned stratum() const noexcept { return get<ntp_at::stratum>(); }
    constexpr int poll() const noexcept { return static_cast<std::int8_t>(get<ntp_at::poll>()); } ///< log2 of seconds
    constexpr duration root_delay() const noexcept { return ntp_short(get<ntp_at::root_delay>()); }
    constexpr duration root_dispersion() const noexcept { return ntp_short(get<ntp_at::root_dispersion>()); }
    constexpr std::uint32_t reference_id() const noexcept { return get<ntp_at::reference_id>(); }
    constexpr ntp_time reference() const noexcept { return {get<ntp_at::reference>()}; }
    constexpr ntp_time origin() const noexcept { return {get<ntp_at::origin>()}; }     ///< what the client sent
    constexpr ntp_time receive() const noexcept { return {get<ntp_at::receive>()}; }   ///< when the server had it
    constexpr ntp_time transmit() const noexcept { return {get<ntp_at::transmit>()}; } ///< when it answered
};

/// An NTP message, as a value. RFC 5905 section 7.3
struct ntp_packet {
    unsigned leap = 0, version = 4;
    ntp_mode mode = ntp_mode::client;
    std::uint8_t stratum = 0;
    std::int8_t poll = 0, precision = 0;
    std::uint32_t root_delay = 0, root_dispersion = 0; ///< 2^-16 s
    std::uint32_t reference_id = 0;
    ntp_time reference{}, origin{}, receive{}, transmit{};

    static constexpr std::size_t size = ntp_at::length; ///< octets

    /// Writes the packet to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "ntp_packet: no room");
        auto* const p = room.data();
        ntp_at::leap_version_mode::store(
            p, static_cast<std::uint8_t>(leap << 6 | version << 3 | static_cast<unsigned>(mode)));
        ntp_at::stratum::store(p, stratum);
        ntp_at::poll::store(p, static_cast<std::uint8_t>(poll));
        ntp_at::precision::store(p, static_cast<std::uint8_t>(precision));
        ntp_at::root_delay::store(p, root_delay);
        ntp_at::root_dispersion::store(p, root_dispersion);
        ntp_at::reference_id::store(p, reference_id);
        ntp_at::reference::store(p, reference.value);
        ntp_at::origin::store(p, origin.value);
        ntp_at::receive::store(p, receive.value);
        ntp_at::transmit::store(p, transmit.value);
    }
};

} // namespace mirage::wire
