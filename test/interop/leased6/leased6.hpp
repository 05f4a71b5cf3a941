// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/mirage.hpp>
#include <mirage/net/dhcpv6.hpp>
#include <mirage/net/mld.hpp>
#include <mirage/net/router_names.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/net/temporary_addresses.hpp>
#include <optional>

/// Does over IPv6 what routers and DHCPv6 servers say, and says what became of it; speaks from temporary addresses; sends back what comes to port 7, also
/// what is sent to the group ff05::1:7.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class leased6 {
public:
    static constexpr std::string_view name = "leased6";
    static constexpr std::string_view summary = "keeps an address by DHCPv6, for tests";

    struct options {};
    static constexpr auto keys = mirage::os::keys();

    leased6(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options&) {
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{});
        (void)ctx.tasks.spawn(stack_->template get<mirage::net::dhcpv6>().run());
        (void)ctx.tasks.spawn(report(ctx));
        (void)ctx.tasks.spawn(echo(ctx));
        co_await stack_->run();
        co_return 0;
    }

private:
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv6, mirage::net::udp, mirage::net::mld,
                                     mirage::net::router_names, mirage::net::dhcpv6, mirage::net::temporary_addresses>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    std::optional<stack> stack_;

    mirage::task<> report(mirage::os::context& ctx) {
        auto& dhcp = stack_->template get<mirage::net::dhcpv6>();
        for (;;) {
            co_await dhcp.changed().wait();
            if (const auto* const lease = dhcp.lease())
                ctx.log.info() << "leased " << lease->address;
            else if (dhcp.client().state() == mirage::net::dhcpv6_state::informed)
                ctx.log.info() << "informed";
            else
                ctx.log.info() << "lease lost";
            for (const auto& server : dhcp.names().servers())
                ctx.log.info() << "name server " << server;
        }
    }

    mirage::task<> echo(mirage::os::context& ctx) {
        static constexpr mirage::ipv6_address group{0xff05'0000'0000'0000u, 0x1'0007};
        auto socket = stack_->udp().bind(7);
        if (!socket.join(group))
            ctx.log.info() << "no group";
        while (auto text = co_await socket.receive())
            (void)socket.answer(*text, text->data);
    }
};
