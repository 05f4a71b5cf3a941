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

/// A web server of one folder (pages/, embedded at build time), with /metrics.
template <mirage::netif Net, mirage::console Con, mirage::clock Clk, mirage::random_source Rnd>
class website {
public:
    static constexpr std::string_view name = "website";
    static constexpr std::string_view summary = "serves a small site about the project over HTTP/1.1";

    struct options {
        mirage::net::ipv4_options network{};
        std::uint16_t port = 80;
        bool access_log = false;
    };
    static constexpr auto keys = mirage::os::keys(
        mirage::os::static_network_keys<&options::network>(),
        mirage::os::key<&options::port>{"port", "TCP port to serve"}.range(1, 65535),
        mirage::os::key<&options::access_log>{"access-log", "write a line per request to the console"});

    website(Net& net, Con& console, Clk& clock, Rnd& random) noexcept
        : net_{net}, console_{console}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        namespace http = mirage::http;
        if (const auto problem = mirage::net::problem(chosen.network); !problem.empty()) {
            ctx.log.error() << "--ipv4 and --ipv4-gateway: " << problem;
            co_return 1;
        }
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});

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
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::tcp<>>;

    Net& net_;
    Con& console_;
    Clk& clock_;
    Rnd& random_;
    mirage::buffer_pool pages_{192, 1024};   // heads of responses: 192 KiB
    mirage::metrics<32> metrics_;
    std::optional<stack> stack_;

    void publish(mirage::http::counters& http) noexcept {
        http.publish(metrics_);
        metrics_.add_counter<[](const stack& s) { return s.statistics().frames_received; }>(
            "net_frames_received_total", "Ethernet frames received.", *stack_);
        metrics_.add_counter<[](const stack& s) { return s.device().receive_pool().exhausted(); }>(
            "net_receive_pool_exhausted_total", "Times there was no memory for a frame.", *stack_);
        metrics_.add_gauge<[](const stack& s) { return s.device().receive_pool().available(); }>(
            "net_receive_pool_free", "Frames of memory that are free.", *stack_);
        metrics_.add_gauge<[](const mirage::buffer_pool& p) { return p.available(); }>(
            "http_pages_free", "Pages for responses that are free.", pages_);
    }

    void export_metrics(mirage::http::response& answer) const noexcept {
        answer.type(metrics_.content_type).field("Cache-Control", "no-store");
        metrics_.write([&answer](std::string_view text) { answer.text(text); });
    }
};
