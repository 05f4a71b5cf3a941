// SPDX-License-Identifier: MIT
//
// Two interfaces with a stack of its own each: TCP echo on both. Its summary says which is which.
#include <mirage/mirage.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/entry.hpp>
#include <mirage/os/keys.hpp>
#include <optional>

template <mirage::netif Front, mirage::netif Back, mirage::clock Clk, mirage::random_source Rnd>
class two_vifs {
    template <class Net>
    using stack_over = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::tcp<>>;

public:
    static constexpr std::string_view name = "two-vifs";
    static constexpr std::string_view summary = "echoes on two interfaces, for tests";

    struct options {
        mirage::ipv4_prefix front{};
        mirage::ipv4_prefix back{};
    };
    static constexpr auto keys = mirage::os::keys(
        mirage::os::key<&options::front>{"front", "address of the first interface"},
        mirage::os::key<&options::back>{"back", "address of the second interface"});

    two_vifs(Front& front, Back& back, Clk& clock, Rnd& random) noexcept
        : front_{front}, back_{back}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        std::optional<stack_over<Front>> front;
        std::optional<stack_over<Back>> back;
        front.emplace(ctx.loop, front_, clock_, random_, mirage::net::config{.network = {.ipv4 = chosen.front}});
        back.emplace(ctx.loop, back_, clock_, random_, mirage::net::config{.network = {.ipv4 = chosen.back}});
        (void)ctx.tasks.spawn(serve(*front, ctx.tasks));
        (void)ctx.tasks.spawn(serve(*back, ctx.tasks));
        (void)ctx.tasks.spawn(back->run());
        ctx.log.info() << "echoing on both";
        co_await front->run();
        co_return 0;
    }

private:
    Front& front_;
    Back& back_;
    Clk& clock_;
    Rnd& random_;

    template <class Stack>
    static mirage::task<> serve(Stack& stack, mirage::nursery& tasks) noexcept {
        auto listener = stack.tcp().listen(7);
        while (auto peer = co_await listener.accept())
            (void)tasks.spawn(echo(std::move(*peer)));
    }

    template <mirage::async::zero_copy_stream Stream>
    static mirage::task<> echo(Stream peer) noexcept {
        while (auto text = co_await peer.async_receive())
            if (!co_await peer.async_send(std::span{&*text, 1}))
                co_return;
    }
};

MIRAGE_UNIKERNEL(two_vifs<mirage::platform::netif<"front">, mirage::platform::netif<"back">, mirage::platform::clock,
                          mirage::platform::random>)
