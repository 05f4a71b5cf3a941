// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ipv6_address.hpp"
#include "mirage/net/neighbour_cache.hpp"
#include "mirage/wire/ndp.hpp"
#include <optional>

namespace mirage::net {

/// The neighbour cache of Neighbour Discovery, with Neighbour Unreachability Detection. RFC 4861 sections 5.1, 7.2, 7.3
///
/// `out.solicit(address, to)`       sends a Neighbour Solicitation for `address`; broadcast(): to its solicited-node group.
/// `out.resolved(pending, mac)`, `out.failed(pending, address)`: as for neighbours.
template <std::move_constructible Pending, std::size_t Entries = 64>
class ndp_cache : public neighbour_cache<ndp_cache<Pending, Entries>, ipv6_address, Pending, Entries> {
    using base = neighbour_cache<ndp_cache, ipv6_address, Pending, Entries>;
    using typename base::entry;
    friend base;

    duration reachable_ = std::chrono::seconds{30};

    duration reachable() const noexcept { return reachable_; }
    static constexpr std::uint32_t hash(const ipv6_address& a) noexcept {
        return static_cast<std::uint32_t>(a.low() ^ a.low() >> 32) ^ static_cast<std::uint32_t>(a.high());
    }
    void ask_for(auto& out, const ipv6_address& address, mac_address to) noexcept { out.solicit(address, to); }

    /// The entry has this address now; `confirmed`: by an answer to us.
    void learn(entry& e, mac_address mac, bool confirmed, instant now, auto& out) noexcept {
        this->merge(e, mac, now, out);
        if (!confirmed)
            make_stale(e, now);
    }
    static void make_stale(entry& e, instant now) noexcept {
        e.state = neighbour_state::stale;
        e.fresh_until = now;
    }

public:
    static constexpr std::string_view statistics_prefix = "ndp_neighbour_";
    // RFC 4861 section 10
    static constexpr duration request_interval = std::chrono::seconds{1}, delay_time = std::chrono::seconds{5};
    static constexpr duration forget_time = std::chrono::minutes{10}; ///< then a stale entry is unknown
    static constexpr unsigned max_requests = 3, max_polls = 3;

    /// ReachableTime from now on. RFC 4861 section 6.3.2
    void reachable_for(duration d) noexcept { reachable_ = d; }

    /// A message of `address` said what its link-layer address is: RFC 4861 sections 6.2.6, 6.3.4, 7.2.3, 8.3.
    /// `create`: also when nothing is known of it yet.
    void heard_of(const ipv6_address& address, mac_address mac, bool create, instant now, auto& out) noexcept {
        auto at = this->search(address);
        if (at == base::none) {
            if (!create || (at = this->make_room(false)) == base::none)
                return;
            this->insert(at, address, neighbour_state::stale, now);
            this->entries_[at].mac = mac;
            make_stale(this->entries_[at], now);
            return;
        }
        entry& e = this->entries_[at];
        if (e.state == neighbour_state::incomplete || e.mac != mac)
            learn(e, mac, false, now, out);
    }

    /// A Neighbour Advertisement. RFC 4861 section 7.2.5: an unsolicited one never makes an entry.
    void advertised(const wire::ndp_neighbour& a, std::optional<mac_address> mac, instant now, auto& out) noexcept {
        const auto at = this->search(a.target);
        if (at == base::none)
            return;
        entry& e = this->entries_[at];
        if (e.state == neighbour_state::incomplete) {
            if (mac)
                learn(e, *mac, a.solicited, now, out);
            return;
        }
        const bool other = mac && *mac != e.mac;
        if (other && !a.override_flag) {
            if (e.state == neighbour_state::reachable)
                make_stale(e, now);
            return;
        }
        if (a.solicited || other)
            learn(e, mac.value_or(e.mac), a.solicited, now, out);
    }

    /// May packets go to it now, or is it at least not known that they may not? RFC 4861 section 6.3.6
    bool is_usable(const ipv6_address& address, instant now) const noexcept {
        const auto s = this->state(address, now);
        return s != neighbour_state::unknown && s != neighbour_state::incomplete;
    }
};

} // namespace mirage::net
