// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/dhcp.hpp"
#include <string_view>

namespace mirage::wire {

/// The fixed part of a DHCP message. RFC 2131 section 2
struct dhcp_fixed {
    std::uint8_t op = dhcp_view::boot_request;
    std::uint32_t transaction = 0;
    std::uint16_t seconds = 0; ///< since the client began to ask
    bool broadcast = false;    ///< the client cannot take unicast before it has an address
    ipv4_address client_address{};
    ipv4_address your_address{};
    ipv4_address server_address{};
    ipv4_address relay_address{};
    mac_address client_hardware{};
};

/// Writes a DHCP message, option by option, of a client or of a server. Remembers when something did not fit;
/// finish() says so.
class dhcp_writer {
    mutable_octets room_;
    std::size_t at_ = dhcp_view::min_length;
    bool fits_;

    constexpr void put(octets data) noexcept {
        fits_ = fits_ && data.size() <= room_.size() - at_;
        if (!fits_)
            return;
        std::ranges::copy(data, room_.subspan(at_).begin());
        at_ += data.size();
    }

public:
    /// BOOTP relays and servers may drop messages shorter than this, in octets (RFC 1542 section 2.1).
    static constexpr std::size_t min_message = 300;

    constexpr dhcp_writer(mutable_octets room, const dhcp_fixed& fixed) noexcept
        : room_{room}, fits_{room.size() >= min_message} {
        if (!fits_)
            return;
        std::ranges::fill(room_.first(dhcp_view::min_length), std::byte{0});
        auto* const p = room_.data();
        dhcp_at::op::store(p, fixed.op);
        dhcp_at::hardware_type::store(p, 1);
        dhcp_at::hardware_length::store(p, 6);
        dhcp_at::transaction::store(p, fixed.transaction);
        dhcp_at::seconds::store(p, fixed.seconds);
        dhcp_at::flags::store(p, fixed.broadcast ? dhcp_at::broadcast_flag : std::uint16_t{0});
        dhcp_at::client_address::store(p, fixed.client_address);
        dhcp_at::your_address::store(p, fixed.your_address);
        dhcp_at::server_address::store(p, fixed.server_address);
        dhcp_at::relay_address::store(p, fixed.relay_address);
        dhcp_at::client_hardware::store(p, fixed.client_hardware);
        dhcp_at::cookie::store(p, dhcp_at::magic_cookie);
    }

    /// Adds an option; one longer than 255 octets in pieces (RFC 3396 section 6).
    constexpr dhcp_writer& add(dhcp_option code, octets data) noexcept {
        do {
            const auto piece = data.first(std::min<std::size_t>(data.size(), 255));
            const std::array head{static_cast<std::byte>(code), static_cast<std::byte>(piece.size())};
            put(head);
            put(piece);
            data = data.subspan(piece.size());
        } while (!data.empty());
        return *this;
    }

    template <std::unsigned_integral T>
    constexpr dhcp_writer& add(dhcp_option code, T value) noexcept {
        std::array<std::byte, sizeof(T)> raw{};
        store<T>(raw.data(), value);
        return add(code, octets{raw});
    }
    constexpr dhcp_writer& add(dhcp_option code, ipv4_address value) noexcept {
        return add(code, value.value());
    }
    constexpr dhcp_writer& add(dhcp_type type) noexcept {
        return add(dhcp_option::message_type, static_cast<std::uint8_t>(type));
    }

    /// Adds a text or a list of one-octet values, of which 255 at most; nothing when it is empty. Item by
    /// item, since neither may be seen as octets in a constant expression.
    template <class List>
    constexpr dhcp_writer& add_list(dhcp_option code, const List& list) noexcept {
        std::array<std::byte, 255> raw{};
        const std::size_t count = std::min(list.size(), raw.size());
        for (std::size_t i = 0; i < count; ++i)
            raw[i] = static_cast<std::byte>(list[i]);
        return count == 0 ? *this : add(code, octets{raw}.first(count));
    }

    /// Ends the message, pads it to min_message and returns its length in octets. errc::too_large.
    constexpr result<std::size_t> finish() noexcept {
        constexpr std::array end{static_cast<std::byte>(dhcp_option::end)};
        put(end);
        if (!fits_)
            return std::unexpected(errc::too_large);
        if (at_ < min_message) {
            std::ranges::fill(room_.subspan(at_, min_message - at_), std::byte{0});
            at_ = min_message;
        }
        return at_;
    }
};

/// A message from a client, as a value. emit() leaves out what RFC 2131 section 4.4.1, table 5, forbids in a
/// message of this type.
struct dhcp_client_message {
    dhcp_type type = dhcp_type::discover; ///< discover, request, decline, release or inform
    std::uint32_t transaction = 0;
    std::uint16_t seconds = 0; ///< since the client began to ask
    bool broadcast = false;    ///< the client cannot take unicast before it has an address
    mac_address hardware{};
    std::uint32_t iaid = 0; ///< tells the interfaces of this client apart; keep it (RFC 4361 section 6.1)
    ipv4_address client_address{}; ///< ciaddr: only when bound, renewing, rebinding, releasing or informing
    std::optional<ipv4_address> requested_address{};
    std::optional<ipv4_address> server_identifier{};
    std::uint16_t maximum_message_size = 576;  ///< octets of the largest reply wanted, IP header included
    std::string_view host_name{};              ///< may be empty; borrowed
    std::span<const dhcp_option> parameters{}; ///< what the client would like to learn; borrowed

    /// The client identifier of RFC 4361 section 6.1: type 255, IAID, DUID-LL (RFC 8415 section 11.4).
    constexpr std::array<std::byte, 15> client_identifier() const noexcept {
        std::array<std::byte, 15> id{std::byte{255}};
        store<std::uint32_t>(id.data() + 1, iaid);
        store<std::uint16_t>(id.data() + 5, 3); // DUID-LL
        store<std::uint16_t>(id.data() + 7, 1); // Ethernet
        store_native(id.data() + 9, hardware);
        return id;
    }

    /// Writes the message and returns its length in octets: at least 300. errc::too_large.
    constexpr result<std::size_t> emit(mutable_octets room) const noexcept {
        const bool gives_up = type == dhcp_type::decline || type == dhcp_type::release;
        dhcp_writer out{room,
                        {.transaction = transaction,
                         .seconds = gives_up ? std::uint16_t{0} : seconds,
                         .broadcast = broadcast && !gives_up,
                         .client_address = type == dhcp_type::discover || type == dhcp_type::decline
                                               ? ipv4_address::any()
                                               : client_address,
                         .client_hardware = hardware}};
        out.add(type).add(dhcp_option::client_identifier, octets{client_identifier()});
        if (requested_address && type != dhcp_type::release && type != dhcp_type::inform)
            out.add(dhcp_option::requested_address, *requested_address);
        if (server_identifier && type != dhcp_type::discover && type != dhcp_type::inform)
            out.add(dhcp_option::server_identifier, *server_identifier);
        if (!gives_up) {
            out.add(dhcp_option::maximum_message_size, maximum_message_size);
            out.add_list(dhcp_option::parameter_request_list, parameters);
            out.add_list(dhcp_option::host_name, host_name);
        }
        return out.finish();
    }
};

} // namespace mirage::wire
