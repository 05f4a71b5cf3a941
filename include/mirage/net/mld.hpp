// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/net/listener_membership.hpp"
#include "mirage/wire/ethernet.hpp"

namespace mirage::net {

struct ipv6;

/// What has been seen of the applications' IPv6 groups since boot.
struct mld_statistics {
    std::uint64_t queries = 0, sent = 0;

    static constexpr auto table() noexcept {
        using s = mld_statistics;
        return statistics_table{
            "mld_",
            statistic{&s::queries, "queries", "Queries received."},
            statistic{&s::sent, "sent", "Reports sent."}};
    }
};

/// The layer that lets the applications of a stack listen to IPv6 groups: joins the pure listener_membership to IPv6. RFC
/// 3810. With it in the list, UDP sockets have join() and leave(), as with net::igmp for IPv4. Without it, the groups that
/// IPv6 itself needs are still heard and reported.
struct mld {
    template <class Stack>
    class state;
};

template <class Stack>
class mld::state {
    static_assert(Stack::template has<ipv6>, "stack: net::mld needs mirage::net::ipv6 in the list");

    Stack& stack_;
    listener_membership groups_{};
    mld_statistics statistics_{};

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

    /// RFC 3810 section 5: hop limit 1, router alert, from the link-local address; RFC 3590 section 4: from :: while there
    /// is none.
    void send(const listener_membership::message& m) noexcept {
        constexpr std::size_t headers = wire::ethernet_header::size + wire::ipv6_header::size + wire::mld::options;
        std::array<std::byte, headers + sizeof(m.text)> frame;
        const mac_address to{{0x33, 0x33, m.destination.octet(12), m.destination.octet(13), m.destination.octet(14),
                              m.destination.octet(15)}}; // RFC 2464 section 7
        wire::ethernet_header{to, stack_.device().mac(), wire::ethertype::ipv6}.emit(frame);
        const ipv6_address source = stack_.ip6().addresses().link_local();
        const auto body = wire::mld::emit_headers(mutable_octets{frame}.subspan(wire::ethernet_header::size), source,
                                                  m.destination, m.size);
        std::ranges::copy(m.view(), body.data());
        const auto pseudo = wire::pseudo_header_sum(source, m.destination, 58, static_cast<std::uint32_t>(m.size));
        wire::icmpv6_at::checksum::store(body.data(), wire::sum(body, pseudo).finish());
        ++statistics_.sent;
        (void)stack_.device().transmit({.headers = octets{frame}.first(headers + m.size)});
        stack_.device_touched();
    }

public:
    state(Stack& owner, const auto&) noexcept : stack_{owner} {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    const mld_statistics& statistics() const noexcept { return statistics_; }
    const listener_membership& groups() const noexcept { return groups_; }

    /// One more user of `group`: its packets are delivered until leave() was called as often. errc::invalid_argument:
    /// not a multicast group; errc::no_buffers: listener_membership::max_groups already.
    result<> join(const ipv6_address& group) noexcept {
        const auto joined = groups_.join(group, stack_.now());
        set_alarm();
        return joined;
    }
    void leave(const ipv6_address& group) noexcept {
        groups_.leave(group, stack_.now());
        set_alarm();
    }

    /// At another port of a switch, or with a link-local address at last: whoever snoops is told again.
    void reattached() noexcept {
        groups_.repeat(stack_.now());
        set_alarm();
    }

    /// A query that the IPv6 layer has found good.
    void queried(const wire::mld_query& query, const wire::icmpv6_view& message) noexcept {
        ++statistics_.queries;
        groups_.queried(query, wire::mld_querier::of(message), stack_.now(), stack_.random());
        set_alarm();
    }
};

} // namespace mirage::net
