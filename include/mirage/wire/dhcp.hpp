// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include "mirage/wire/dhcp_options.hpp"
#include "mirage/wire/field.hpp"
#include <algorithm>

namespace mirage::wire {

inline constexpr std::uint16_t dhcp_server_port = 67, dhcp_client_port = 68; // RFC 2131 section 4.1

namespace dhcp_at { // RFC 2131 section 2, figure 1
using op = field<std::uint8_t, 0>;
using hardware_type = field<std::uint8_t, 1>;
using hardware_length = field<std::uint8_t, 2>;
using hops = field<std::uint8_t, 3>;
using transaction = field<std::uint32_t, 4>; // xid
using seconds = field<std::uint16_t, 8>;
using flags = field<std::uint16_t, 10>;
using client_address = field<ipv4_address, 12>; // ciaddr
using your_address = field<ipv4_address, 16>;   // yiaddr
using server_address = field<ipv4_address, 20>; // siaddr
using relay_address = field<ipv4_address, 24>;  // giaddr
using client_hardware = field<mac_address, 28>; // chaddr: 16 octets, of which Ethernet uses 6
inline constexpr std::size_t server_name = 44, server_name_length = 64;
inline constexpr std::size_t file = 108, file_length = 128;
using cookie = field<std::uint32_t, 236>; // RFC 2131 section 3
inline constexpr std::size_t options = 240;
inline constexpr std::uint32_t magic_cookie = 0x63825363;
inline constexpr std::uint16_t broadcast_flag = 0x8000;
} // namespace dhcp_at

/// A DHCP message of a client or server on Ethernet, read in place. RFC 2131
///
/// Options may continue in the file and server name fields (option 52), and an option may come in several
/// pieces, which count as one (RFC 3396); the accessors see to both. An option whose length is wrong is not
/// there.
class dhcp_view {
    octets octets_;
    unsigned overload_ = 0; // 1: file holds options, 2: server name does

    explicit constexpr dhcp_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }

    /// The fields that hold options, in the order of RFC 3396 section 5.
    constexpr std::array<octets, 3> fields() const noexcept {
        const bool file = (overload_ & 1) != 0, name = (overload_ & 2) != 0;
        return {octets_.subspan(dhcp_at::options),
                file ? octets_.subspan(dhcp_at::file, dhcp_at::file_length) : octets{},
                name ? octets_.subspan(dhcp_at::server_name, dhcp_at::server_name_length) : octets{}};
    }

    template <std::size_t Length>
    constexpr std::optional<std::array<std::byte, Length>> exactly(dhcp_option code) const noexcept {
        std::array<std::byte, Length> raw{};
        const auto length = copy_option(code, raw);
        return length && *length == Length ? std::optional{raw} : std::nullopt;
    }

    template <std::unsigned_integral T>
    constexpr std::optional<T> number(dhcp_option code) const noexcept {
        const auto raw = exactly<sizeof(T)>(code);
        return raw ? std::optional{load<T>(raw->data())} : std::nullopt;
    }

    constexpr std::optional<ipv4_address> address(dhcp_option code) const noexcept {
        const auto raw = number<std::uint32_t>(code);
        return raw ? std::optional{ipv4_address{*raw}} : std::nullopt;
    }

public:
    static constexpr std::size_t min_length = dhcp_at::options; ///< octets: the fixed part and the cookie
    static constexpr std::uint8_t boot_request = 1, boot_reply = 2;

    /// errc::truncated; errc::malformed (op, cookie, an option that runs out of its field, a senseless option
    /// 52); errc::unsupported (not Ethernet, or BOOTP: no message type).
    static constexpr result<dhcp_view> parse(octets message) noexcept {
        if (message.size() < min_length)
            return std::unexpected(errc::truncated);
        dhcp_view view{message};
        if ((view.op() != boot_request && view.op() != boot_reply)
            || view.get<dhcp_at::cookie>() != dhcp_at::magic_cookie)
            return std::unexpected(errc::malformed);
        if (view.get<dhcp_at::hardware_type>() != 1 || view.get<dhcp_at::hardware_length>() != 6)
            return std::unexpected(errc::unsupported);
        if (const auto overload = view.number<std::uint8_t>(dhcp_option::overload)) {
            if (*overload < 1 || *overload > 3)
                return std::unexpected(errc::malformed);
            view.overload_ = *overload;
        }
        for (const auto field : view.fields()) {
            dhcp_option_walk walk{field};
            while (walk.next()) {
            }
            if (walk.malformed())
                return std::unexpected(errc::malformed);
        }
        const auto type = view.number<std::uint8_t>(dhcp_option::message_type);
        if (!type || *type < 1 || *type > 8)
            return std::unexpected(errc::unsupported);
        return view;
    }

