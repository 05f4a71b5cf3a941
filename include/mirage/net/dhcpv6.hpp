// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/dhcpv6_client.hpp"
#include "mirage/net/ipv6.hpp"
#include "mirage/net/udp.hpp"

namespace mirage::net {

/// What a DHCPv6 client has sent, heard and got since boot.
struct dhcpv6_statistics {
    std::uint64_t sent = 0, received = 0, malformed = 0;
    std::uint64_t bound = 0, renewed = 0, lost = 0; ///< leases
    std::uint64_t informed = 0;

    /// One more step of the client.
    constexpr void count(const dhcpv6_step& step) noexcept {
        sent += step.send ? 1 : 0;
        bound += step.event == dhcpv6_event::bound ? 1 : 0;
        renewed += step.event == dhcpv6_event::renewed ? 1 : 0;
        lost += step.event == dhcpv6_event::lost ? 1 : 0;
        informed += step.event == dhcpv6_event::informed ? 1 : 0;
    }

    static constexpr auto table() noexcept {
        using s = dhcpv6_statistics;
        return statistics_table{"dhcpv6_",
                                statistic{&s::sent, "sent", "Messages sent."},
                                statistic{&s::received, "received", "Messages received."},
                                statistic{&s::malformed, "malformed", "Messages dropped as wrong."},
                                statistic{&s::bound, "leases_bound", "Leases got."},
                                statistic{&s::renewed, "leases_renewed", "Leases that were extended."},
                                statistic{&s::lost, "leases_lost", "Leases that ended."},
                                statistic{&s::informed, "informed", "Times names came without a lease."}};
    }
};

/// The layer that configures a stack by DHCPv6 where its routers say so (RFC 8415, RFC 4861 section 4.2): an address when
/// they set the M flag, name servers and search domains when they set M or O. Joins the pure dhcpv6_client to UDP and
/// IPv6; run() has to be spawned. A stack that was given its address asks for names alone.
struct dhcpv6 {
    template <class Stack>
    class state;
};

template <class Stack>
class dhcpv6::state {
    static_assert(Stack::template has<ipv6>, "stack: net::dhcpv6 needs mirage::net::ipv6 in the list");
    static_assert(Stack::template has<udp>, "stack: net::dhcpv6 needs mirage::net::udp in the list");

    Stack& stack_;
    dhcpv6_client client_;
    bool fixed_;
    event woken_, changed_;
    dhcpv6_statistics statistics_{};
    ipv6_address used_{}; ///< what the IPv6 layer was given
    bool conflict_ = false, released_ = false; ///< still to be acted upon

    static dhcpv6_client client_of(mac_address own) noexcept {
        return {own, wire::load<std::uint32_t>(std::as_bytes(std::span{own.octet}).data() + 2)};
    }
    using socket_type = typename udp::template state<Stack>::socket;
    using datagram_type = basic_datagram<typename Stack::endpoint_type>;

    static task<result<datagram_type>> next(socket_type& from) noexcept { co_return co_await from.receive(); }
    static task<> next(event& of) noexcept { co_await of.wait(); }
    /// The next message, unless there is something else to do first.
    task<result<datagram_type>> hear(socket_type& from, duration limit) noexcept {
        auto either = co_await with_timeout(stack_.loop(), when_any(next(from), next(woken_)), limit);
        if (!either || either->index() != 0)
            co_return std::unexpected(errc::timed_out);
        co_return std::move(std::get<0>(*either));
    }

    void act(socket_type& by, const dhcpv6_step& step) noexcept {
        statistics_.count(step);
        if (step.send) // what is lost, or has no source address yet, is repeated in time
            (void)by.send_to({wire::dhcpv6_servers_group, wire::dhcpv6_server_port}, step.send->view());
        if (step.event == dhcpv6_event::none)
            return;
        const dhcpv6_lease* const lease = client_.lease();
        if (const auto was = std::exchange(used_, lease != nullptr ? lease->address : ipv6_address{});
            was != used_ && !was.is_unspecified())
            stack_.ip6().withdraw(was);
        if (lease != nullptr)
            stack_.ip6().assign(lease->address, lease->preferred_until, lease->valid_until);
        changed_.set();
    }

public:
    state(Stack& owner, const auto& settings) noexcept
        : stack_{owner}, client_{client_of(owner.device().mac())},
          fixed_{!settings.ipv6.ipv6.address.is_unspecified()}, woken_{owner.loop()}, changed_{owner.loop()} {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// Waits for what routers say, then asks, configures the stack and keeps the lease: for ever. Spawn it once. Ends
    /// only when port 546 is taken.
    task<> run() noexcept {
        auto port = stack_.udp().bind(wire::dhcpv6_client_port, 8);
        if (!port.status())
            co_return;
        for (;;) {
            if (std::exchange(conflict_, false))
                act(port, client_.conflict(stack_.now(), stack_.random()));
            if (std::exchange(released_, false))
                act(port, client_.release(stack_.now(), stack_.random()));
            while (client_.next_deadline() <= stack_.now())
                act(port, client_.on_time(stack_.now(), stack_.random()));
            const auto heard = co_await hear(port, client_.next_deadline() - stack_.now());
            if (!heard || heard->from.port != wire::dhcpv6_server_port || is_ipv4(heard->from.address))
                continue;
            const auto message = wire::dhcpv6_view::parse(heard->data.view());
            ++(message ? statistics_.received : statistics_.malformed);
            if (message)
                act(port, client_.on_message(*message, stack_.now(), stack_.random()));
        }
    }

    /// Set when an address was got, renewed or lost, or names have come.
    event& changed() noexcept { return changed_; }
    /// The lease in force, or nullptr. Its address may still be looked for on the link: RFC 4862 section 5.4.
    const dhcpv6_lease* lease() const noexcept { return client_.lease(); }
    /// What servers have said of names. The IPv6 layer's host() names them beside those of routers.
    const dhcpv6_names& names() const noexcept { return client_.names(); }
    const dhcpv6_statistics& statistics() const noexcept { return statistics_; }
    const dhcpv6_client& client() const noexcept { return client_; }

    /// Gives the address back, and asks no more until a router says so. RFC 8415 section 18.2.7
    void release() noexcept {
        released_ = true;
        woken_.set();
    }

    // What the stack and its IPv6 layer tell.

    /// The interface is at another port of a switch, perhaps of another network. RFC 8415 section 18.2.3
    void reattached() noexcept {
        client_.moved(stack_.now(), stack_.random());
        woken_.set();
    }

    void advertised(bool managed, bool other) noexcept {
        client_.advertised(managed && !fixed_, managed || other, stack_.now(), stack_.random());
        woken_.set();
    }
    /// Somebody else has `address`. RFC 8415 section 18.2.10.1
    void duplicate(const ipv6_address& address) noexcept {
        if (address != used_)
            return;
        conflict_ = true;
        woken_.set();
    }
};

} // namespace mirage::net
