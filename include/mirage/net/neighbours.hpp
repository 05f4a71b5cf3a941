// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/neighbour_cache.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/wire/arp.hpp"
#include <concepts>
#include <utility>

namespace mirage::net {

/// What `neighbours` calls to act. Each may call back into the cache.
///
/// `out.transmit(packet, to)`       puts an ARP packet into a frame to `to`.
/// `out.resolved(pending, mac)`     a packet that waited can go to `mac`.
/// `out.failed(pending, address)`   a packet that waited cannot be sent: nobody answers for `address`.
template <class Out, class Pending>
concept neighbours_output = requires(Out& out, const wire::arp_packet& packet, mac_address mac,
                                     Pending pending, ipv4_address address) {
    out.transmit(packet, mac);
    out.resolved(std::move(pending), mac);
    out.failed(std::move(pending), address);
};

/// The ARP cache and resolver of one interface: RFC 826 with the host rules of RFC 1122 section 2.3.2.
template <std::move_constructible Pending, std::size_t Entries = 64>
class neighbours : public neighbour_cache<neighbours<Pending, Entries>, ipv4_address, Pending, Entries> {
    using base = neighbour_cache<neighbours, ipv4_address, Pending, Entries>;
    friend base;

public:
    static constexpr std::string_view statistics_prefix = "arp_";
    // RFC 1122 section 2.3.2.1
    static constexpr duration reachable_time = std::chrono::minutes{1};
    static constexpr duration request_interval = std::chrono::seconds{1}; ///< per address
    static constexpr duration forget_time = std::chrono::minutes{10};     ///< then a stale entry is unknown
    static constexpr duration delay_time{};                               ///< between use of a stale entry and its poll
    static constexpr unsigned max_requests = 3;                           ///< broadcasts before packets fail
    static constexpr unsigned max_polls = 2; ///< unicast polls before a stale entry goes

    explicit neighbours(mac_address own) noexcept : own_mac_{own} {}

    /// Sets the address that requests are answered for; forgets everybody, and drops what waits.
    void configure(ipv4_address own) noexcept {
        this->forget_all();
        own_ = own;
    }

    /// RFC 826 "Packet Reception". A packet whose sender claims our own address is a conflict and changes
    /// nothing here: see address_conflict. An unsolicited reply never makes an entry, which RFC 826 would let
    /// it: that is only of use to those who poison caches. `other`, when it is given, is another address of the
    /// interface, and answered for in the place of the first.
    template <neighbours_output<Pending> Out, std::same_as<ipv4_address>... Other>
        requires(sizeof...(Other) <= 1)
    void receive(wire::arp_view packet, instant now, Out& out, Other... other) noexcept {
        const auto asked = [&] {
            if constexpr (sizeof...(Other) == 0)
                return own_;
            else
                return (other, ...);
        };
        const mac_address sender = packet.sender_hardware();
        const ipv4_address address = packet.sender_protocol();
        if (sender.is_group() || sender == mac_address{} || sender == own_mac_ || own_.is_unspecified())
            return;
        const bool for_us = packet.target_protocol() == asked();
        const bool request = packet.operation() == wire::arp_operation::request;
        if (is_host(address) && address != own_) {
            auto at = this->search(address);
            if (at == base::none && for_us && request) {
                at = this->make_room(false);
                if (at != base::none)
                    this->insert(at, address, neighbour_state::reachable, now);
            }
            if (at != base::none)
                this->merge(this->entries_[at], sender, now, out);
        } else if (!address
                        .is_unspecified()) { // unspecified: a probe, to be answered (RFC 5227 section 2.1.1)
            return;
        }
        if (for_us && request) {
            ++this->counters_.replies;
            out.transmit(wire::arp_packet::reply(own_mac_, asked(), packet), sender);
        }
    }

private:
    mac_address own_mac_{};
    ipv4_address own_{};

    static constexpr duration reachable() noexcept { return reachable_time; }
    static constexpr std::uint32_t hash(ipv4_address a) noexcept { return a.value(); }
    void ask_for(auto& out, ipv4_address address, mac_address to) noexcept {
        out.transmit(wire::arp_packet::request(own_mac_, own_, address), to);
    }
};

} // namespace mirage::net
