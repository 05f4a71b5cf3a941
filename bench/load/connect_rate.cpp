// SPDX-License-Identifier: MIT
#include "http_response.hpp"

using namespace mirage::bench;

namespace {

constexpr std::string_view usage =
    "usage: connect_rate [--address A] [--port P] [--path PATH] [--parallel 16] [--connections 10000]\n"
    "Opens connections and closes each in order: FIN, then the peer's FIN. With --path, one GET before the FIN.";

struct connection {
    enum class phase { opening, asking, closing };

    descriptor socket;
    http_response response;
    phase now = phase::opening;
};

class load {
public:
    load(const sockaddr_in& where, std::string request, std::uint64_t parallel, std::uint64_t total)
        : where_{where}, request_{std::move(request)}, connections_(parallel), total_{total} {}

    void run() {
        for (std::size_t i = 0; i < connections_.size(); ++i)
            open(i);
        while (closed_ < total_) {
            const auto events = poller_.wait(patience);
            if (events.empty())
                fail("no progress for 10 s");
            for (const auto& event : events)
                ready(static_cast<std::size_t>(event.data.u64));
        }
    }

    std::uint64_t errors() const { return errors_; }
    std::uint64_t octets() const { return octets_; }

private:
    void open(std::size_t i) {
        if (opened_ == total_) {
            connections_[i].socket = {};
            return;
        }
        ++opened_;
        connections_[i] = {connecting(where_), {}, connection::phase::opening};
        poller_.add(connections_[i].socket.number(), EPOLLOUT, i);
    }

    void ready(std::size_t i) {
        auto& c = connections_[i];
        switch (c.now) {
        case connection::phase::opening:
            if (pending_error(c.socket.number()) != 0)
                return finish(i, false);
            poller_.change(c.socket.number(), EPOLLIN, i);
            return request_.empty() ? close(i) : ask(i);
        case connection::phase::asking: return answer(i);
        case connection::phase::closing: return wait_for_end(i);
        }
    }

    void ask(std::size_t i) {
        auto& c = connections_[i];
        c.now = connection::phase::asking;
        if (::send(c.socket.number(), request_.data(), request_.size(), MSG_NOSIGNAL) < 0)
            finish(i, false);
    }

    void answer(std::size_t i) {
        auto& c = connections_[i];
        const auto room = c.response.room();
        const auto count = ::recv(c.socket.number(), room.data(), room.size(), 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0)
            return finish(i, false);
        switch (c.response.take(static_cast<std::size_t>(count))) {
        case http_response::progress::partial: return;
        case http_response::progress::wrong: return finish(i, false);
        case http_response::progress::complete: return close(i);
        }
    }

    void close(std::size_t i) {
        auto& c = connections_[i];
        c.now = connection::phase::closing;
        if (::shutdown(c.socket.number(), SHUT_WR) < 0)
            finish(i, false);
    }

    void wait_for_end(std::size_t i) {
        char rest = 0;
        const auto count = ::recv(connections_[i].socket.number(), &rest, 1, 0);
        if (count < 0 && errno == EAGAIN)
            return;
        finish(i, count == 0);
    }

    void finish(std::size_t i, bool well) {
        octets_ += connections_[i].response.octets();
        ++closed_;
        if (!well && ++errors_ > 1000)
            fail("more than 1000 errors");
        open(i);
    }

    sockaddr_in where_;
    std::string request_;
    poller poller_;
    std::vector<connection> connections_;
    std::uint64_t total_ = 0;
    std::uint64_t opened_ = 0;
    std::uint64_t closed_ = 0;
    std::uint64_t errors_ = 0;
    std::uint64_t octets_ = 0;
};

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const auto address = std::string{chosen.text("--address", "10.0.0.2")};
    const auto where = endpoint(address, chosen.number("--port", 80));
    const auto path = std::string{chosen.text("--path", "")};
    const auto parallel = chosen.number("--parallel", 16);
    const auto total = chosen.number("--connections", 10'000);
    chosen.done();
    if (parallel == 0 || total == 0)
        fail("nothing to do");

    load work{where, path.empty() ? "" : "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n", parallel, total};
    const stopwatch watch;
    work.run();
    report("connections", static_cast<double>(total), watch, work.errors(), work.octets());
}
