// SPDX-License-Identifier: MIT
#include "common.hpp"

using namespace mirage::bench;

namespace {

constexpr std::string_view usage =
    "usage: udp_echo_load [--address A] [--port 7] [--in-flight 32] [--size 64] [--datagrams 100000]\n"
    "Keeps datagrams in flight to an echo service (RFC 862) and checks what comes back. A datagram without an\n"
    "answer is an error; it is taken for lost, with all others in flight, after 200 ms without any answer.";

constexpr int silence = 200;

class load {
public:
    load(const sockaddr_in& where, std::size_t size, std::uint64_t in_flight, std::uint64_t total)
        : text_(size, 'm'), room_(size + 1), in_flight_{in_flight}, total_{total} {
        checked(::connect(socket_.number(), reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
        poller_.add(socket_.number(), EPOLLIN, 0);
    }

    void run() {
        while (answered_ + lost_ < total_) {
            while (sent_ - answered_ - lost_ < in_flight_ && sent_ < total_)
                send();
            if (poller_.wait(silence).empty())
                give_up();
            else
                receive();
        }
    }

    std::uint64_t errors() const { return lost_ + wrong_; }

private:
    void send() {
        std::memcpy(text_.data(), &sent_, sizeof sent_);
        if (::send(socket_.number(), text_.data(), text_.size(), 0) < 0 && errno != ECONNREFUSED)
            fail("send", errno);
        ++sent_;
    }

    void receive() {
        for (;;) {
            const auto count = ::recv(socket_.number(), room_.data(), room_.size(), MSG_DONTWAIT);
            if (count < 0 && (errno == EAGAIN || errno == ECONNREFUSED))
                return;
            checked(count, "recv");
            std::uint64_t number = 0;
            std::memcpy(&number, room_.data(), sizeof number);
            if (static_cast<std::size_t>(count) != text_.size() || number >= sent_
                || std::memcmp(room_.data() + sizeof number, text_.data() + sizeof number, text_.size() - sizeof number))
                ++wrong_;
            // an answer after it was given up for lost must not count twice
            if (sent_ - answered_ - lost_ > 0)
                ++answered_;
        }
    }

    void give_up() {
        lost_ = sent_ - answered_;
        if (lost_ > 1000)
            fail("more than 1000 datagrams without an answer");
    }

    descriptor socket_{checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    poller poller_;
    std::vector<char> text_;
    std::vector<char> room_;
    std::uint64_t in_flight_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t answered_ = 0;
    std::uint64_t lost_ = 0;
    std::uint64_t wrong_ = 0;
};

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const auto where = endpoint(chosen.text("--address", "10.0.0.2"), chosen.number("--port", 7));
    const auto in_flight = chosen.number("--in-flight", 32);
    const auto size = chosen.number("--size", 64);
    const auto total = chosen.number("--datagrams", 100'000);
    chosen.done();
    if (size < sizeof(std::uint64_t) || size > 65'507 || in_flight == 0 || total == 0)
        fail("--size is 8 to 65507; the other numbers are at least 1");

    load work{where, size, in_flight, total};
    const stopwatch watch;
    work.run();
    report("datagrams", static_cast<double>(total), watch, work.errors(), total * size);
}
