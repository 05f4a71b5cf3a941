// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/dhcp_lease.hpp"
#include "mirage/net/dns/options.hpp"
#include "mirage/wire/dhcp.hpp"
#include "mirage/wire/dns/name.hpp"
#include <array>
#include <span>

namespace mirage::net {

/// What DHCP says beside a lease of interest to a resolver and an SNTP client: the domains to look in (options 15 and
/// 119) and the time servers (option 42). The Extras of a net::dhcp.
class dhcp_names {
    static constexpr std::size_t max_time_servers = 3;

    std::array<wire::dns_name, dns_servers::max_search> search_{};
    std::array<ipv4_address, max_time_servers> time_{};
    std::size_t time_count_ = 0;

public:
    static constexpr std::array parameters{wire::dhcp_option::domain_name, wire::dhcp_option::domain_search,
                                           wire::dhcp_option::ntp_servers};

    void read(const wire::dhcp_view& message) noexcept {
        search_ = {};
        std::array<std::byte, 512> room;
        const auto length = message.copy_option(wire::dhcp_option::domain_search, room);
        // RFC 3397 section 2: names one behind the other, compressed with pointers into the option.
        const octets list = octets{room}.first(std::min(length.value_or(0), room.size()));
        std::size_t count = 0;
        for (std::size_t at = 0; at < list.size() && count < search_.size();) {
            const auto name = wire::dns_name::read(list, at);
            if (!name)
                break;
            if (!name->name.is_root())
                search_[count++] = name->name;
            at = name->end;
        }
        if (count == 0) // RFC 3397 section 4: the list is used in place of the name
            if (const auto name = wire::dns_name::parse(as_text(message.text(wire::dhcp_option::domain_name, room))))
                search_[0] = *name;
        time_count_ = message.addresses(wire::dhcp_option::ntp_servers, time_);
    }

    /// In order; the root is none.
    std::span<const wire::dns_name> search() const noexcept { return search_; }
    std::span<const ipv4_address> time_servers() const noexcept { return std::span{time_}.first(time_count_); }
};

/// Whom a resolver asks by what `client`, a net::dhcp, knows. Nobody without a lease.
template <class Dhcp>
dns_servers servers_of(const Dhcp& client) noexcept {
    dns_servers known;
    const dhcp_lease* const lease = client.lease();
    if (lease == nullptr)
        return known;
    for (const ipv4_address server : lease->dns_servers())
        if (is_host(server))
            known.add(server);
    if constexpr (requires { client.extras().search(); })
        std::ranges::copy(client.extras().search(), known.search.begin());
    return known;
}

} // namespace mirage::net
