// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/routing.hpp"
#include "mirage/wire/icmpv4.hpp"
#include "mirage/wire/ipv4.hpp"

namespace mirage::net {

/// May an ICMP error be sent about `packet`, which came in as `how`? RFC 1122 section 3.2.2 forbids errors
/// about ICMP errors, about what was not sent to us alone, about fragments other than the first, and to a
/// source that is not one host. Takes packets quoted in part, too. The rate limit is another matter.
constexpr bool may_send_error(const wire::ipv4_view& packet, reception how) noexcept {
    if (how != reception::unicast || packet.fragment_offset() != 0 || !is_host(packet.source()))
        return false;
    if (packet.protocol() != wire::ip_protocol::icmp)
        return true;
    if (packet.payload().empty())
        return false;
    // Only about queries that we know to be such: a type of tomorrow may be an error.
    switch (wire::load<std::uint8_t>(packet.payload().data())) {
    case 0:  // echo reply
    case 8:  // echo request
    case 9:  // router advertisement
    case 10: // router solicitation
    case 13: // timestamp request
    case 14: // timestamp reply
        return true;
    default: return false;
    }
}

/// What an ICMP error says of the packet that it quotes. RFC 1122 section 4.2.3.9, RFC 9293 section 3.9.2.2
/// errc::refused: nobody at the destination takes it (a hard error). errc::unreachable: it did not arrive, and the
/// next one may (a soft error). errc::too_large: it did not fit (RFC 1191 section 4). errc{}: something else.
constexpr errc meaning(const wire::icmpv4_view& error) noexcept {
    switch (error.type()) {
    case wire::icmpv4_type::destination_unreachable: break;
    case wire::icmpv4_type::time_exceeded:
    case wire::icmpv4_type::parameter_problem: return errc::unreachable;
    default: return errc{};
    }
    switch (static_cast<wire::unreachable_code>(error.code())) {
    case wire::unreachable_code::protocol:
    case wire::unreachable_code::port: return errc::refused;
    case wire::unreachable_code::fragmentation_needed: return errc::too_large;
    default: return errc::unreachable; // RFC 1122 section 3.2.2.1: also codes of tomorrow
    }
}

} // namespace mirage::net
