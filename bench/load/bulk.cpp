// SPDX-License-Identifier: MIT
#include <poll.h>

#include "common.hpp"

using namespace mirage::bench;

namespace {

constexpr std::string_view usage =
    "usage: bulk [--address A] [--port P] [--direction send|receive] [--mib 100]\n"
    "Sends to a discard service (RFC 863, port 9) until it has closed too, or receives from a character generator\n"
    "(RFC 864, port 19), over one connection.";

constexpr std::size_t chunk = 256 * 1024;

/// Waits for the socket, within the patience of all generators.
void await(int number, short events) {
    pollfd one{.fd = number, .events = events, .revents = 0};
    if (checked(::poll(&one, 1, patience), "poll") == 0)
        fail("no progress for 10 s");
}

void send_all(int number, std::uint64_t octets) {
    const std::vector<char> text(chunk, 'm');
    while (octets > 0) {
        const auto count = ::send(number, text.data(), std::min<std::uint64_t>(octets, chunk), MSG_NOSIGNAL);
        if (count >= 0)
            octets -= static_cast<std::uint64_t>(count);
        else if (errno == EAGAIN)
            await(number, POLLOUT);
        else
            fail("send", errno);
    }
    // the work is done when the peer has read everything: its FIN says so
    checked(::shutdown(number, SHUT_WR), "shutdown");
    for (char rest = 0;;) {
        const auto count = ::recv(number, &rest, 1, 0);
        if (count == 0)
            return;
        if (count > 0)
            fail("the discard service answered");
        if (errno != EAGAIN)
            fail("recv", errno);
        await(number, POLLIN);
    }
}

void receive_all(int number, std::uint64_t octets) {
    std::vector<char> room(chunk);
    while (octets > 0) {
        const auto count = ::recv(number, room.data(), std::min<std::uint64_t>(octets, chunk), 0);
        if (count > 0)
            octets -= static_cast<std::uint64_t>(count);
        else if (count == 0)
            fail("the character generator closed the connection");
        else if (errno == EAGAIN)
            await(number, POLLIN);
        else
            fail("recv", errno);
    }
}

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const auto direction = chosen.text("--direction", "send");
    const bool send = direction == "send";
    if (!send && direction != "receive")
        fail(usage);
    const auto where = endpoint(chosen.text("--address", "10.0.0.2"), chosen.number("--port", send ? 9 : 19));
    const auto octets = chosen.number("--mib", 100) << 20;
    chosen.done();

    const auto socket = connecting(where);
    await(socket.number(), POLLOUT);
    if (const int error = pending_error(socket.number()))
        fail("connect", error);
    const stopwatch watch;
    send ? send_all(socket.number(), octets) : receive_all(socket.number(), octets);
    report("octets", static_cast<double>(octets), watch, 0, octets);
}
