// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/ipv6_address.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/wire/field.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::wire {

inline constexpr std::uint16_t dhcpv6_client_port = 546, dhcpv6_server_port = 547; // RFC 8415 section 7.2
/// All_DHCP_Relay_Agents_and_Servers. RFC 8415 section 7.1
inline constexpr ipv6_address dhcpv6_servers_group{0xff02'0000'0000'0000u, 0x1'0002};

/// RFC 8415 section 7.3
enum class dhcpv6_type : std::uint8_t {
    solicit = 1,
    advertise = 2,
    request = 3,
    confirm = 4,
    renew = 5,
    rebind = 6,
    reply = 7,
    release = 8,
    decline = 9,
    reconfigure = 10,
    information_request = 11,
    relay_forward = 12,
    relay_reply = 13,
};

/// RFC 8415 section 21, RFC 3646
enum class dhcpv6_option : std::uint16_t {
    client_identifier = 1,
    server_identifier = 2,
    ia_na = 3,
    address = 5,
    requested = 6,
    preference = 7,
    elapsed_time = 8,
    status = 13,
    rapid_commit = 14,
    dns_servers = 23,
    domain_list = 24,
    information_refresh_time = 32,
    solicit_max_rt = 82,
    information_max_rt = 83,
};

/// RFC 8415 section 21.13
enum class dhcpv6_status : std::uint16_t { success, unspecified, no_addresses, no_binding, not_on_link, use_multicast };

/// Who a client or server is: opaque, 1 to 130 octets. RFC 8415 section 11
class dhcpv6_duid {
public:
    static constexpr std::size_t max_size = 130;

private:
    std::array<std::byte, max_size> octets_{};
    std::uint8_t size_ = 0;

public:
    constexpr dhcpv6_duid() noexcept = default;
    /// `text` has max_size octets at most.
    explicit constexpr dhcpv6_duid(octets text) noexcept : size_{static_cast<std::uint8_t>(text.size())} {
        check(text.size() <= max_size, "dhcpv6_duid: too long");
        std::ranges::copy(text, octets_.begin());
    }
    /// DUID-LL: an Ethernet address for ever in this host. RFC 8415 section 11.4
    static constexpr dhcpv6_duid of(mac_address hardware) noexcept {
        std::array<std::byte, 10> text{std::byte{0}, std::byte{3}, std::byte{0}, std::byte{1}};
        std::ranges::transform(hardware.octet, text.begin() + 4, [](std::uint8_t o) { return std::byte{o}; });
        return dhcpv6_duid{text};
    }
    constexpr octets view() const noexcept { return octets{octets_}.first(size_); }
    constexpr bool empty() const noexcept { return size_ == 0; }
    friend constexpr bool operator==(const dhcpv6_duid& a, const dhcpv6_duid& b) noexcept {
        return std::ranges::equal(a.view(), b.view());
    }
};

/// Options behind one another, each whole. RFC 8415 section 21.1
class dhcpv6_options {
    octets octets_;
    explicit constexpr dhcpv6_options(octets o) noexcept : octets_{o} {}

public:
    static constexpr std::size_t header = 4; ///< octets

    /// errc::truncated: the last one runs out.
    static constexpr result<dhcpv6_options> parse(octets text) noexcept {
        for (octets rest = text; !rest.empty();) {
            if (rest.size() < header || rest.size() - header < load<std::uint16_t>(rest.data() + 2))
                return std::unexpected(errc::truncated);
            rest = rest.subspan(header + load<std::uint16_t>(rest.data() + 2));
        }
        return dhcpv6_options{text};
    }

    /// `visit(code, text)` for each.
    constexpr void each(auto&& visit) const noexcept {
        for (octets rest = octets_; !rest.empty();) {
            const std::size_t length = load<std::uint16_t>(rest.data() + 2);
            visit(dhcpv6_option{load<std::uint16_t>(rest.data())}, rest.subspan(header, length));
            rest = rest.subspan(header + length);
        }
    }
    /// The text of the first of this code.
    constexpr std::optional<octets> find(dhcpv6_option code) const noexcept {
        std::optional<octets> found;
        each([&](dhcpv6_option c, octets text) {
            if (c == code && !found)
                found = text;
        });
        return found;
    }
    template <std::unsigned_integral T>
    constexpr std::optional<T> number(dhcpv6_option code) const noexcept {
        const auto text = find(code);
        return text && text->size() == sizeof(T) ? std::optional{load<T>(text->data())} : std::nullopt;
    }
    /// RFC 8415 section 21.13: success when nothing is said; what is too short is a failure.
    constexpr dhcpv6_status status() const noexcept {
        const auto text = find(dhcpv6_option::status);
        if (!text)
            return dhcpv6_status::success;
        return text->size() < 2 ? dhcpv6_status::unspecified : dhcpv6_status{load<std::uint16_t>(text->data())};
    }
    constexpr std::optional<dhcpv6_duid> identifier(dhcpv6_option code) const noexcept {
        const auto text = find(code);
        return text && !text->empty() && text->size() <= dhcpv6_duid::max_size ? std::optional{dhcpv6_duid{*text}}
                                                                               : std::nullopt;
    }
};

/// An IA Address option. RFC 8415 section 21.6
struct dhcpv6_address {
    ipv6_address address{};
    std::uint32_t preferred = 0, valid = 0; ///< seconds; all ones: for ever
    dhcpv6_status status{};

