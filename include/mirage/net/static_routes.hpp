// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/routing.hpp"
#include <array>
#include <span>

namespace mirage::net {

/// Where packets to a part of the Internet go first.
struct ipv4_route {
    ipv4_prefix to{};   ///< bits behind the length are of no account
    ipv4_address via{}; ///< a router of the link; unspecified: `to` is on the link itself
};

/// Routes by longest prefix. RFC 1122 section 3.3.1.2, RFC 1812 section 5.2.4.3
template <std::size_t Routes = 16>
class route_table {
    std::array<ipv4_route, Routes> routes_{};
    std::size_t count_ = 0;

    static constexpr bool same(const ipv4_prefix& a, const ipv4_prefix& b) noexcept {
        return a.length == b.length && a.contains(b.address);
    }

public:
    /// A route for a prefix that has one takes its place. errc::invalid_argument: no such prefix length, or the router is
    /// not an address that a host can have; errc::no_buffers: the table is full.
    constexpr result<> add(const ipv4_route& route) noexcept {
        if (route.to.length > 32 || (!route.via.is_unspecified() && !is_host(route.via)))
            return std::unexpected(errc::invalid_argument);
        for (ipv4_route& r : std::span{routes_}.first(count_))
            if (same(r.to, route.to)) {
                r = route;
                return {};
            }
        if (count_ == Routes)
            return std::unexpected(errc::no_buffers);
        routes_[count_++] = route;
        return {};
    }
    /// False: there was none.
    constexpr bool remove(const ipv4_prefix& to) noexcept {
        for (ipv4_route& r : std::span{routes_}.first(count_))
            if (same(r.to, to)) {
                r = routes_[--count_];
                return true;
            }
        return false;
    }
    /// The route with the longest prefix that contains `destination`; nullptr: none does.
    constexpr const ipv4_route* find(ipv4_address destination) const noexcept {
        const ipv4_route* best = nullptr;
        for (const ipv4_route& r : std::span{routes_}.first(count_))
            if (r.to.contains(destination) && (best == nullptr || r.to.length > best->to.length))
                best = &r;
        return best;
    }
    constexpr std::size_t size() const noexcept { return count_; }
};

/// A layer of a stack: routes beside the subnet and the default router of net::ipv4, given by the application. Without
/// it in the list, everything off the subnet goes to the default router. ICMP redirects change nothing: see net::icmp.
struct static_routes {
    template <class Stack>
    class state : public route_table<> {
    public:
        state(Stack&, const auto&) noexcept {}
    };
};

} // namespace mirage::net
