// SPDX-License-Identifier: MIT
//
// A member of a multicast group that counts what it gets, and sends to two groups when it is told to.
#include <mirage/mirage.hpp>
#include <mirage/net/igmp.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/entry.hpp>
#include <mirage/os/network_keys.hpp>

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class groups {
    using stack_type = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::udp, mirage::net::igmp>;
    static constexpr std::uint16_t port = 5000;
    static constexpr mirage::ipv4_address wanted{239, 1, 1, 1}, unwanted{239, 1, 1, 2};

public:
    static constexpr std::string_view name = "groups";
    static constexpr std::string_view summary = "hears a multicast group, for tests";

    struct options {
        mirage::net::ipv4_options network{};
        std::uint32_t sends = 0;
    };
    static constexpr auto keys = mirage::os::keys(
        mirage::os::network_keys<&options::network>(),
        mirage::os::key<&options::sends>{"sends", "how many datagrams it sends to each of two groups, instead of hearing one"});

    groups(Net& device, Clk& clock, Rnd& random) noexcept : device_{device}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        stack_type stack{ctx.loop, device_, clock_, random_, mirage::net::config{.network = chosen.network}};
        if (!ctx.tasks.spawn(stack.run()))
            co_return 1;
        auto socket = stack.udp().bind(port);
        constexpr std::string_view text = "datagram";
        for (std::uint32_t i = 0; i < chosen.sends; ++i) {
            for (const auto group : {unwanted, wanted})
                if (!socket.send_to({group, port}, mirage::as_octets(text)))
                    co_return 1;
            co_await ctx.loop.yield();
        }
        if (chosen.sends != 0) {
            ctx.log.info() << "sent";
        } else if (!socket.join(wanted)) {
            co_return 1;
        }
        for (std::uint32_t count = 0; const auto d = co_await socket.receive();)
            ctx.log.info() << "datagram " << ++count << (d->to == wanted ? "" : ", to another group");
        co_return 0;
    }

private:
    Net& device_;
    Clk& clock_;
    Rnd& random_;
};

MIRAGE_UNIKERNEL(groups<mirage::platform::netif<"service">, mirage::platform::clock, mirage::platform::random>)
