// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/asio.hpp"
#include "mirage/mirage.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/os/network_keys.hpp"
#include <boost/beast.hpp>
#include <memory>
#include <string>

namespace beast_server {

namespace http = boost::beast::http;

/// One connection as Beast's own examples write it; only the type of the stream is ours. GET answers with a line of
/// text, and /big with a mebibyte; PUT and POST give the content back.
template <class Stream>
class session : public std::enable_shared_from_this<session<Stream>> {
    using error_code = mirage::async::error_code;

    Stream stream_;
    boost::beast::flat_buffer room_;
    http::request<http::string_body> asked_;
    http::response<http::string_body> answer_;

    void respond() {
        answer_ = {http::status::ok, asked_.version()};
        answer_.set(http::field::server, BOOST_BEAST_VERSION_STRING);
        answer_.set(http::field::content_type, "text/plain");
        answer_.keep_alive(asked_.keep_alive());
        if (asked_.method() == http::verb::put || asked_.method() == http::verb::post)
            answer_.body() = std::move(asked_.body());
        else if (asked_.target() == "/big")
            answer_.body().assign(1u << 20, 'x');
        else if (asked_.target() == "/")
            answer_.body() = "Beast over Mirage\n";
        else
            answer_.result(http::status::not_found);
        answer_.prepare_payload();
        http::async_write(stream_, answer_, [self = this->shared_from_this()](error_code e, std::size_t) {
            if (e)
                return;
            if (self->answer_.need_eof())
                self->stream_.next_layer().shutdown_send();
            else
                self->read();
        });
    }

public:
    explicit session(Stream&& stream) : stream_{std::move(stream)} {}

    void read() {
        asked_ = {};
        http::async_read(stream_, room_, asked_, [self = this->shared_from_this()](error_code e, std::size_t) {
            if (!e)
                self->respond();
        });
    }
};

struct network_options {
    mirage::net::ipv4_options network{};
};

template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class appliance {
    using stack = mirage::net::stack<Net, Clk, Rnd, mirage::net::ipv4, mirage::net::icmp, mirage::net::tcp<>>;

    Net& net_;
    Clk& clock_;
    Rnd& random_;

    /// An accepted connection becomes an Asio stream, and from there on all is Asio and Beast.
    template <class Listener>
    static mirage::task<> accept_all(Listener& listener, mirage::async::asio_context& context) {
        for (;;) {
            auto accepted = co_await listener.accept();
            if (!accepted)
                co_return;
            mirage::async::asio_stream stream{context, std::move(*accepted)};
            std::make_shared<session<decltype(stream)>>(std::move(stream))->read();
        }
    }

public:
    static constexpr std::string_view name = "beast";
    static constexpr std::string_view summary = "serves HTTP with Boost.Beast";

    using options = network_options;
    static constexpr auto keys = mirage::os::keys(mirage::os::network_keys<&network_options::network>());

    appliance(Net& net, Clk& clock, Rnd& random) noexcept : net_{net}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        stack whole{ctx.loop, net_, clock_, random_, {.network = chosen.network}};
        mirage::async::asio_context context{ctx.loop};
        auto listener = whole.tcp().listen(80, 128);
        (void)ctx.tasks.spawn(accept_all(listener, context));
        co_await whole.run();
        co_return 0;
    }
};

} // namespace beast_server
