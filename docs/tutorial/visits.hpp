// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/app/http/server.hpp>
#include <mirage/mirage.hpp>
#include <mirage/net/stack.hpp>
#include <mirage/os/network_keys.hpp>
#include <optional>

/// Counts who comes by. GET / says how many have; GET /interval how long it takes from one to the next.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class visits {
public:
    static constexpr std::string_view name = "visits";
    static constexpr std::string_view summary = "counts its visitors";

    struct options {
        mirage::net::ipv4_options network{};
        std::uint16_t port = 80;
        std::string_view greeting = "Hello";
    };
    static constexpr auto keys
        = mirage::os::keys(mirage::os::network_keys<&options::network>(),
                           mirage::os::key<&options::port>{"port", "TCP port to serve"},
                           mirage::os::key<&options::greeting>{"greeting", "how a visitor is greeted"});

    visits(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        namespace http = mirage::http;
        stack_.emplace(ctx.loop, net_, clock_, random_, mirage::net::config{.network = chosen.network});

        http::router routes{
            http::get<"/">([&](const http::request&, http::response& answer) { greet(answer, chosen.greeting); }),
            http::get<"/interval">([this](const http::request&, http::response& answer) { interval(answer); }),
        };
        http::server server{ctx.loop, clock_, pages_, routes};
        auto listener = stack_->tcp().listen(chosen.port);
        ctx.log.info() << "counting visitors on port " << chosen.port;
        (void)ctx.tasks.spawn(server.run(listener, ctx.tasks));
        co_await stack_->run();
        co_return 0;
    }

private:
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::tcp<>>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;
    mirage::buffer_pool pages_{16, 1024}; // heads and short texts of 16 responses at a time
    std::uint64_t count_ = 0;
    std::optional<stack> stack_;

    void greet(mirage::http::response& answer, std::string_view greeting) noexcept {
        ++count_;
        mirage::line<128> text;
        text << greeting << ", visitor " << count_ << "\n";
        answer.text(text.view());
    }

    void interval(mirage::http::response& answer) noexcept {
        if (count_ == 0) {
            answer.fail(mirage::http::status::not_found);
            return;
        }
        const auto up = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
        mirage::line<128> text;
        text << "one visitor in " << up / count_ / 1'000'000 << " ms\n";
        answer.text(text.view());
    }
};
