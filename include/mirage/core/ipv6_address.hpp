// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include <bit>

namespace mirage {

/// An IPv6 address, kept as two halves in host order. RFC 4291
class ipv6_address {
    std::uint64_t high_ = 0, low_ = 0;

public:
    constexpr ipv6_address() noexcept = default;
    /// The 64 bits of prefix and subnet, and the 64 of the interface identifier.
    constexpr ipv6_address(std::uint64_t high, std::uint64_t low) noexcept : high_{high}, low_{low} {}

    constexpr std::uint64_t high() const noexcept { return high_; }
    constexpr std::uint64_t low() const noexcept { return low_; }
    constexpr std::uint16_t group(unsigned i) const noexcept {
        return static_cast<std::uint16_t>((i < 4 ? high_ : low_) >> (48 - 16 * (i % 4)));
    }
    constexpr std::uint8_t octet(unsigned i) const noexcept {
        return static_cast<std::uint8_t>((i < 8 ? high_ : low_) >> (56 - 8 * (i % 8)));
    }

    static constexpr ipv6_address any() noexcept { return {}; }
    static constexpr ipv6_address loopback() noexcept { return {0, 1}; }
    static constexpr ipv6_address all_nodes() noexcept { return {0xff02'0000'0000'0000u, 1}; }   // RFC 4291 section 2.7.1
    static constexpr ipv6_address all_routers() noexcept { return {0xff02'0000'0000'0000u, 2}; } // likewise
    /// The group that asks for the link-layer address of whoever has `a`. RFC 4291 section 2.7.1
    static constexpr ipv6_address solicited_node(const ipv6_address& a) noexcept {
        return {0xff02'0000'0000'0000u, 0x1'ff00'0000u | (a.low_ & 0xff'ffffu)};
    }
    /// fe80::/64 with this interface identifier. RFC 4291 section 2.5.6
    static constexpr ipv6_address link_local(std::uint64_t identifier) noexcept {
        return {0xfe80'0000'0000'0000u, identifier};
    }
    static constexpr ipv6_address mapped(ipv4_address a) noexcept { return {0, 0xffff'0000'0000u | a.value()}; }

    constexpr bool is_unspecified() const noexcept { return (high_ | low_) == 0; }          // RFC 4291 section 2.5.2
    constexpr bool is_loopback() const noexcept { return high_ == 0 && low_ == 1; }         // section 2.5.3
    constexpr bool is_multicast() const noexcept { return high_ >> 56 == 0xff; }            // section 2.7
    constexpr bool is_link_local() const noexcept { return high_ >> 54 == 0xfe80 >> 6; }    // section 2.5.6
    constexpr bool is_mapped() const noexcept { return high_ == 0 && low_ >> 32 == 0xffff; } // section 2.5.5.2
    constexpr bool is_unique_local() const noexcept { return high_ >> 57 == 0xfc >> 1; }    // RFC 4193
    constexpr bool is_solicited_node() const noexcept {
        return high_ == 0xff02'0000'0000'0000u && low_ >> 24 == 0x1ff;
    }
    /// The scope field of a group (RFC 4291 section 2.7), or the matching value of a unicast address.
    constexpr unsigned scope() const noexcept {
        if (is_multicast())
            return static_cast<unsigned>(high_ >> 48 & 15);
        return is_link_local() || is_loopback() ? 2 : 14; // RFC 6724 section 3.1
    }
    /// The IPv4 address in the last 32 bits.
    constexpr ipv4_address embedded() const noexcept { return ipv4_address{static_cast<std::uint32_t>(low_)}; }

    friend constexpr bool operator==(const ipv6_address&, const ipv6_address&) noexcept = default;
    friend constexpr auto operator<=>(const ipv6_address&, const ipv6_address&) noexcept = default;

    /// How many leading bits two addresses share, 0 to 128.
    friend constexpr unsigned common_prefix(const ipv6_address& a, const ipv6_address& b) noexcept {
        const auto same = static_cast<unsigned>(std::countl_zero(a.high_ ^ b.high_));
        return same < 64 ? same : 64 + static_cast<unsigned>(std::countl_zero(a.low_ ^ b.low_));
    }

    /// Every form of RFC 4291 section 2.2, in either case: full, with one "::", with a dotted quad at the end. No zone,
    /// nothing before or behind. errc::malformed.
    static constexpr result<ipv6_address> parse(std::string_view text) noexcept {
        std::array<std::uint16_t, 8> groups{};
        std::size_t count = 0, gap = groups.size() + 1;
        if (text.starts_with("::")) {
            gap = 0;
            text.remove_prefix(2);
        }
        while (!text.empty()) {
            if (count <= 6 && text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
                const auto quad = ipv4_address::parse(text);
                if (!quad)
                    return std::unexpected(errc::malformed);
                groups[count++] = static_cast<std::uint16_t>(quad->value() >> 16);
                groups[count++] = static_cast<std::uint16_t>(quad->value());
                break;
            }
            unsigned value = 0, digits = 0;
            for (; !text.empty() && digits < 4; ++digits, text.remove_prefix(1)) {
                const unsigned digit = hex_digit(text.front());
                if (digit > 15)
                    break;
                value = value * 16 + digit;
            }
            if (digits == 0 || count == groups.size())
                return std::unexpected(errc::malformed);
            groups[count++] = static_cast<std::uint16_t>(value);
            if (text.empty())
                break;
            if (text.front() != ':' || text.size() == 1)
                return std::unexpected(errc::malformed);
            text.remove_prefix(1);
            if (text.front() != ':')
                continue;
            if (gap <= groups.size()) // a second "::"
                return std::unexpected(errc::malformed);
            gap = count;
            text.remove_prefix(1);
        }
        if (gap > groups.size() ? count != groups.size() : count == groups.size())
            return std::unexpected(errc::malformed);
        if (gap <= groups.size())
            std::move_backward(groups.begin() + static_cast<std::ptrdiff_t>(gap),
                               groups.begin() + static_cast<std::ptrdiff_t>(count), groups.end());
        for (std::size_t i = gap; i < gap + groups.size() - count; ++i)
            groups[i] = 0;
        const auto half = [&](std::size_t first) {
            std::uint64_t bits = 0;
            for (std::size_t i = first; i < first + 4; ++i)
                bits = bits << 16 | groups[i];
            return bits;
        };
        return ipv6_address{half(0), half(4)};
    }

private:
    static constexpr unsigned hex_digit(char c) noexcept {
        if (c >= '0' && c <= '9')
            return static_cast<unsigned>(c - '0');
        const char lower = static_cast<char>(c | 0x20);
        return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
    }
};

/// An address with the length of its prefix: 2001:db8::2/64.
struct ipv6_prefix {
    ipv6_address address{};
    std::uint8_t length = 0; ///< bits, 0-128

    friend constexpr bool operator==(const ipv6_prefix&, const ipv6_prefix&) noexcept = default;

    constexpr bool contains(const ipv6_address& a) const noexcept { return common_prefix(a, address) >= length; }

    /// "ADDRESS/n" with n in 0-128. errc::malformed.
    static constexpr result<ipv6_prefix> parse(std::string_view text) noexcept {
        const auto slash = text.find('/');
        if (slash == std::string_view::npos)
            return std::unexpected(errc::malformed);
        const auto address = ipv6_address::parse(text.substr(0, slash));
        const auto digits = text.substr(slash + 1);
        if (!address || digits.empty() || digits.size() > 3)
            return std::unexpected(errc::malformed);
        unsigned n = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9')
                return std::unexpected(errc::malformed);
            n = n * 10 + static_cast<unsigned>(c - '0');
        }
        if (n > 128)
            return std::unexpected(errc::malformed);
        return ipv6_prefix{*address, static_cast<std::uint8_t>(n)};
    }
};

/// A transport address: IPv6 address and port.
struct ipv6_endpoint {
    ipv6_address address{};
    std::uint16_t port = 0;
    friend constexpr bool operator==(const ipv6_endpoint&, const ipv6_endpoint&) noexcept = default;
};

} // namespace mirage
