// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/mirage.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/os/network_keys.hpp"
#include <array>
#include <optional>

/// The other end of the benchmarks: the simplest services on the whole stack, without an application's own cost.
///
/// TCP 80 answers every request head with the same page; TCP 9 discards (RFC 863); TCP 19 sends without end
/// (RFC 864); UDP 7 echoes (RFC 862). The epoll peer offers the same on Linux.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class bench_appliance {
public:
    static constexpr std::string_view name = "bench";
    static constexpr std::string_view summary = "the services that mirage bench measures";

    struct options {
        mirage::net::ipv4_options network{};
    };
    static constexpr auto keys = mirage::os::keys(mirage::os::network_keys<&options::network>());

    bench_appliance(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) noexcept {
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});
        (void)ctx.tasks.spawn(serve(ctx.tasks, 80, [](stream s) { return answer(std::move(s)); }));
        (void)ctx.tasks.spawn(serve(ctx.tasks, 9, [](stream s) { return discard(std::move(s)); }));
        (void)ctx.tasks.spawn(serve(ctx.tasks, 19, [](stream s) { return generate(std::move(s)); }));
        (void)ctx.tasks.spawn(echo());
        co_await stack_->run();
        co_return 0;
    }

private:
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::udp,
                                     mirage::net::tcp<>>;
    using tcp_layer = std::remove_cvref_t<decltype(std::declval<stack&>().tcp())>;
    using stream = typename tcp_layer::stream;
    using task = mirage::task<>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    std::optional<stack> stack_;

    template <class Service>
    task serve(mirage::nursery& tasks, std::uint16_t port, Service service) noexcept {
        auto listener = stack_->tcp().listen(port, 1024);
        while (auto peer = co_await listener.accept())
            (void)tasks.spawn(service(std::move(*peer)));
    }

    static task answer(stream peer) noexcept {
        static constexpr std::string_view page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                                 "Content-Length: 14\r\n\r\nHello, Mirage\n";
        peer.no_delay(true);
        unsigned matched = 0; // octets of CR LF CR LF
        while (auto text = co_await peer.async_receive()) {
            for (const std::byte o : text->view()) {
                const char expected = matched % 2 == 0 ? '\r' : '\n';
                const auto c = static_cast<char>(o);
                matched = c == expected ? matched + 1 : c == '\r' ? 1 : 0;
                if (matched < 4)
                    continue;
                matched = 0;
                auto reply = mirage::slice::of_static(page);
                if (!co_await peer.async_send(reply))
                    co_return;
            }
        }
    }

    static task discard(stream peer) noexcept {
        // the slice has a name: GCC 12 does not destroy a temporary that is awaited in the condition of a loop
        while (const auto text = co_await peer.async_receive()) {
        }
    }

    static task generate(stream peer) noexcept {
        static constexpr auto text = [] {
            std::array<std::byte, 64 * 1024> ring{};
            for (std::size_t i = 0; i < ring.size(); ++i)
                ring[i] = static_cast<std::byte>(' ' + i % 95);
            return ring;
        }();
        for (;;) {
            auto part = mirage::slice::of_static(mirage::octets{text});
            if (!co_await peer.async_send(part))
                co_return;
        }
    }

    task echo() noexcept {
        auto socket = stack_->udp().bind(7);
        while (auto datagram = co_await socket.receive())
            (void)socket.send_to(datagram->from, datagram->data);
    }
};
