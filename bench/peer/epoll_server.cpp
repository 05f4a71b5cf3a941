// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <algorithm>
#include <memory>

#include "../load/common.hpp"

using namespace mirage::bench;

/// What Linux costs without a web server on it: a canned HTTP answer, discard (RFC 863), a character generator
/// (RFC 864) and UDP echo (RFC 862), each with the fewest system calls that do the work.
namespace {

constexpr std::string_view usage =
    "usage: epoll_server [--page FILE] [--http 80] [--discard 9] [--chargen 19] [--echo 7]\n"
    "Serves until it is stopped; writes \"ready\" when all ports are open.";

enum class service : std::uint8_t { http, discard, chargen };

/// One accepted connection; it owns itself through the server's table, indexed by its descriptor.
struct connection {
    descriptor socket;
    service does = service::http;
    std::size_t matched = 0; // octets of "\r\n\r\n" seen at the end of what was read
    std::size_t owed = 0;    // octets of answers that wait for the send buffer
};

class server {
public:
    explicit server(std::string answer) : answer_{std::move(answer)} {}

    void listen(service does, std::uint64_t port) {
        descriptor made{checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
        const int on = 1;
        checked(::setsockopt(made.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
        bind(made, port);
        checked(::listen(made.number(), 4096), "listen");
        poller_.add(made.number(), EPOLLIN, listener_tag | static_cast<std::uint64_t>(listeners_.size()));
        listeners_.emplace_back(std::move(made), does);
    }

    void echo(std::uint64_t port) {
        echo_ = descriptor{checked(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
        bind(echo_, port);
        poller_.add(echo_.number(), EPOLLIN, echo_tag);
    }

    [[noreturn]] void run() {
        for (;;)
            for (const auto& event : poller_.wait(-1)) {
                if (event.data.u64 == echo_tag)
                    answer_datagrams();
                else if (event.data.u64 & listener_tag)
                    accept(listeners_[event.data.u64 & ~listener_tag]);
                else if (auto& c = connections_[event.data.u64]; c && !ready(*c, event.events))
                    c.reset();
            }
    }

private:
    static constexpr std::uint64_t listener_tag = 1ull << 32;
    static constexpr std::uint64_t echo_tag = 1ull << 33;

    static void bind(const descriptor& made, std::uint64_t port) {
        const auto where = endpoint("0.0.0.0", port);
        checked(::bind(made.number(), reinterpret_cast<const sockaddr*>(&where), sizeof where), "bind");
    }

    void accept(const std::pair<descriptor, service>& from) {
        for (;;) {
            descriptor made{::accept4(from.first.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
            if (!made)
                return;
            const int on = 1;
            checked(::setsockopt(made.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
            const auto number = static_cast<std::size_t>(made.number());
            if (connections_.size() <= number)
                connections_.resize(number + 1);
            const auto events = from.second == service::chargen ? EPOLLIN | EPOLLOUT : EPOLLIN;
            poller_.add(made.number(), static_cast<std::uint32_t>(events), number);
            connections_[number] = std::make_unique<connection>(std::move(made), from.second, 0u, 0u);
        }
    }

    /// False when the connection has ended.
    bool ready(connection& c, std::uint32_t events) {
        if (events & (EPOLLERR | EPOLLHUP))
            return false;
        if ((events & EPOLLIN) && !read(c))
            return false;
        if (c.does == service::chargen)
            return generate(c);
        return !(events & EPOLLOUT) || send_owed(c);
    }

    bool read(connection& c) {
        const auto count = ::recv(c.socket.number(), room_.data(), room_.size(), 0);
        if (count < 0)
            return errno == EAGAIN;
        if (count == 0)
            return false;
        if (c.does != service::http)
            return true;
        if (const auto requests = ends_of_heads(c, static_cast<std::size_t>(count))) {
            c.owed += requests * answer_.size();
            return send_owed(c);
        }
        return true;
    }

    /// How many request heads end in what was just read. Requests with content are not expected here.
    std::size_t ends_of_heads(connection& c, std::size_t count) const {
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const char wanted = c.matched % 2 == 0 ? '\r' : '\n';
            c.matched = room_[i] == wanted ? c.matched + 1 : (room_[i] == '\r' ? 1 : 0);
            if (c.matched == 4) {
                c.matched = 0;
                ++found;
            }
        }
        return found;
    }

    bool send_owed(connection& c) {
        const bool waited = c.owed % answer_.size() != 0;
        while (c.owed > 0) {
            const auto offset = (answer_.size() - c.owed % answer_.size()) % answer_.size();
            const auto count = ::send(c.socket.number(), answer_.data() + offset, answer_.size() - offset, MSG_NOSIGNAL);
            if (count < 0 && errno != EAGAIN)
                return false;
            if (count < 0)
                break;
            c.owed -= static_cast<std::size_t>(count);
        }
        if (c.owed > 0 || waited)
            poller_.change(c.socket.number(), c.owed > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN,
                           static_cast<std::uint64_t>(c.socket.number()));
        return true;
    }

    bool generate(connection& c) {
        const auto count = ::send(c.socket.number(), pattern_.data(), pattern_.size(), MSG_NOSIGNAL);
        return count >= 0 || errno == EAGAIN;
    }

    void answer_datagrams() {
        for (;;) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto count = ::recvfrom(echo_.number(), room_.data(), room_.size(), 0,
                                          reinterpret_cast<sockaddr*>(&from), &size);
            if (count < 0)
                return;
            ::sendto(echo_.number(), room_.data(), static_cast<std::size_t>(count), 0,
                     reinterpret_cast<const sockaddr*>(&from), size);
        }
    }

    std::string answer_;
    poller poller_;
    std::vector<std::pair<descriptor, service>> listeners_;
    descriptor echo_;
    std::vector<std::unique_ptr<connection>> connections_;
    std::vector<char> room_ = std::vector<char>(256 * 1024);
    std::vector<char> pattern_ = std::vector<char>(256 * 1024, 'c');
};

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const auto page = chosen.text("--page", "");
    const auto text = page.empty() ? std::string(4096, 'm') : read_file(page);
    server serves{canned_answer(text)};
    serves.listen(service::http, chosen.number("--http", 80));
    serves.listen(service::discard, chosen.number("--discard", 9));
    serves.listen(service::chargen, chosen.number("--chargen", 19));
    serves.echo(chosen.number("--echo", 7));
    chosen.done();
    std::puts("ready");
    std::fflush(stdout);
    serves.run();
}
