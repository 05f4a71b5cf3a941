// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/server.hpp"
#include "mirage/core/sha256.hpp"
#include "mirage/mirage.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/os/network_keys.hpp"
#include <charconv>
#include <optional>

namespace transfer {

/// GET /test/N: the first N octets of the test stream; octet i is (i * 2654435761 mod 2^32) >> 24.
struct send_stream {
    template <class Request, class Response>
    mirage::task<> operator()(Request& asked, Response& answer) const {
        const auto digits = asked.path().substr(6);
        std::uint64_t left = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left);
        if (error != std::errc{} || end != digits.data() + digits.size()) {
            answer.fail(mirage::http::status::not_found);
            co_return;
        }
        answer.type("application/octet-stream");
        answer.start(left);
        std::array<char, 1024> part;
        std::uint32_t product = 0;
        while (left > 0 && answer.wants_content()) {
            std::size_t size = 0;
            for (; size < part.size() && size < left; ++size, product += 2654435761u)
                part[size] = static_cast<char>(product >> 24);
            left -= size;
            if (!co_await answer.write(std::string_view{part.data(), size}))
                co_return;
        }
    }
};

/// PUT /upload: the SHA-256 of the content, in hexadecimal.
struct hash_upload {
    template <class Request, class Response>
    mirage::task<> operator()(Request& asked, Response& answer) const {
        mirage::sha256 hash;
        auto piece = co_await asked.read();
        for (; piece; piece = co_await asked.read())
            hash.update(piece->view());
        if (piece.error() != mirage::errc::eof)
            co_return; // the server says what was wrong with the content
        const auto digest = mirage::to_hex(hash.finish());
        answer.type("text/plain").text({digest.data(), digest.size()}).text("\n");
    }
};

struct say_hello {
    void operator()(const mirage::http::request&, mirage::http::response& answer) const noexcept {
        answer.type("text/html; charset=utf-8").text("<!doctype html><html lang=\"en\"><h1>Transfers</h1></html>\n");
    }
};

struct network_options {
    mirage::net::ipv4_options network{};
};
struct dual_options : network_options {
    mirage::net::ipv6_options ipv6{};
};

/// What the interop tests load and store: see send_stream and hash_upload. `Dual`: over IPv6, too. `Congestion` controls it.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd, bool Dual,
          class Congestion = mirage::net::paced<mirage::net::cubic>>
class basic_appliance {
    using tcp = mirage::net::tcp<Congestion, mirage::net::ecn>;
    using stack = std::conditional_t<
        Dual, mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::ipv6, tcp>,
        mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, tcp>>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;

public:
    static constexpr std::string_view name = "transfer";
    static constexpr std::string_view summary = "sends a test stream, and hashes what it is sent";

    using options = std::conditional_t<Dual, dual_options, network_options>;
    static constexpr auto keys = [] {
        if constexpr (Dual)
            return mirage::os::keys(mirage::os::network_keys<&network_options::network>(),
                                    mirage::os::ipv6_keys<&dual_options::ipv6>());
        else
            return mirage::os::keys(mirage::os::network_keys<&network_options::network>());
    }();

    basic_appliance(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        namespace http = mirage::http;
        mirage::net::config settings{.network = chosen.network};
        if constexpr (Dual)
            settings.ipv6 = chosen.ipv6;
        stack whole{ctx.loop, net_, clock_, random_, settings};
        // what is sent stays in its page until it is acknowledged: a window for each of many connections
        mirage::buffer_pool pages{4096, 4096};
        http::router resources{http::get<"/">(say_hello{}), http::get<"/test/*">(send_stream{}),
                               http::on<"/upload">(http::method_set{http::method::put}, hash_upload{})};
        http::server server{ctx.loop, clock_, pages, resources};
        auto listener = whole.tcp().listen(80, 128);
        (void)ctx.tasks.spawn(server.run(listener, ctx.tasks));
        co_await whole.run();
        co_return 0;
    }
};

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
struct appliance : basic_appliance<Net, Clk, Rnd, false> {
    using basic_appliance<Net, Clk, Rnd, false>::basic_appliance;
};

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
struct dual_appliance : basic_appliance<Net, Clk, Rnd, true> {
    using basic_appliance<Net, Clk, Rnd, true>::basic_appliance;
};

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
struct modelling_appliance : basic_appliance<Net, Clk, Rnd, false, mirage::net::bbr> {
    using basic_appliance<Net, Clk, Rnd, false, mirage::net::bbr>::basic_appliance;
};

} // namespace transfer
