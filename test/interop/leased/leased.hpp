// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/mirage.hpp>
#include <mirage/net/address_guard.hpp>
#include <mirage/net/dhcp.hpp>
#include <mirage/net/stack.hpp>
#include <optional>

/// Gets its address by DHCP, answers pings, and says what becomes of its lease. `More` are further layers of its stack.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd, class... More>
class leased_with {
public:
    static constexpr std::string_view name = "leased";
    static constexpr std::string_view summary = "keeps an address by DHCP, for tests";

    struct options {};
    static constexpr auto keys = mirage::os::keys();

    leased_with(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options&) {
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{});
        dhcp_.emplace(*stack_, "leased");
        (void)ctx.tasks.spawn(dhcp_->run());
        (void)ctx.tasks.spawn(report(ctx));
        co_await stack_->run();
        co_return 0;
    }

private:
    using stack =
        mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::udp, More...>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    std::optional<stack> stack_;
    std::optional<mirage::net::dhcp<stack>> dhcp_;

    mirage::task<> report(mirage::os::context& ctx) {
        for (;;) {
            co_await dhcp_->changed().wait();
            if (const auto* const lease = dhcp_->lease())
                ctx.log.info() << "leased " << lease->own << " from " << lease->server << ", router "
                               << lease->gateway;
            else
                ctx.log.info() << "lease lost";
        }
    }
};

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
struct leased : leased_with<Net, Clk, Rnd> {
    using leased_with<Net, Clk, Rnd>::leased_with;
};

/// The same, with addresses that are probed for and defended.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
struct guarded : leased_with<Net, Clk, Rnd, mirage::net::address_guard> {
    using leased_with<Net, Clk, Rnd, mirage::net::address_guard>::leased_with;
};
