// SPDX-License-Identifier: MIT
#include "http_response.hpp"

using namespace mirage::bench;

namespace {

constexpr std::string_view usage =
    "usage: http_load [--address A] [--port P] [--path /] [--connections 16] [--requests 10000]\n"
    "Sends GET requests over kept-alive connections, one in flight on each, and checks every response.";

struct connection {
    descriptor socket;
    http_response response;
    bool open = false;
};

class load {
public:
    load(const sockaddr_in& where, std::string request, std::uint64_t connections, std::uint64_t requests)
        : where_{where}, request_{std::move(request)}, connections_(connections), requests_{requests} {}

    void run() {
        for (std::size_t i = 0; i < connections_.size(); ++i)
            open(i);
        while (answered_ < requests_) {
            const auto events = poller_.wait(patience);
            if (events.empty())
                fail("no response for 10 s");
            for (const auto& event : events)
                ready(static_cast<std::size_t>(event.data.u64));
        }
    }

    std::uint64_t errors() const { return errors_; }
    std::uint64_t octets() const {
        auto sum = octets_;
        for (const auto& c : connections_)
            sum += c.response.octets();
        return sum;
    }

private:
    void open(std::size_t i) {
        auto& c = connections_[i];
        octets_ += c.response.octets();
        c = connection{connecting(where_), {}, false};
        poller_.add(c.socket.number(), EPOLLOUT, i);
    }

    void ready(std::size_t i) {
        auto& c = connections_[i];
        if (!opened(c))
            return again(i);
        const auto room = c.response.room();
        const auto count = ::recv(c.socket.number(), room.data(), room.size(), 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0)
            return again(i);
        switch (c.response.take(static_cast<std::size_t>(count))) {
        case http_response::progress::partial: return;
        case http_response::progress::wrong: return again(i);
        case http_response::progress::complete: break;
        }
        c.response.restart();
        ++answered_;
        ask(c);
    }

    /// The first event of a connection says that it is open, or why not.
    bool opened(connection& c) {
        if (c.open)
            return true;
        if (pending_error(c.socket.number()) != 0)
            return false;
        c.open = true;
        poller_.change(c.socket.number(), EPOLLIN, static_cast<std::uint64_t>(&c - connections_.data()));
        ask(c);
        return true;
    }

    void ask(connection& c) {
        if (asked_ == requests_)
            return;
        ++asked_;
        // a request is far smaller than an empty send buffer
        if (::send(c.socket.number(), request_.data(), request_.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE
            && errno != ECONNRESET)
            fail("send", errno);
    }

    /// A failed request counts as answered with an error, and the connection is opened anew.
    void again(std::size_t i) {
        ++errors_;
        if (++answered_; errors_ > 1000)
            fail("more than 1000 errors");
        open(i);
    }

    sockaddr_in where_;
    std::string request_;
    poller poller_;
    std::vector<connection> connections_;
    std::uint64_t requests_ = 0;
    std::uint64_t asked_ = 0;
    std::uint64_t answered_ = 0;
    std::uint64_t errors_ = 0;
    std::uint64_t octets_ = 0;
};

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const auto address = chosen.text("--address", "10.0.0.2");
    const auto where = endpoint(address, chosen.number("--port", 80));
    const auto path = std::string{chosen.text("--path", "/")};
    const auto connections = chosen.number("--connections", 16);
    const auto requests = chosen.number("--requests", 10'000);
    chosen.done();
    if (connections == 0 || requests == 0)
        fail("nothing to do");

    load work{where, "GET " + path + " HTTP/1.1\r\nHost: " + std::string{address} + "\r\n\r\n", connections, requests};
    const stopwatch watch;
    work.run();
    report("requests", static_cast<double>(requests), watch, work.errors(), work.octets());
}
