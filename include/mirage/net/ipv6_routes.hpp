// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ipv6_address.hpp"
#include "mirage/core/time.hpp"
#include "mirage/wire/ipv6.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::net {

/// `seconds` of a lifetime on the wire after `now`; all ones: for ever.
constexpr instant end_of_lifetime(instant now, std::uint32_t seconds) noexcept {
    return seconds == 0xffff'ffffu ? never : now + std::chrono::seconds{seconds};
}

/// Where packets go first: the prefixes of the link, the default routers, and what is known of single destinations.
/// The conceptual data structures of RFC 4861 section 5.1. Every table is bounded: whoever fills one displaces what he
/// or others filled it with, and what displaced can be learnt again.
class ipv6_routes {
    struct link_prefix {
        ipv6_prefix prefix{};
        instant until{};
    };
    struct router {
        ipv6_address address{};
        instant until{};
    };
    struct destination {
        ipv6_address address{}, via{}; ///< via: unspecified when it is routed as others are
        std::uint16_t mtu = 0;         ///< 0: that of the link
        instant mtu_until{}, learnt{};
    };
    static constexpr std::size_t max_prefixes = 8, max_routers = 4, max_destinations = 32;

    std::array<link_prefix, max_prefixes> prefixes_{};
    std::array<router, max_routers> routers_{};
    std::array<destination, max_destinations> destinations_{};
    std::size_t destination_count_ = 0;

    /// The place of the first that `same` accepts, else a free one (`until` in the past), else the one to end first.
    template <class Table, class Same>
    static constexpr auto& place(Table& table, instant now, Same same) noexcept {
        if (const auto known = std::ranges::find_if(table, same); known != table.end())
            return *known;
        const auto free = std::ranges::find_if(table, [&](const auto& e) { return e.until <= now; });
        if (free != table.end())
            return *free;
        return *std::ranges::min_element(table, {}, [](const auto& e) { return e.until; });
    }

    constexpr destination* find(const ipv6_address& a) noexcept {
        for (std::size_t i = 0; i < destination_count_; ++i)
            if (destinations_[i].address == a)
                return &destinations_[i];
        return nullptr;
    }
    constexpr destination& find_or_add(const ipv6_address& a, instant now) noexcept {
        destination* d = find(a);
        if (d == nullptr) {
            d = destination_count_ < max_destinations ? &destinations_[destination_count_++]
                                                      : &*std::ranges::min_element(destinations_, {}, &destination::learnt);
            *d = {.address = a};
        }
        d->learnt = now;
        return *d;
    }

public:
    /// RFC 8201 section 4: so long a smaller MTU is believed.
    static constexpr duration mtu_lifetime = std::chrono::minutes{10};

    /// `prefix` is on the link until `until`. RFC 4861 section 6.3.4
    constexpr void add_prefix(const ipv6_prefix& prefix, instant until, instant now) noexcept {
        const auto same = [&](const link_prefix& p) {
            return p.prefix.length == prefix.length && prefix.contains(p.prefix.address) && p.until > now;
        };
        if (until <= now && std::ranges::none_of(prefixes_, same))
            return;
        place(prefixes_, now, same) = {prefix, until};
    }

    /// `address` routes until `until`: in the past when it does not any more. RFC 4861 section 6.3.4
    constexpr void add_router(const ipv6_address& address, instant until, instant now) noexcept {
        const auto same = [&](const router& r) { return r.address == address && r.until > now; };
        if (until > now || std::ranges::any_of(routers_, same))
            place(routers_, now, same) = {address, until};
        if (until <= now)
            forget_via(address);
    }
    /// RFC 4861 section 7.2.5: it says that it is no router any more.
    constexpr void forget_via(const ipv6_address& address) noexcept {
        for (std::size_t i = 0; i < destination_count_; ++i)
            if (destinations_[i].via == address)
                destinations_[i].via = {};
    }
    constexpr bool is_router(const ipv6_address& a, instant now) const noexcept {
        return std::ranges::any_of(routers_, [&](const router& r) { return r.address == a && r.until > now; });
    }

    constexpr bool is_on_link(const ipv6_address& a, instant now) const noexcept {
        return a.is_link_local() || std::ranges::any_of(prefixes_, [&](const link_prefix& p) {
                   return p.until > now && p.prefix.contains(a);
               });
    }

    /// Whom to hand packets for `to` to: itself, or a router, one of those for which `usable(address)` holds when there
    /// is one (RFC 4861 section 6.3.6). Nothing: there is no way; without a router nobody is assumed to be on the link.
    constexpr std::optional<ipv6_address> next_hop(const ipv6_address& to, instant now, auto&& usable) noexcept {
        if (to.is_multicast())
            return to;
        if (const destination* const d = find(to); d != nullptr && !d->via.is_unspecified())
            return d->via;
        if (is_on_link(to, now))
            return to;
        const router* best = nullptr;
        bool best_usable = false;
        for (const router& r : routers_)
            if (r.until > now) {
                const bool u = best_usable ? false : usable(r.address);
                if (best == nullptr || u) {
                    best = &r;
                    best_usable = u;
                }
            }
        return best == nullptr ? std::nullopt : std::optional{best->address};
    }

    /// A Redirect was accepted. RFC 4861 section 8.3
    constexpr void redirect(const ipv6_address& to, const ipv6_address& via, instant now) noexcept {
        find_or_add(to, now).via = via;
    }

    /// A Packet Too Big. True: packets to `to` must be smaller from now on. RFC 8201 section 4: never below 1280 octets.
    constexpr bool too_big(const ipv6_address& to, std::uint32_t mtu, std::size_t link, instant now) noexcept {
        const std::size_t told = std::max<std::size_t>(mtu, wire::ipv6_view::min_mtu);
        if (told >= this->mtu(to, link, now)) // so that the same message again changes nothing
            return false;
        destination& d = find_or_add(to, now);
        d.mtu = static_cast<std::uint16_t>(told);
        d.mtu_until = now + mtu_lifetime;
        return true;
    }
    /// How long a packet to `to` may be, given the MTU of the link, in octets.
    constexpr std::size_t mtu(const ipv6_address& to, std::size_t link, instant now) noexcept {
        if (destination_count_ != 0) [[unlikely]]
            if (const destination* const d = find(to); d != nullptr && d->mtu != 0 && d->mtu_until > now)
                return std::min<std::size_t>(d->mtu, link);
        return link;
    }
};

} // namespace mirage::net
