// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/dhcp_client.hpp"
#include "mirage/net/udp.hpp"
#include <array>
#include <string_view>

namespace mirage::net {

/// Keeps the address of a stack by DHCP: joins the pure dhcp_client to the stack's UDP and IPv4 layers. `Extras` is what
/// it asks for besides: dhcp_names for a resolver's domains and time servers.
template <class Stack, class Extras = no_dhcp_extras>
class dhcp {
    using socket_type = decltype(std::declval<Stack&>().udp().bind(0));

    Stack& stack_;
    basic_dhcp_client<Extras> client_;
    event changed_;

    static dhcp_identity identity(const Stack& stack, std::string_view host_name) noexcept {
        const mac_address own = stack.device().mac();
        return {.hardware = own,
                .iaid = wire::load<std::uint32_t>(std::as_bytes(std::span{own.octet}).data() + 2),
                .host_name = host_name};
    }

    static task<result<datagram>> next(socket_type& socket) noexcept { co_return co_await socket.receive(); }

    void configure(dhcp_event happened) noexcept {
        if (happened == dhcp_event::none)
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
            const auto heard =
                co_await with_timeout(stack_.loop(), next(socket), client_.next_deadline() - stack_.now());
            if (!heard || heard->from.port != wire::dhcp_server_port)
                continue;
            if (const auto message = wire::dhcp_view::parse(heard->data.view()))
                act(socket, client_.on_message(*message, stack_.now(), stack_.random()));
        }
    }

    /// Set when an address was got, renewed or lost.
    event& changed() noexcept { return changed_; }
    /// The lease in force, or nullptr.
    const dhcp_lease* lease() const noexcept { return client_.lease(); }
    /// What came with it, as long as it is in force.
    const Extras& extras() const noexcept { return client_.extras(); }
};

} // namespace mirage::net
