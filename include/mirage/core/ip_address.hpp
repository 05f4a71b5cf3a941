// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ipv6_address.hpp"

namespace mirage {

/// An address of either family: what a stack with both IPv4 and IPv6 calls a host. Converts from either. An IPv4
/// address is kept as the IPv4-mapped IPv6 address that stands for it (RFC 4291 section 2.5.5.2), which therefore is
/// never taken from or sent to a wire.
class ip_address {
    ipv6_address value_{};

public:
    constexpr ip_address() noexcept = default;
    constexpr ip_address(ipv4_address a) noexcept : value_{ipv6_address::mapped(a)} {} // NOLINT: a conversion
    constexpr ip_address(const ipv6_address& a) noexcept : value_{a} {}                // NOLINT: a conversion

    constexpr bool is_ipv4() const noexcept { return value_.is_mapped(); }
    /// Meaningful when is_ipv4() holds.
    constexpr ipv4_address v4() const noexcept { return value_.embedded(); }
    /// The address, an IPv4 one as mapped.
    constexpr const ipv6_address& v6() const noexcept { return value_; }

    constexpr bool is_unspecified() const noexcept { return is_ipv4() ? v4().is_unspecified() : value_.is_unspecified(); }
    constexpr bool is_multicast() const noexcept { return is_ipv4() ? v4().is_multicast() : value_.is_multicast(); }

    friend constexpr bool operator==(const ip_address&, const ip_address&) noexcept = default;

    /// Either family's text. errc::malformed.
    static constexpr result<ip_address> parse(std::string_view text) noexcept {
        if (const auto v4 = ipv4_address::parse(text))
            return ip_address{*v4};
        const auto v6 = ipv6_address::parse(text);
        if (!v6 || v6->is_mapped())
            return std::unexpected(errc::malformed);
        return ip_address{*v6};
    }
};

/// A transport address of either family.
struct ip_endpoint {
    ip_address address{};
    std::uint16_t port = 0;

    constexpr ip_endpoint() noexcept = default;
    constexpr ip_endpoint(const ip_address& a, std::uint16_t p) noexcept : address{a}, port{p} {}
    constexpr ip_endpoint(const ipv4_endpoint& e) noexcept : address{e.address}, port{e.port} {} // NOLINT: a conversion
    constexpr ip_endpoint(const ipv6_endpoint& e) noexcept : address{e.address}, port{e.port} {} // NOLINT: a conversion
    friend constexpr bool operator==(const ip_endpoint&, const ip_endpoint&) noexcept = default;
};

// What code that is written for any of the three families asks.

constexpr bool is_ipv4(ipv4_address) noexcept { return true; }
constexpr bool is_ipv4(const ipv6_address&) noexcept { return false; }
constexpr bool is_ipv4(const ip_address& a) noexcept { return a.is_ipv4(); }
constexpr ipv4_address to_ipv4(ipv4_address a) noexcept { return a; }
constexpr ipv4_address to_ipv4(const ip_address& a) noexcept { return a.v4(); }
// Both are for within an expression. NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter): the other one's is of this kind, too
constexpr const ipv6_address& to_ipv6(const ipv6_address& a) noexcept { return a; }
constexpr const ipv6_address& to_ipv6(const ip_address& a) noexcept { return a.v6(); }

} // namespace mirage