    /// errc::truncated
    static constexpr result<dhcpv6_address> parse(octets text) noexcept {
        if (text.size() < 24)
            return std::unexpected(errc::truncated);
        const auto options = dhcpv6_options::parse(text.subspan(24));
        if (!options)
            return std::unexpected(options.error());
        return dhcpv6_address{field<ipv6_address, 0>::load(text.data()), load<std::uint32_t>(text.data() + 16),
                              load<std::uint32_t>(text.data() + 20), options->status()};
    }
};

/// An option of an Identity Association for Non-temporary Addresses. RFC 8415 section 21.4
struct dhcpv6_association {
    std::uint32_t iaid = 0, t1 = 0, t2 = 0; ///< seconds; 0: as the client likes
    dhcpv6_options options;

    /// errc::truncated
    static constexpr result<dhcpv6_association> parse(octets text) noexcept {
        if (text.size() < 12)
            return std::unexpected(errc::truncated);
        const auto options = dhcpv6_options::parse(text.subspan(12));
        if (!options)
            return std::unexpected(options.error());
        return dhcpv6_association{load<std::uint32_t>(text.data()), load<std::uint32_t>(text.data() + 4),
                                  load<std::uint32_t>(text.data() + 8), *options};
    }
    /// `visit(address)` for each that is whole.
    constexpr void each(auto&& visit) const noexcept {
        options.each([&](dhcpv6_option code, octets text) {
            if (code == dhcpv6_option::address)
                if (const auto one = dhcpv6_address::parse(text))
                    visit(*one);
        });
    }
};

/// A message between client and server, read in place. RFC 8415 section 8
class dhcpv6_view {
    std::uint32_t first_;
    dhcpv6_options options_;
    constexpr dhcpv6_view(std::uint32_t first, const dhcpv6_options& o) noexcept : first_{first}, options_{o} {}

public:
    static constexpr std::size_t header = 4; ///< octets

    /// errc::truncated; errc::unsupported: a message of relay agents, which has another form.
    static constexpr result<dhcpv6_view> parse(octets message) noexcept {
        if (message.size() < header)
            return std::unexpected(errc::truncated);
        const auto first = load<std::uint32_t>(message.data());
        const dhcpv6_type type{static_cast<std::uint8_t>(first >> 24)};
        if (type == dhcpv6_type::relay_forward || type == dhcpv6_type::relay_reply)
            return std::unexpected(errc::unsupported);
        const auto options = dhcpv6_options::parse(message.subspan(header));
        if (!options)
            return std::unexpected(options.error());
        return dhcpv6_view{first, *options};
    }
    constexpr dhcpv6_type type() const noexcept { return dhcpv6_type{static_cast<std::uint8_t>(first_ >> 24)}; }
    constexpr std::uint32_t transaction() const noexcept { return first_ & 0xff'ffffu; }
    constexpr const dhcpv6_options& options() const noexcept { return options_; }

    /// The association of this client's interface; nothing: there is none, or none that section 21.4 lets a client use.
    constexpr std::optional<dhcpv6_association> association(std::uint32_t iaid) const noexcept {
        std::optional<dhcpv6_association> found;
        options_.each([&](dhcpv6_option code, octets text) {
            if (code != dhcpv6_option::ia_na || found)
                return;
            const auto ia = dhcpv6_association::parse(text);
            if (ia && ia->iaid == iaid && !(ia->t1 > ia->t2 && ia->t2 != 0))
                found = *ia;
        });
        return found;
    }
};

/// Writes a message, option by option. The room is the caller's to make large enough.
class dhcpv6_writer {
    mutable_octets room_;
    std::size_t size_ = dhcpv6_view::header;

    constexpr std::byte* more(std::size_t count) noexcept {
        check(size_ + count <= room_.size(), "dhcpv6_writer: no room");
        size_ += count;
        return room_.data() + size_ - count;
    }

public:
    constexpr dhcpv6_writer(mutable_octets room, dhcpv6_type type, std::uint32_t transaction) noexcept : room_{room} {
        check(room.size() >= dhcpv6_view::header, "dhcpv6_writer: no room");
        store<std::uint32_t>(room_.data(), static_cast<std::uint32_t>(type) << 24 | (transaction & 0xff'ffffu));
    }
    constexpr std::size_t size() const noexcept { return size_; } ///< octets
    constexpr octets view() const noexcept { return octets{room_}.first(size_); }

    /// An option whose text is the numbers, one behind the other.
    constexpr void add(dhcpv6_option code, std::unsigned_integral auto... numbers) noexcept {
        open(code, (0u + ... + sizeof numbers));
        (put(numbers), ...);
    }
    constexpr void add(dhcpv6_option code, octets text) noexcept {
        open(code, text.size());
        put(text);
    }
    /// The header alone of one whose text, `length` octets, follows by other calls.
    constexpr void open(dhcpv6_option code, std::size_t length) noexcept {
        put(static_cast<std::uint16_t>(code));
        put(static_cast<std::uint16_t>(length));
    }
    template <std::unsigned_integral T>
    constexpr void put(T number) noexcept {
        store<T>(more(sizeof(T)), number);
    }
    constexpr void put(octets text) noexcept { std::ranges::copy(text, more(text.size())); }
    constexpr void put(const ipv6_address& a) noexcept { field<ipv6_address, 0>::store(more(16), a); }
    constexpr void add(const dhcpv6_address& a) noexcept {
        open(dhcpv6_option::address, 24);
        put(a.address);
        put(a.preferred);
        put(a.valid);
    }
};

} // namespace mirage::wire
