// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/net/group_membership.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/ipv4.hpp"

namespace mirage::net {

/// What the IGMP layer has seen since boot.
struct igmp_statistics {
    std::uint64_t received = 0, malformed = 0, queries = 0, sent = 0;

    static constexpr auto table() noexcept {
        using s = igmp_statistics;
        return statistics_table{
            "igmp_",
            statistic{&s::received, "received", "IGMP messages received."},
            statistic{&s::malformed, "malformed", "Messages dropped as wrong."},
            statistic{&s::queries, "queries", "Queries received."},
            statistic{&s::sent, "sent", "Reports and leaves sent."}};
    }
};

/// The layer that makes a stack a member of multicast groups: joins the pure group_membership to IPv4. RFC 3376, RFC
/// 1112
///
/// With it in the list, packets to groups that nobody has joined are dropped, and UDP sockets have join() and leave().
/// Without it, what the interface lets through is delivered.
struct igmp {
    static constexpr std::uint8_t protocol = 2;
    static constexpr bool ipv4_only = true;

    template <class Stack>
    class state;
};

template <class Stack>
class igmp::state {
    static constexpr std::size_t ip_header = 24; // with the router alert option

    Stack& stack_;
    group_membership groups_{};
    igmp_statistics statistics_{};

    struct alarm_timer : timer {
        state& self;
        explicit alarm_timer(state& s) noexcept
            : timer{[](timer& t) noexcept { static_cast<alarm_timer&>(t).self.on_time(); }}, self{s} {}
    } alarm_{*this};

    void set_alarm() noexcept {
        if (groups_.next_deadline() == never)
            alarm_.disarm();
        else
            stack_.loop().arm(alarm_, groups_.next_deadline());
    }
    void on_time() noexcept {
        while (groups_.next_deadline() <= stack_.now())
            if (const auto message = groups_.on_time(stack_.now(), stack_.random()))
                send(*message);
        set_alarm();
    }

    /// RFC 3376 section 4: TTL 1, precedence "internetwork control", router alert (RFC 2113). From {0, 0} before there
    /// is an address (section 4.2.13).
    void send(const group_membership::message& m) noexcept {
        std::array<std::byte, 14 + ip_header + sizeof(m.text)> frame;
        const mutable_octets all{frame};
        wire::ethernet_header{multicast_mac(m.destination), stack_.device().mac(), wire::ethertype::ipv4}.emit(all);
        auto* const p = all.data() + 14;
        wire::store<std::uint32_t>(p, 0x46c00000u | static_cast<std::uint32_t>(ip_header + m.size));
        wire::store<std::uint32_t>(p + 4, 0x00004000u); // atomic: RFC 6864 section 4.1
        wire::store<std::uint32_t>(p + 8, 0x01020000u);
        wire::ipv4_at::source::store(p, stack_.ip().address());
        wire::ipv4_at::destination::store(p, m.destination);
        wire::store<std::uint32_t>(p + 20, 0x94040000u);
        wire::ipv4_at::checksum::store(p, wire::sum(octets{p, ip_header}).finish());
        std::ranges::copy(m.view(), p + ip_header);
        ++statistics_.sent;
        (void)stack_.device().transmit({.headers = octets{frame}.first(14 + ip_header + m.size)});
        stack_.device_touched();
    }

    /// Whether the interface is told which groups matter; not where IPv6 has groups of its own, which this layer does not
    /// know.
    static constexpr bool filters = group_filtering<typename Stack::device_type> && !Stack::has_ipv6;

public:
    state(Stack& owner, const auto&) noexcept : stack_{owner} {
        if constexpr (filters)
            stack_.device().hear(multicast_mac(all_hosts_group));
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    const igmp_statistics& statistics() const noexcept { return statistics_; }
    const group_membership& groups() const noexcept { return groups_; }

    /// One more user of `group`: its packets are delivered until leave() was called as often. errc::invalid_argument:
    /// not a multicast group; errc::no_buffers: group_membership::max_groups already.
    result<> join(ipv4_address group) noexcept {
        [[maybe_unused]] const bool was = filters && groups_.is_member(group);
        const auto joined = groups_.join(group, stack_.now());
        if constexpr (filters)
            if (joined && !was)
                stack_.device().hear(multicast_mac(group));
        set_alarm();
        return joined;
    }
    void leave(ipv4_address group) noexcept {
        [[maybe_unused]] const bool was = filters && groups_.is_member(group);
        groups_.leave(group, stack_.now());
        if constexpr (filters)
            if (was && !groups_.is_member(group))
                stack_.device().ignore(multicast_mac(group));
        set_alarm();
    }

    void input(typename Stack::received_packet& packet) noexcept {
        ++statistics_.received;
        const auto view = wire::igmp_view::parse(packet.data.view());
        if (!view || packet.ttl != 1 || packet.unicast) { // RFC 3376 section 9: not from beyond a router
            ++statistics_.malformed;
            return;
        }
        statistics_.queries += view->type() == wire::igmp_type::query ? 1 : 0;
        groups_.receive(*view, to_ipv4(packet.destination), stack_.now(), stack_.random());
        set_alarm();
    }
};

} // namespace mirage::net