    constexpr std::uint8_t op() const noexcept { return get<dhcp_at::op>(); }
    constexpr std::uint32_t transaction() const noexcept { return get<dhcp_at::transaction>(); }
    constexpr std::uint16_t seconds() const noexcept { return get<dhcp_at::seconds>(); }
    /// Whether the client asks for replies by broadcast.
    constexpr bool broadcast() const noexcept {
        return (get<dhcp_at::flags>() & dhcp_at::broadcast_flag) != 0;
    }
    constexpr ipv4_address client_address() const noexcept {
        return get<dhcp_at::client_address>();
    }                                                                                             ///< ciaddr
    constexpr ipv4_address your_address() const noexcept { return get<dhcp_at::your_address>(); } ///< yiaddr
    constexpr ipv4_address server_address() const noexcept {
        return get<dhcp_at::server_address>();
    } ///< siaddr
    constexpr ipv4_address relay_address() const noexcept {
        return get<dhcp_at::relay_address>();
    } ///< giaddr
    constexpr mac_address client_hardware() const noexcept { return get<dhcp_at::client_hardware>(); }

    constexpr dhcp_type type() const noexcept {
        return dhcp_type{number<std::uint8_t>(dhcp_option::message_type).value_or(0)};
    }
    constexpr std::optional<ipv4_address> server_identifier() const noexcept {
        return address(dhcp_option::server_identifier);
    }
    constexpr std::optional<ipv4_address> requested_address() const noexcept {
        return address(dhcp_option::requested_address);
    }
    constexpr std::optional<ipv4_address> broadcast_address() const noexcept {
        return address(dhcp_option::broadcast_address);
    }
    /// Bits of the subnet mask, 0-32; nothing when its ones are not contiguous either.
    constexpr std::optional<std::uint8_t> prefix_length() const noexcept {
        const auto mask = number<std::uint32_t>(dhcp_option::subnet_mask);
        if (!mask)
            return std::nullopt;
        const int ones = std::countl_one(*mask);
        return ones == std::popcount(*mask) ? std::optional{static_cast<std::uint8_t>(ones)} : std::nullopt;
    }
    /// Seconds; 0xffffffff is for ever (RFC 2131 section 3.3).
    constexpr std::optional<std::uint32_t> lease_time() const noexcept {
        return number<std::uint32_t>(dhcp_option::lease_time);
    }
    /// T1, in seconds.
    constexpr std::optional<std::uint32_t> renewal_time() const noexcept {
        return number<std::uint32_t>(dhcp_option::renewal_time);
    }
    /// T2, in seconds.
    constexpr std::optional<std::uint32_t> rebinding_time() const noexcept {
        return number<std::uint32_t>(dhcp_option::rebinding_time);
    }
    /// Octets; at least 68, as RFC 2132 section 5.1 demands.
    constexpr std::optional<std::uint16_t> interface_mtu() const noexcept {
        const auto mtu = number<std::uint16_t>(dhcp_option::interface_mtu);
        return mtu && *mtu >= 68 ? mtu : std::nullopt;
    }
    /// Octets; at least 576, as RFC 2132 section 9.10 demands.
    constexpr std::optional<std::uint16_t> maximum_message_size() const noexcept {
        const auto size = number<std::uint16_t>(dhcp_option::maximum_message_size);
        return size && *size >= 576 ? size : std::nullopt;
    }

    /// Fills `to` with the addresses of an option that lists them, most preferred first, and returns how
    /// many.
    constexpr std::size_t addresses(dhcp_option code, std::span<ipv4_address> to) const noexcept {
        std::array<std::byte, 64> raw{};
        const auto room = std::min(raw.size(), 4 * to.size());
        const auto length = copy_option(code, mutable_octets{raw}.first(room));
        if (!length || *length % 4 != 0)
            return 0;
        const auto count = std::min(*length, room) / 4;
        for (std::size_t i = 0; i < count; ++i)
            to[i] = ipv4_address{load<std::uint32_t>(raw.data() + 4 * i)};
        return count;
    }
    constexpr std::size_t routers(std::span<ipv4_address> to) const noexcept {
        return addresses(dhcp_option::routers, to);
    }
    constexpr std::size_t dns_servers(std::span<ipv4_address> to) const noexcept {
        return addresses(dhcp_option::dns_servers, to);
    }

    /// Copies the text of an option (domain_name, host_name, message) to `room` and returns the part used.
    /// Cut where `room` ends or at the first NUL: RFC 2132 section 2 has receivers drop trailing ones. The
    /// text is as the server sent it: not to be trusted, nor printed unseen.
    constexpr octets text(dhcp_option code, mutable_octets room) const noexcept {
        const octets all = room.first(std::min(copy_option(code, room).value_or(0), room.size()));
        return all.first(static_cast<std::size_t>(std::ranges::find(all, std::byte{0}) - all.begin()));
    }

    /// Copies as much of the option as fits, its pieces joined (RFC 3396 section 7), and returns its whole
    /// length in octets; nothing when there is no such option.
    constexpr std::optional<std::size_t> copy_option(dhcp_option code, mutable_octets to) const noexcept {
        std::optional<std::size_t> length;
        for (const auto field : fields()) {
            dhcp_option_walk walk{field};
            while (const auto piece = walk.next()) {
                if (piece->kind != static_cast<std::uint8_t>(code))
                    continue;
                const auto at = length.value_or(0);
                for (std::size_t i = 0; i < piece->data.size() && at + i < to.size(); ++i)
                    to[at + i] = piece->data[i];
                length = at + piece->data.size();
            }
        }
        return length;
    }
};

} // namespace mirage::wire
