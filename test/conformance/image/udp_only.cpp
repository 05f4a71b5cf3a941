// SPDX-License-Identifier: MIT
// Counts datagrams and tells nobody: the least that has a stack without TCP.
#include <mirage/mirage.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/entry.hpp>

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class udp_only {
    Net& net_;
    Clk& clock_;
    Rnd& random_;

public:
    udp_only(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx) {
        namespace net = mirage::net;
        net::stack<Net, Clk, Rnd, net::ipv4, net::udp> stack{ctx.loop, net_, clock_, random_, {}};
        auto socket = stack.udp().bind(9); // RFC 863
        (void)ctx.tasks.spawn(stack.run());
        while (co_await socket.receive()) {
        }
        co_return 0;
    }
};

MIRAGE_UNIKERNEL(udp_only<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
