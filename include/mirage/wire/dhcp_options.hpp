// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/options.hpp"

namespace mirage::wire {

/// DHCP message types, option 53. RFC 2132 section 9.6
enum class dhcp_type : std::uint8_t {
    discover = 1,
    offer = 2,
    request = 3,
    decline = 4,
    ack = 5,
    nak = 6,
    release = 7,
    inform = 8,
};

/// Option codes of RFC 2132, as far as a client has use for them. Other values are legal.
enum class dhcp_option : std::uint8_t {
    pad = 0,
    subnet_mask = 1,
    routers = 3,
    dns_servers = 6,
    host_name = 12,
    domain_name = 15,
    interface_mtu = 26,
    broadcast_address = 28,
    ntp_servers = 42,
    requested_address = 50,
    lease_time = 51,
    overload = 52,
    message_type = 53,
    server_identifier = 54,
    parameter_request_list = 55,
    message = 56,
    maximum_message_size = 57,
    renewal_time = 58,
    rebinding_time = 59,
    client_identifier = 61,
    domain_search = 119, // RFC 3397
    end = 255,
};

/// Walks one field that holds DHCP options: code, length of the data, data; 0 pads and 255 ends (RFC 2132
/// section 2). Never reads outside, always ends.
class dhcp_option_walk {
    octets rest_;
    bool malformed_ = false;

public:
    explicit constexpr dhcp_option_walk(octets field) noexcept : rest_{field} {}

    /// The next option, or nothing at the end.
    constexpr std::optional<header_option> next() noexcept {
        while (!rest_.empty() && rest_[0] == std::byte{0})
            rest_ = rest_.subspan(1);
        if (rest_.empty() || rest_[0] == std::byte{255})
            return std::nullopt; // a field full to its last octet may do without the end option
        if (rest_.size() < 2 || rest_.size() - 2 < std::to_integer<std::size_t>(rest_[1])) {
            malformed_ = true;
            rest_ = {};
            return std::nullopt;
        }
        const auto length = std::to_integer<std::size_t>(rest_[1]);
        const header_option found{std::to_integer<std::uint8_t>(rest_[0]), rest_.subspan(2, length)};
        rest_ = rest_.subspan(2 + length);
        return found;
    }

    /// Whether the walk ended at an option that does not fit. Meaningful once next() has given nothing.
    constexpr bool malformed() const noexcept { return malformed_; }
};

} // namespace mirage::wire
