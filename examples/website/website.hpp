// SPDX-License-Identifier: MIT
#pragma once
#include "site.hpp"
#include <mirage/app/http/server.hpp>
#include <mirage/app/metrics.hpp>
#include <mirage/app/static_files.hpp>
#include <mirage/mirage.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/network_keys.hpp>
#include <optional>

/// What the boot keys of a website say.
struct website_options {
    mirage::net::ipv4_options network{};
    std::uint16_t port = 80;
    bool access_log = false;
};
struct dual_website_options : website_options {
    mirage::net::ipv6_options ipv6{};
};

/// A web server of one folder (pages/, embedded at build time), with /metrics. `Dual`: over IPv6 as well as IPv4.
template <mirage::netif Net, mirage::console Con, mirage::clock Clk, mirage::random_source Rnd, bool Dual>
class basic_website {
public:
    static constexpr std::string_view name = "website";
    static constexpr std::string_view summary = "serves a small site about the project over HTTP/1.1";

    using options = std::conditional_t<Dual, dual_website_options, website_options>;
    static constexpr auto keys = [] {
        using all = website_options;
        constexpr auto ipv4 = mirage::os::static_network_keys<&all::network>();
        constexpr auto port = mirage::os::key<&all::port>{"port", "TCP port to serve"}.range(1, 65535);
        constexpr auto log = mirage::os::key<&all::access_log>{"access-log", "write a line per request to the console"};
        if constexpr (Dual)
            return mirage::os::keys(ipv4, mirage::os::ipv6_keys<&dual_website_options::ipv6>(), port, log);
        else
            return mirage::os::keys(ipv4, port, log);
    }();

    basic_website(Net& net, Con& console, Clk& clock, Rnd& random) noexcept
        : net_{net}, console_{console}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        namespace http = mirage::http;
        if (const auto problem = mirage::net::problem(chosen.network); !problem.empty()) {
            ctx.log.error() << "--ipv4 and --ipv4-gateway: " << problem;
            co_return 1;
        }
        if constexpr (Dual) {
            if (const auto problem = mirage::net::problem(chosen.ipv6); !problem.empty()) {
                ctx.log.error() << "--ipv6 and --ipv6-gateway: " << problem;
                co_return 1;
            }
            stack_.emplace(ctx.loop, net_, clock_, random_,
                           mirage::net::config{.network = chosen.network, .ipv6 = chosen.ipv6});
        } else {
            stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});
        }

        http::router routes{
            http::files{site::site},
            http::get<"/metrics">([this](const http::request&, http::response& answer) { export_metrics(answer); }),
        };
        http::server server{ctx.loop, clock_, pages_, routes};
        if (chosen.access_log)
            server.log_to(console_);
        publish(server.counters());

        auto listener = stack_->tcp().listen(chosen.port, 256);
        if (!listener.status()) {
            ctx.log.error() << "port " << chosen.port << " cannot be listened on: " << listener.status().error();
            co_return 1;
        }
        ctx.log.info() << "serving HTTP on port " << chosen.port;
        (void)ctx.tasks.spawn(server.run(listener, ctx.tasks));
        co_await stack_->run();
        co_return 0;
    }

private:
    using ipv4_stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::tcp<mirage::net::syn_cookies>>;
    using dual_stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::ipv6,
                                          mirage::net::tcp<mirage::net::syn_cookies>>;
    using stack = std::conditional_t<Dual, dual_stack, ipv4_stack>;

    Net& net_;
    Con& console_;
    Clk& clock_;
    Rnd& random_;
    mirage::buffer_pool pages_{192, 1024};   // heads of responses: 192 KiB
    mirage::compact_metrics<24> metrics_;
    std::optional<stack> stack_;

    void publish(const mirage::http::counters& http) noexcept {
        metrics_.add(http);
        metrics_.template add_as<mirage::pool_statistics<"http_pages_">>(pages_.counts());
        stack_->publish(metrics_);
    }

    void export_metrics(mirage::http::response& answer) const noexcept {
        answer.type(metrics_.content_type).field("Cache-Control", "no-store");
        metrics_.write([&answer](std::string_view text) { answer.text(text); });
    }
};

template <mirage::netif Net, mirage::console Con, mirage::clock Clk, mirage::random_source Rnd>
struct website : basic_website<Net, Con, Clk, Rnd, false> {
    using basic_website<Net, Con, Clk, Rnd, false>::basic_website;
};

template <mirage::netif Net, mirage::console Con, mirage::clock Clk, mirage::random_source Rnd>
struct website6 : basic_website<Net, Con, Clk, Rnd, true> {
    using basic_website<Net, Con, Clk, Rnd, true>::basic_website;
};
