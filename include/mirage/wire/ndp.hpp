// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/icmpv6.hpp"
#include <optional>

namespace mirage::wire {

/// Types of Neighbour Discovery options. Others are skipped. RFC 4861 section 4.6, RFC 3971, RFC 8106
enum class ndp_option : std::uint8_t {
    source_link = 1,
    target_link = 2,
    prefix = 3,
    redirected = 4,
    mtu = 5,
    nonce = 14,
    recursive_servers = 25,
    search_list = 31,
};

/// A Prefix Information option. RFC 4861 section 4.6.2
struct ndp_prefix {
    ipv6_prefix prefix{};
    bool on_link = false, autonomous = false;
    std::uint32_t valid = 0, preferred = 0; ///< seconds; all ones: for ever
};

/// A Recursive DNS Server option. RFC 8106 section 5.1
struct ndp_servers {
    std::uint32_t lifetime = 0; ///< seconds; all ones: for ever
    octets addresses{};         ///< 16 octets each
};

/// The options of a Neighbour Discovery message, checked and read in place. RFC 4861 section 4.6
class ndp_options {
    octets octets_;
    explicit constexpr ndp_options(octets o) noexcept : octets_{o} {}

public:
    constexpr ndp_options() noexcept = default;

    /// errc::malformed: an option of length zero (the message is to be discarded, RFC 4861 section 4.6) or one that goes
    /// past the end.
    static constexpr result<ndp_options> parse(octets options) noexcept {
        for (octets rest = options; !rest.empty();) {
            const std::size_t length = rest.size() < 8 ? 0 : 8 * std::to_integer<std::size_t>(rest[1]);
            if (length == 0 || length > rest.size())
                return std::unexpected(errc::malformed);
            rest = rest.subspan(length);
        }
        return ndp_options{options};
    }

    /// Calls `visit(ndp_option type, octets option)` for each, type and length included: 8 octets or more.
    constexpr void each(auto&& visit) const noexcept {
        for (octets rest = octets_; !rest.empty();) {
            const octets one = rest.first(std::min(rest.size(), 8 * std::to_integer<std::size_t>(rest[1])));
            if (one.empty()) // only when somebody changes the memory under us
                return;
            visit(ndp_option{std::to_integer<std::uint8_t>(one[0])}, one);
            rest = rest.subspan(one.size());
        }
    }

    /// The Ethernet address of the first option of this type that has one.
    constexpr std::optional<mac_address> link(ndp_option type) const noexcept {
        std::optional<mac_address> found;
        each([&](ndp_option t, octets o) {
            if (t == type && o.size() == 8 && !found)
                found = load_native<mac_address>(o.data() + 2);
        });
        return found;
    }
    constexpr std::optional<std::uint64_t> nonce() const noexcept { // RFC 7527 section 4.1: 6 octets
        std::optional<std::uint64_t> found;
        each([&](ndp_option t, octets o) {
            if (t == ndp_option::nonce && o.size() == 8)
                found = load<std::uint64_t>(o.data()) & 0xffff'ffff'ffffu;
        });
        return found;
    }
    constexpr std::optional<std::uint32_t> mtu() const noexcept {
        std::optional<std::uint32_t> found;
        each([&](ndp_option t, octets o) {
            if (t == ndp_option::mtu && o.size() == 8)
                found = load<std::uint32_t>(o.data() + 4);
        });
        return found;
    }
    /// What a Prefix Information option says; nothing when `option` is not a whole one.
    static constexpr std::optional<ndp_prefix> prefix(ndp_option type, octets option) noexcept {
        if (type != ndp_option::prefix || option.size() != 32)
            return std::nullopt;
        const auto* const p = option.data();
        const auto length = std::to_integer<std::uint8_t>(option[2]), flags = std::to_integer<std::uint8_t>(option[3]);
        if (length > 128)
            return std::nullopt;
        return ndp_prefix{{field<ipv6_address, 16>::load(p), length}, (flags & 0x80) != 0, (flags & 0x40) != 0,
                          load<std::uint32_t>(p + 4), load<std::uint32_t>(p + 8)};
    }
    static constexpr std::optional<ndp_servers> servers(ndp_option type, octets option) noexcept {
        if (type != ndp_option::recursive_servers || option.size() < 24 || option.size() % 16 != 8)
            return std::nullopt;
        return ndp_servers{load<std::uint32_t>(option.data() + 4), option.subspan(8)};
    }
};

/// A Neighbour Solicitation or Advertisement, or a Redirect: RFC 4861 sections 4.3 to 4.5. The two first have the form
/// of which the last is longer.
struct ndp_neighbour {
    ipv6_address target{};
    bool router = false, solicited = false, override_flag = false; ///< advertisements
    ndp_options options{};

