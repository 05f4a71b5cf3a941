// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/address_guard.hpp"
#include "mirage/net/dhcp_client.hpp"
#include "mirage/net/udp.hpp"
#include <array>
#include <string_view>

namespace mirage::net {

/// What a DHCP client has sent, heard and got since boot.
struct dhcp_statistics {
    std::uint64_t sent = 0, received = 0, malformed = 0;
    std::uint64_t bound = 0, renewed = 0, lost = 0; ///< leases

    /// One more step of the client.
    constexpr void count(const dhcp_step& step) noexcept {
        sent += step.send ? 1 : 0;
        bound += step.event == dhcp_event::bound ? 1 : 0;
        renewed += step.event == dhcp_event::renewed ? 1 : 0;
        lost += step.event == dhcp_event::lost ? 1 : 0;
    }

    static constexpr auto table() noexcept {
        using s = dhcp_statistics;
        return statistics_table{"dhcp_",
                                statistic{&s::sent, "sent", "Messages sent."},
                                statistic{&s::received, "received", "Messages received."},
                                statistic{&s::malformed, "malformed", "Messages dropped as wrong."},
                                statistic{&s::bound, "leases_bound", "Leases got."},
                                statistic{&s::renewed, "leases_renewed", "Leases that were extended."},
                                statistic{&s::lost, "leases_lost", "Leases that ended."}};
    }
};

/// Keeps the address of a stack by DHCP: joins the pure dhcp_client to the stack's UDP and IPv4 layers. `Extras` is what
/// it asks for besides: dhcp_names for a resolver's domains and time servers.
template <class Stack, class Extras = no_dhcp_extras>
class dhcp {
    static constexpr bool guarded = Stack::template has<address_guard>;
    using socket_type = decltype(std::declval<Stack&>().udp().bind(0));
    using datagram_type = typename socket_type::datagram;

    Stack& stack_;
    basic_dhcp_client<Extras> client_;
    event changed_;
    dhcp_statistics statistics_{};

    static dhcp_identity identity(const Stack& stack, std::string_view host_name) noexcept {
        const mac_address own = stack.device().mac();
        return {.hardware = own,
                .iaid = wire::load<std::uint32_t>(std::as_bytes(std::span{own.octet}).data() + 2),
                .host_name = host_name};
    }

    static task<result<datagram_type>> next(socket_type& socket) noexcept { co_return co_await socket.receive(); }
    static task<> next(event& of) noexcept { co_await of.wait(); }

    auto& guard() noexcept { return stack_.template get<address_guard>(); }

    /// Whether the address of the lease may be used. Begins to find out when it is new; lets the old one go when it was
    /// lost. RFC 2131 section 4.4.1: "the client SHOULD probe the newly received address"
    bool may_use_lease(dhcp_event happened) noexcept {
        if constexpr (guarded) {
            const dhcp_lease* const lease = client_.lease();
            if (lease == nullptr)
                guard().adopt({});
            else if (!guard().holds(lease->own.address)) {
                if (happened == dhcp_event::bound)
                    guard().claim(lease->own.address, defence::yield);
                return false;
            }
        }
        return true;
    }

    /// What the probes have told. RFC 2131 section 3.1 step 5
    void hear_of_conflicts(socket_type& socket) noexcept {
        if constexpr (guarded) {
            const conflict_event news = guard().news();
            if (client_.lease() == nullptr)
                return;
            if (news == conflict_event::claimed)
                configure(dhcp_event::renewed);
            else if (news == conflict_event::lost)
                act(socket, client_.conflict(stack_.now(), stack_.random()));
        }
    }

    /// The next message, unless there is something else to do first.
    task<result<datagram_type>> hear(socket_type& socket, duration limit) noexcept {
        if constexpr (guarded)
            return hear_or_be_told(socket, limit);
        else
            return with_timeout(stack_.loop(), next(socket), limit);
    }
    task<result<datagram_type>> hear_or_be_told(socket_type& socket, duration limit) noexcept {
        auto either =
            co_await with_timeout(stack_.loop(), when_any(next(socket), next(guard().changed())), limit);
        if (!either || either->index() != 0)
            co_return std::unexpected(errc::timed_out);
        co_return std::move(std::get<0>(*either));
    }

    void configure(dhcp_event happened) noexcept {
        if (happened == dhcp_event::none || !may_use_lease(happened))
            return;
        const dhcp_lease* const lease = client_.lease();
        const ipv4_prefix own = lease == nullptr ? ipv4_prefix{} : lease->own;
        const ipv4_address gateway = lease == nullptr ? ipv4_address{} : lease->gateway;
        if (const routing& now = stack_.ip().routes(); now.own() != own || now.gateway() != gateway)
            stack_.ip().configure(own, gateway);
        changed_.set();
    }

    void act(socket_type& socket, const dhcp_step& step) noexcept {
        // The layer below puts the interface's address into what it sends: what must come from the address is
        // sent while we have it, what must come from {0, 0} when we have none.
        statistics_.count(step);
        const bool first = !step.send || step.send->source.is_unspecified();
        if (first)
            configure(step.event);
        if (step.send) {
            std::array<std::byte, 548> message; // what every server takes: RFC 2131 section 2
            if (const auto length = step.send->message.emit(message)) // lost ones are repeated in time
                (void)socket.send_to({step.send->destination, wire::dhcp_server_port},
                                     octets{message}.first(*length));
        }
        if (!first)
            configure(step.event);
    }

public:
    /// `host_name` is static text, or empty. The stack must live longer.
    explicit dhcp(Stack& stack, std::string_view host_name = {}) noexcept
        : stack_{stack}, client_{identity(stack, host_name)}, changed_{stack.loop()} {}

    /// Asks, configures the stack's interface, and keeps the lease: for ever. Spawn it once. Ends only when
    /// port 68 is taken.
    task<> run() noexcept {
        auto socket = stack_.udp().bind(wire::dhcp_client_port, 8);
        if (!socket.status())
            co_return;
        client_.start(stack_.now(), stack_.random());
        for (;;) {
            while (client_.next_deadline() <= stack_.now())
                act(socket, client_.on_time(stack_.now(), stack_.random()));
            const auto heard = co_await hear(socket, client_.next_deadline() - stack_.now());
            if constexpr (guarded)
                hear_of_conflicts(socket);
            if (!heard || heard->from.port != wire::dhcp_server_port)
                continue;
            const auto message = wire::dhcp_view::parse(heard->data.view());
            ++(message ? statistics_.received : statistics_.malformed);
            if (message)
                act(socket, client_.on_message(*message, stack_.now(), stack_.random()));
        }
    }

    /// Set when an address was got, renewed or lost.
    event& changed() noexcept { return changed_; }
    /// The lease in force, or nullptr. With an address_guard in the stack: its address may still be probed for.
    const dhcp_lease* lease() const noexcept { return client_.lease(); }
    const dhcp_statistics& statistics() const noexcept { return statistics_; }
    /// What came with it, as long as it is in force.
    const Extras& extras() const noexcept { return client_.extras(); }
};

} // namespace mirage::net
