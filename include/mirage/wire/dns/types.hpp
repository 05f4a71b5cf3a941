// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include <cstdint>

namespace mirage::wire {

/// What a record holds or a question asks for. Other values are legal. RFC 1035 section 3.2.2
enum class dns_type : std::uint16_t {
    a = 1,     ///< an IPv4 address
    ns = 2,    ///< a server with authority
    cname = 5, ///< the name is an alias, for this one
    soa = 6,   ///< start of a zone
    ptr = 12,  ///< a name, for an address or a service
    mx = 15,   ///< where mail goes
    txt = 16,
    aaaa = 28, ///< an IPv6 address, RFC 3596 section 2.1
    srv = 33,  ///< where a service is, RFC 2782
    opt = 41,  ///< not a record, but more header: RFC 6891 section 6.1
    any = 255,
};

/// RFC 1035 section 3.2.4; the Internet is the only one that is left.
enum class dns_class : std::uint16_t { internet = 1, any = 255 };

/// How a query went. Twelve bits, of which the upper eight are in the OPT record: RFC 1035 section 4.1.1, RFC 6891
/// section 6.1.3.
enum class dns_rcode : std::uint16_t {
    no_error = 0,
    format_error = 1,
    server_failure = 2,
    name_error = 3, ///< NXDOMAIN: there is no such name
    not_implemented = 4,
    refused = 5,
    bad_version = 16, ///< of EDNS
};

/// What a message is about. RFC 1035 section 4.1.1
enum class dns_opcode : std::uint8_t { query = 0, notify = 4, update = 5 };

inline constexpr std::uint16_t dns_port = 53;   ///< RFC 1035 section 4.2
inline constexpr std::uint16_t mdns_port = 5353; ///< RFC 6762 section 3

/// The type's mnemonic; "TYPE65" for one without (RFC 3597 section 5).
constexpr line_builder& operator<<(line_builder& l, dns_type type) noexcept {
    switch (type) {
    case dns_type::a: return l.put("A");
    case dns_type::ns: return l.put("NS");
    case dns_type::cname: return l.put("CNAME");
    case dns_type::soa: return l.put("SOA");
    case dns_type::ptr: return l.put("PTR");
    case dns_type::mx: return l.put("MX");
    case dns_type::txt: return l.put("TXT");
    case dns_type::aaaa: return l.put("AAAA");
    case dns_type::srv: return l.put("SRV");
    case dns_type::opt: return l.put("OPT");
    case dns_type::any: return l.put("ANY");
    }
    return l.put("TYPE").digits(static_cast<std::uint16_t>(type));
}

} // namespace mirage::wire
