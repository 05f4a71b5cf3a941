// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mirage {

/// An Ethernet (EUI-48) address in transmission order.
struct mac_address {
    std::array<std::uint8_t, 6> octet{};

    friend constexpr bool operator==(const mac_address&, const mac_address&) noexcept = default;

    /// The group bit: multicast or broadcast (IEEE 802.3 section 3.2.3).
    constexpr bool is_group() const noexcept { return (octet[0] & 1) != 0; }
    constexpr bool is_broadcast() const noexcept {
        return std::ranges::all_of(octet, [](std::uint8_t o) { return o == 0xff; });
    }
    static constexpr mac_address broadcast() noexcept { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
};

/// An IPv4 address, kept in host order so that arithmetic on it means what it says.
class ipv4_address {
    std::uint32_t value_ = 0;

public:
    constexpr ipv4_address() noexcept = default;
    constexpr explicit ipv4_address(std::uint32_t value) noexcept : value_{value} {}
    constexpr ipv4_address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept
        : value_{std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d} {}

    constexpr std::uint32_t value() const noexcept { return value_; }
    constexpr std::uint8_t octet(unsigned i) const noexcept {
        return static_cast<std::uint8_t>(value_ >> (24 - 8 * i));
    }

    static constexpr ipv4_address any() noexcept { return {}; }
    static constexpr ipv4_address broadcast() noexcept { return ipv4_address{0xffffffffu}; }

    constexpr bool is_unspecified() const noexcept { return value_ == 0; }           // RFC 1122 section 3.2.1.3 (a)
    constexpr bool is_limited_broadcast() const noexcept { return value_ == 0xffffffffu; } // (c)
    constexpr bool is_multicast() const noexcept { return (value_ >> 28) == 0xe; }   // RFC 5771
    constexpr bool is_loopback() const noexcept { return (value_ >> 24) == 127; }    // RFC 1122 section 3.2.1.3 (g)
    constexpr bool is_link_local() const noexcept { return (value_ >> 16) == 0xa9fe; } // RFC 3927
    constexpr bool is_reserved() const noexcept { return (value_ >> 28) == 0xf; }    // class E, RFC 1112 section 4

    friend constexpr bool operator==(ipv4_address, ipv4_address) noexcept = default;
    friend constexpr auto operator<=>(ipv4_address, ipv4_address) noexcept = default;

    /// Strict dotted quad: four decimal numbers 0-255, nothing before or behind. errc::malformed.
    static constexpr result<ipv4_address> parse(std::string_view text) noexcept {
        std::uint32_t value = 0;
        for (unsigned part = 0; part < 4; ++part) {
            if (part != 0) {
                if (text.empty() || text.front() != '.')
                    return std::unexpected(errc::malformed);
                text.remove_prefix(1);
            }
            unsigned n = 0, digits = 0;
            while (!text.empty() && text.front() >= '0' && text.front() <= '9' && digits < 3) {
                n = n * 10 + static_cast<unsigned>(text.front() - '0');
                text.remove_prefix(1);
                ++digits;
            }
            if (digits == 0 || n > 255)
                return std::unexpected(errc::malformed);
            value = value << 8 | n;
        }
        if (!text.empty())
            return std::unexpected(errc::malformed);
        return ipv4_address{value};
    }
};

/// An interface address with its subnet: 10.0.0.2/24.
struct ipv4_prefix {
    ipv4_address address{};
    std::uint8_t length = 0; ///< bits, 0-32

    friend constexpr bool operator==(const ipv4_prefix&, const ipv4_prefix&) noexcept = default;

    constexpr std::uint32_t mask() const noexcept { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
    constexpr bool contains(ipv4_address a) const noexcept {
        return ((a.value() ^ address.value()) & mask()) == 0;
    }
    /// The subnet's directed broadcast (RFC 919); none on /31 (RFC 3021) and /32.
    constexpr bool is_broadcast(ipv4_address a) const noexcept {
        return length < 31 && contains(a) && (a.value() | mask()) == 0xffffffffu;
    }

    /// "a.b.c.d/n" with n in 0-32. errc::malformed.
    static constexpr result<ipv4_prefix> parse(std::string_view text) noexcept {
        const auto slash = text.find('/');
        if (slash == std::string_view::npos)
            return std::unexpected(errc::malformed);
        const auto address = ipv4_address::parse(text.substr(0, slash));
        if (!address)
            return std::unexpected(address.error());
        const auto digits = text.substr(slash + 1);
        unsigned n = 0;
        if (digits.empty() || digits.size() > 2)
            return std::unexpected(errc::malformed);
        for (const char c : digits) {
            if (c < '0' || c > '9')
                return std::unexpected(errc::malformed);
            n = n * 10 + static_cast<unsigned>(c - '0');
        }
        if (n > 32)
            return std::unexpected(errc::malformed);
        return ipv4_prefix{*address, static_cast<std::uint8_t>(n)};
    }
};

/// A transport address: IPv4 address and port.
struct ipv4_endpoint {
    ipv4_address address{};
    std::uint16_t port = 0;
    friend constexpr bool operator==(const ipv4_endpoint&, const ipv4_endpoint&) noexcept = default;
};

} // namespace mirage
