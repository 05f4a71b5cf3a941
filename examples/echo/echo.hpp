// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/mirage.hpp>
#include <mirage/net/dhcp.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/log_key.hpp>
#include <mirage/os/network_keys.hpp>
#include <optional>

/// The echo service over TCP and UDP (RFC 862). What comes in goes out again in the memory it came in: no octet is
/// copied between the two frames.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class echo {
public:
    static constexpr std::string_view name = "echo";
    static constexpr std::string_view summary = "gives back what it is sent, over TCP and UDP (RFC 862)";

    struct options {
        mirage::net::ipv4_options network{};
        std::uint16_t port = 7;
    };
    static constexpr auto keys
        = mirage::os::keys(mirage::os::network_keys<&options::network>(),
                           mirage::os::key<&options::port>{"port", "TCP and UDP port to serve"}, mirage::os::log_key);
    static constexpr std::array<std::string_view, 2> log_sources{"dhcp", "tcp"};

    echo(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});
        if (const auto problem = mirage::net::problem(chosen.network); !problem.empty()) {
            ctx.log.error() << "--ipv4 and --ipv4-gateway: " << problem;
            co_return 1;
        }
        if (chosen.network.dhcp && chosen.network.ipv4.address.is_unspecified())
            configure(ctx);
        (void)ctx.tasks.spawn(serve_streams(ctx, chosen.port));
        (void)ctx.tasks.spawn(serve_datagrams(chosen.port));
        ctx.log.info() << "echoing on port " << chosen.port;
        co_await stack_->run();
        co_return 0;
    }

private:
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::udp,
                                     mirage::net::tcp<>>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    std::optional<stack> stack_;
    std::optional<mirage::net::dhcp<stack>> lease_;

    void configure(mirage::os::context& ctx) noexcept {
        lease_.emplace(*stack_, name);
        (void)ctx.tasks.spawn(lease_->run());
        (void)ctx.tasks.spawn(tell_of_lease(ctx.log.named("dhcp")));
    }
    mirage::task<> tell_of_lease(mirage::log_source log) noexcept {
        for (;;) {
            co_await lease_->changed().wait();
            if (const auto* const lease = lease_->lease())
                log.info() << "the address is " << lease->own << ", the router " << lease->gateway;
            else
                log.warn() << "there is no address any more";
        }
    }

    mirage::task<> serve_streams(mirage::os::context& ctx, std::uint16_t port) noexcept {
        const auto log = ctx.log.named("tcp");
        auto listener = stack_->tcp().listen(port);
        while (auto peer = co_await listener.accept()) {
            log.debug() << "connection from " << peer->remote();
            (void)ctx.tasks.spawn(serve(std::move(*peer)));
        }
    }

    template <mirage::async::zero_copy_stream Stream>
    static mirage::task<> serve(Stream peer) noexcept {
        peer.no_delay(true);
        while (auto text = co_await peer.async_receive()) {
            const auto sent = co_await peer.async_send(std::span{&*text, 1});
            if (!sent)
                co_return;
        }
    }

    mirage::task<> serve_datagrams(std::uint16_t port) noexcept {
        auto socket = stack_->udp().bind(port);
        while (auto datagram = co_await socket.receive())
            (void)socket.send_to(datagram->from, datagram->data);
    }
};
