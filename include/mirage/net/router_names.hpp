// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/ipv6_routes.hpp"
#include "mirage/wire/dns/name.hpp"
#include "mirage/wire/ndp.hpp"
#include <algorithm>
#include <array>

namespace mirage::net {

/// The domains that routers say names are to be looked for in. RFC 8106 section 5.2; bounded as section 5.3.1 says: a new
/// one takes the place of that which would end first.
class router_search_list {
    struct domain {
        wire::dns_name name{}; ///< the root: the place is free
        instant until{};
    };
    std::array<domain, 4> domains_{};

public:
    /// Reads a DNS Search List option, type and length included: reserved, a lifetime, then names without compression
    /// and zeros up to a multiple of eight octets. Reading ends at what is none of these.
    void read(octets option, instant now) noexcept {
        constexpr std::size_t names = 8;
        if (option.size() < names)
            return;
        const auto lifetime = wire::load<std::uint32_t>(option.data() + 4);
        for (std::size_t at = names; at < option.size();) {
            const auto said = wire::dns_name::read(option, at);
            if (!said || said->name.is_root() || said->end != at + said->name.size()) // padding, or a pointer
                return;
            at = said->end;
            const auto place = std::ranges::find(domains_, said->name, &domain::name);
            if (place != domains_.end())
                *place = {said->name, end_of_lifetime(now, lifetime)};
            else if (lifetime != 0)
                *std::ranges::min_element(domains_, {}, &domain::until) = {said->name, end_of_lifetime(now, lifetime)};
        }
    }
    /// `visit(name)` for each that still holds.
    void each(instant now, auto&& visit) const noexcept {
        for (const domain& d : domains_)
            if (d.until > now)
                visit(d.name);
    }
};

/// A layer of a stack: what routers say of search domains is kept, for net::dns::use_routers(). Without it in the list,
/// such options are skipped, and only the name servers of routers are known.
struct router_names {
    template <class Stack>
    class state : public router_search_list {
    public:
        state(Stack&, const auto&) noexcept {}
    };
};

} // namespace mirage::net