    static constexpr std::size_t size = 24; ///< octets without options

    /// errc::truncated, errc::malformed: RFC 4861 sections 7.1.1 and 7.1.2, as far as the message alone shows.
    static constexpr result<ndp_neighbour> parse(const icmpv6_view& m) noexcept {
        if (m.message().size() < size)
            return std::unexpected(errc::truncated);
        const auto target = field<ipv6_address, 8>::load(m.message().data());
        const auto options = ndp_options::parse(m.message().subspan(size));
        if (!options || target.is_multicast() || m.code() != 0)
            return std::unexpected(errc::malformed);
        return ndp_neighbour{target, (m.rest() >> 31) != 0, (m.rest() >> 30 & 1) != 0, (m.rest() >> 29 & 1) != 0, *options};
    }
};

/// RFC 4861 section 4.5
struct ndp_redirect {
    ipv6_address target{}, destination{};
    ndp_options options{};

    static constexpr std::size_t size = 40; ///< octets without options

    /// errc::truncated, errc::malformed: RFC 4861 section 8.1, as far as the message alone shows.
    static constexpr result<ndp_redirect> parse(const icmpv6_view& m) noexcept {
        if (m.message().size() < size)
            return std::unexpected(errc::truncated);
        const ndp_redirect r{field<ipv6_address, 8>::load(m.message().data()),
                             field<ipv6_address, 24>::load(m.message().data())};
        const auto options = ndp_options::parse(m.message().subspan(size));
        if (!options || m.code() != 0 || r.destination.is_multicast()
            || !(r.target.is_link_local() || r.target == r.destination))
            return std::unexpected(errc::malformed);
        return ndp_redirect{r.target, r.destination, *options};
    }
};

/// A Router Advertisement. RFC 4861 section 4.2
struct ndp_router {
    std::uint8_t hop_limit = 0;      ///< 0: unspecified
    bool managed = false, other = false;
    std::uint16_t lifetime = 0;      ///< seconds as a default router; 0: is none
    std::uint32_t reachable = 0, retransmit = 0; ///< milliseconds; 0: unspecified
    ndp_options options{};

    static constexpr std::size_t size = 16; ///< octets without options

    /// errc::truncated, errc::malformed: RFC 4861 section 6.1.2, as far as the message alone shows.
    static constexpr result<ndp_router> parse(const icmpv6_view& m) noexcept {
        if (m.message().size() < size)
            return std::unexpected(errc::truncated);
        const auto options = ndp_options::parse(m.message().subspan(size));
        if (!options || m.code() != 0)
            return std::unexpected(errc::malformed);
        const auto* const p = m.message().data();
        return ndp_router{static_cast<std::uint8_t>(m.rest() >> 24),
                          (m.rest() >> 23 & 1) != 0,
                          (m.rest() >> 22 & 1) != 0,
                          static_cast<std::uint16_t>(m.rest()),
                          load<std::uint32_t>(p + 8),
                          load<std::uint32_t>(p + 12),
                          *options};
    }
};

/// Writes a Neighbour Discovery message of ours, options after the fixed part. `room` of `max_size` octets.
class ndp_writer {
    mutable_octets room_;
    std::size_t size_ = 0;

public:
    static constexpr std::size_t max_size = 64;

    constexpr explicit ndp_writer(mutable_octets room) noexcept : room_{room} {
        check(room.size() >= max_size, "ndp_writer: no room");
    }

    constexpr ndp_writer& word(std::uint32_t w) noexcept {
        store<std::uint32_t>(room_.data() + size_, w);
        size_ += 4;
        return *this;
    }
    constexpr ndp_writer& address(const ipv6_address& a) noexcept {
        field<ipv6_address, 0>::store(room_.data() + size_, a);
        size_ += 16;
        return *this;
    }
    constexpr ndp_writer& link(ndp_option type, mac_address mac) noexcept {
        store<std::uint16_t>(room_.data() + size_, static_cast<std::uint16_t>(static_cast<unsigned>(type) << 8 | 1));
        store_native(room_.data() + size_ + 2, mac);
        size_ += 8;
        return *this;
    }
    constexpr ndp_writer& nonce(std::uint64_t value) noexcept {
        store<std::uint64_t>(room_.data() + size_, std::uint64_t{0x0e01} << 48 | (value & 0xffff'ffff'ffffu));
        size_ += 8;
        return *this;
    }
    constexpr octets view() const noexcept { return octets{room_}.first(size_); }
};

} // namespace mirage::wire
