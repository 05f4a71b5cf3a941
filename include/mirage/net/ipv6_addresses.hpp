// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ipv6_address.hpp"
#include "mirage/core/time.hpp"
#include <algorithm>
#include <array>

namespace mirage::net {

/// An address of ours, and what is known of it. RFC 4862 section 5
struct own_address {
    ipv6_address address{};        ///< unspecified: the place is free
    std::uint8_t length = 64;      ///< bits of its prefix
    bool automatic = false;        ///< from a Router Advertisement
    bool tentative = true;         ///< nobody else is known not to have it yet: RFC 4862 section 5.4
    std::uint8_t probes = 0;       ///< solicitations sent for it
    std::uint8_t collisions = 0;   ///< addresses of its prefix that somebody else had: DAD_Counter of RFC 7217
    instant preferred_until = never, valid_until = never;
    instant next_probe = never;    ///< or the end of the last one's wait
    std::uint64_t nonce = 0;       ///< of the last one: RFC 7527

    constexpr bool used() const noexcept { return !address.is_unspecified(); }
    constexpr bool valid() const noexcept { return used() && !tentative; }
};

/// The addresses of an interface, and which of them speaks to whom. Bounded: a network that advertises more prefixes
/// than there is room for gets none for the last ones.
class ipv6_addresses {
    static constexpr std::size_t max = 8;
    std::array<own_address, max> all_{};

    /// The labels of RFC 6724 section 2.1.
    static constexpr unsigned label(const ipv6_address& a) noexcept {
        if (a.is_unique_local())
            return 13;
        if (a.high() >> 48 == 0x2002)
            return 2;
        return a.high() >> 32 == 0x2001'0000 ? 5 : 1;
    }

    /// Is `a` a better source than `b` for `to`? RFC 6724 section 5; one interface, no mobility.
    static constexpr bool better(const own_address& a, const own_address& b, const ipv6_address& to, instant now,
                                 auto is_temporary) noexcept {
        if ((a.address == to) != (b.address == to)) // rule 1
            return a.address == to;
        const unsigned sa = a.address.scope(), sb = b.address.scope(), sd = to.scope();
        if (sa != sb) // rule 2
            return sa < sb ? sa >= sd : sb < sd;
        if (const bool da = a.preferred_until <= now, db = b.preferred_until <= now; da != db) // rule 3
            return db;
        if (const bool la = label(a.address) == label(to), lb = label(b.address) == label(to); la != lb) // rule 6
            return la;
        if (const bool ta = is_temporary(a.address), tb = is_temporary(b.address); ta != tb) // rule 7
            return ta;
        const auto shared = [&](const own_address& o) { return std::min<unsigned>(common_prefix(o.address, to), o.length); };
        return shared(a) > shared(b); // rule 8
    }

public:
    constexpr auto begin() noexcept { return all_.begin(); }
    constexpr auto end() noexcept { return all_.end(); }
    constexpr auto begin() const noexcept { return all_.begin(); }
    constexpr auto end() const noexcept { return all_.end(); }

    /// A new, tentative address; nullptr: no room.
    constexpr own_address* add(const own_address& a) noexcept {
        for (own_address& place : all_)
            if (!place.used())
                return &(place = a);
        return nullptr;
    }

    /// Ours, tentative or not; nullptr: it is not.
    constexpr own_address* find(const ipv6_address& a) noexcept {
        for (own_address& o : all_)
            if (o.address == a && o.used())
                return &o;
        return nullptr;
    }
    constexpr bool is_valid(const ipv6_address& a) const noexcept {
        for (const own_address& o : all_)
            if (o.address == a && o.valid())
                return true;
        return false;
    }

    /// Are packets to this group for us? RFC 4291 section 2.8
    constexpr bool hears(const ipv6_address& group) const noexcept {
        if (group == ipv6_address::all_nodes() || group == ipv6_address{0xff01'0000'0000'0000u, 1})
            return true;
        return group.is_solicited_node() && std::ranges::any_of(all_, [&](const own_address& o) {
                   return o.used() && ipv6_address::solicited_node(o.address) == group;
               });
    }

    struct none_is_temporary {
        constexpr bool operator()(const ipv6_address&) const noexcept { return false; }
    };

    /// The address to speak to `to` from; unspecified: there is none. RFC 6724 section 5
    template <class Predicate = none_is_temporary>
    constexpr ipv6_address source_for(const ipv6_address& to, instant now, Predicate is_temporary = {}) const noexcept {
        const own_address* best = nullptr;
        for (const own_address& o : all_)
            // A link-local address is of no use beyond the link: RFC 4291 section 2.5.6
            if (o.valid() && (!o.address.is_link_local() || to.scope() <= 2)
                && (best == nullptr || better(o, *best, to, now, is_temporary)))
                best = &o;
        return best == nullptr ? ipv6_address{} : best->address;
    }

    /// The link-local one; unspecified while it is tentative.
    constexpr ipv6_address link_local() const noexcept {
        for (const own_address& o : all_)
            if (o.valid() && o.address.is_link_local())
                return o.address;
        return {};
    }
};

} // namespace mirage::net
