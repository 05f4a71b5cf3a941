// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/dhcpv6.hpp"
#include "mirage/wire/dns/name.hpp"
#include <array>
#include <span>

namespace mirage::net {

/// What a DHCPv6 server says of names: whom to ask, and in which domains to look. RFC 3646. A value; more than fit are
/// left out.
class dhcpv6_names {
    std::array<ipv6_address, 3> servers_{};
    std::array<wire::dns_name, 4> domains_{};
    std::uint8_t server_count_ = 0, domain_count_ = 0;

public:
    std::span<const ipv6_address> servers() const noexcept { return std::span{servers_}.first(server_count_); }
    std::span<const wire::dns_name> domains() const noexcept { return std::span{domains_}.first(domain_count_); }

    /// Takes the place of what was known. RFC 3646 section 3: an option of whole addresses; section 4: of names as on the
    /// wire without compression (RFC 8415 section 10). What is wrong is passed over.
    void read(const wire::dhcpv6_options& options) noexcept {
        server_count_ = domain_count_ = 0;
        if (const auto text = options.find(wire::dhcpv6_option::dns_servers); text && text->size() % 16 == 0)
            for (octets rest = *text; !rest.empty() && server_count_ < servers_.size(); rest = rest.subspan(16)) {
                const auto address = wire::field<ipv6_address, 0>::load(rest.data());
                if (!address.is_unspecified() && !address.is_multicast() && !address.is_mapped())
                    servers_[server_count_++] = address;
            }
        if (const auto text = options.find(wire::dhcpv6_option::domain_list))
            for (std::size_t at = 0; at < text->size() && domain_count_ < domains_.size();) {
                const auto said = wire::dns_name::read(*text, at);
                if (!said || said->end != at + said->name.size())
                    return;
                at = said->end;
                if (!said->name.is_root())
                    domains_[domain_count_++] = said->name;
            }
    }
};

} // namespace mirage::net
