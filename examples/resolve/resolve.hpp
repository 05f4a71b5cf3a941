// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/core/utc.hpp>
#include <mirage/device/adjusted_clock.hpp>
#include <mirage/mirage.hpp>
#include <mirage/net/connect.hpp>
#include <mirage/net/dhcp.hpp>
#include <mirage/net/dns.hpp>
#include <mirage/net/sntp.hpp>
#include <mirage/os/log_key.hpp>
#include <mirage/os/network_keys.hpp>
#include <optional>

/// What is asked about a name.
enum class question : std::uint8_t { address, address6, alias, service, text, pointer };
constexpr std::string_view message(question q) noexcept {
    switch (q) {
    case question::address: return "a";
    case question::address6: return "aaaa";
    case question::alias: return "cname";
    case question::service: return "srv";
    case question::text: return "txt";
    case question::pointer: return "ptr";
    }
    return "";
}

/// Says what the domain name system knows of a name; connects to it, and sets the clock, if it is told to. Ends with
/// status 0 when all that was asked for was done.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class resolve {
public:
    static constexpr std::string_view name = "resolve";
    static constexpr std::string_view summary = "looks a name up, and sets the clock by SNTP";

    struct options {
        mirage::net::ipv4_options network{};
        mirage::ipv4_address server{}, second_server{};
        std::string_view domain{}, look_up{}, ntp{};
        question type = question::address;
        std::uint16_t connect = 0;
        std::uint32_t times = 1;
    };
    static constexpr std::array<std::string_view, 2> log_sources{"dhcp", "dns"};
    static constexpr auto keys = mirage::os::keys(
        mirage::os::log_key,
        mirage::os::network_keys<&options::network>(),
        mirage::os::key<&options::server>{"dns", "name server; the lease's when none is given"},
        mirage::os::key<&options::second_server>{"dns2", "another one, for when the first does not answer"},
        mirage::os::key<&options::domain>{"domain", "where names without a dot are looked for"},
        mirage::os::key<&options::look_up>{"name", "what to look up"},
        mirage::os::key<&options::type, question::address, question::address6, question::alias, question::service,
                        question::text, question::pointer>{"type", "what to look for"},
        mirage::os::key<&options::times>{"times", "how often, one after the other"},
        mirage::os::key<&options::connect>{"connect", "TCP port to connect to; 0 is none"},
        mirage::os::key<&options::ntp>{"ntp", "time server to set the clock by: a name or an address"});

    resolve(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});
        if (const auto problem = mirage::net::problem(chosen.network); !problem.empty()) {
            ctx.log.error() << "--ipv4 and --ipv4-gateway: " << problem;
            co_return 1;
        }
        (void)ctx.tasks.spawn(stack_->run());

        mirage::net::dns_options asks;
        for (const auto server : {chosen.server, chosen.second_server})
            if (!server.is_unspecified())
                asks.from.add(server);
        if (!chosen.domain.empty()) {
            const auto domain = mirage::wire::dns_name::parse(chosen.domain);
            if (!domain) {
                ctx.log.error() << "--domain: not a name";
                co_return 1;
            }
            asks.from.add(*domain);
        }
        names_.emplace(*stack_, asks);
        if (chosen.network.dhcp && chosen.network.ipv4.address.is_unspecified()) {
            lease_.emplace(*stack_, name);
            names_->use(*lease_);
            (void)ctx.tasks.spawn(lease_->run());
            while (lease_->lease() == nullptr)
                co_await lease_->changed().wait();
            ctx.log.named("dhcp").debug() << "the address is " << lease_->lease()->own;
        }

        bool good = true;
        for (std::uint32_t i = 0; !chosen.look_up.empty() && i < chosen.times; ++i)
            good &= co_await look_up(ctx, chosen.look_up, chosen.type);
        if (chosen.connect != 0)
            good &= co_await connect(ctx, chosen.look_up, chosen.connect);
        if (!chosen.ntp.empty())
            good &= co_await set_clock(ctx, chosen.ntp);
        const auto& seen = names_->statistics();
        ctx.log.named("dns").info() << seen.queries << " queries, " << seen.cache_hits << " from the cache, " << seen.over_tcp
                       << " over TCP, " << seen.timeouts << " not answered";
        co_return good ? 0 : 1;
    }

private:
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::udp,
                                     mirage::net::tcp<>>;
    using dns_type = mirage::wire::dns_type;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    std::optional<stack> stack_;
    std::optional<mirage::net::dhcp<stack, mirage::net::dhcp_names>> lease_;
    std::optional<mirage::net::dns<stack>> names_;

    mirage::task<bool> look_up(mirage::os::context& ctx, std::string_view what, question type) {
        switch (type) {
        case question::address: return show<dns_type::a>(ctx, what);
        case question::address6: return show<dns_type::aaaa>(ctx, what);
        case question::alias: return show<dns_type::cname>(ctx, what);
        case question::service: return show<dns_type::srv>(ctx, what);
        case question::text: return show<dns_type::txt>(ctx, what);
        case question::pointer: break;
        }
        return show<dns_type::ptr>(ctx, what);
    }

    template <class Value>
    static const Value& shown(const Value& value) noexcept {
        return value;
    }

    template <dns_type T>
    mirage::task<bool> show(mirage::os::context& ctx, std::string_view what) {
        const auto found = co_await names_->template query<T>(what);
        if (!found) {
            ctx.log.error() << what << ' ' << T << ": " << found.error();
            co_return false;
        }
        for (std::size_t i = 0; i < found->size(); ++i)
            ctx.log.info() << what << ' ' << T << ' ' << shown((*found)[i]);
        if (found->cut())
            ctx.log.warn() << "and more";
        co_return true;
    }

    mirage::task<bool> connect(mirage::os::context& ctx, std::string_view what, std::uint16_t port) {
        const auto stream = co_await mirage::net::connect(*stack_, *names_, what, port);
        if (stream)
            ctx.log.info() << "connected to " << stream->remote();
        else
            ctx.log.error() << what << " port " << port << ": " << stream.error();
        co_return stream.has_value();
    }

    mirage::task<bool> set_clock(mirage::os::context& ctx, std::string_view server) {
        mirage::adjusted_clock clock{clock_};
        mirage::net::sntp client{*stack_, clock};
        const auto found = co_await names_->resolve(server);
        if (!found) {
            ctx.log.error() << server << ": " << found.error();
            co_return false;
        }
        const auto moved = co_await client.ask({found->ipv4()[0], mirage::wire::ntp_port});
        if (moved)
            ctx.log.info() << "it is " << mirage::utc{clock.wall()} << ", the clock was moved by " << *moved;
        else
            ctx.log.error() << server << ": " << moved.error();
        co_return moved.has_value();
    }
};
