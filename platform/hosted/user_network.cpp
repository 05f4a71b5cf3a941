// SPDX-License-Identifier: MIT
#include "mirage/hosted/user_network.hpp"
#include "mirage/hosted/sandbox.hpp"
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace mirage::hosted {

namespace {

constexpr std::string_view syntax =
    "expected user[,hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT]..., for example "
    "user,hostfwd=tcp:127.0.0.1:8080-:80";

std::unexpected<std::string> wrong(std::string_view what) {
    return std::unexpected(std::string{what} + ": " + std::string{syntax});
}

/// "[ADDRESS]:PORT"
bool parse_endpoint(std::string_view text, in_addr& address, std::uint16_t& port) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return false;
    if (colon > 0 && inet_pton(AF_INET, std::string{text.substr(0, colon)}.c_str(), &address) != 1)
        return false;
    const auto digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc{} && end == digits.data() + digits.size() && port != 0;
}

} // namespace

std::expected<user_network, std::string> user_network::parse(std::string_view text) {
    user_network net;
    net.text = text;
    if (!text.starts_with("user"))
        return wrong("not a user network");
    text.remove_prefix(4);
    while (!text.empty()) {
        if (!text.starts_with(","))
            return wrong("'" + std::string{text} + "' is not an option of user networking");
        text.remove_prefix(1);
        auto option = text.substr(0, text.find(','));
        text.remove_prefix(option.size());
        const std::string whole{option};
        if (!option.starts_with("hostfwd="))
            return wrong("'" + whole + "' is not an option of user networking");
        option.remove_prefix(8);
        port_forward f;
        if (option.starts_with("udp:"))
            f.udp = true;
        else if (!option.starts_with("tcp:"))
            return wrong("'" + whole + "' names neither tcp nor udp");
        option.remove_prefix(4);
        const auto dash = option.find('-');
        f.guest_address = {htonl(0x0a00020f)};
        if (dash == std::string_view::npos
            || !parse_endpoint(option.substr(0, dash), f.host_address, f.host_port)
            || !parse_endpoint(option.substr(dash + 1), f.guest_address, f.guest_port))
            return wrong("'" + whole + "' is not well-formed");
        net.forwards.push_back(f);
    }
    return net;
}

std::expected<unique_fd, std::string> user_network::start(body be) const {
    int cable[2], report[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, cable) != 0)
        return std::unexpected(std::string{"user networking: socketpair: "} + std::strerror(errno));
    unique_fd ours{cable[0]}, theirs{cable[1]};
    const int room = 1 << 20; // about as many frames as a TAP interface queues
    for (const int fd : cable) {
        (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    }
    if (::pipe2(report, O_CLOEXEC) != 0)
        return std::unexpected(std::string{"user networking: pipe: "} + std::strerror(errno));
    unique_fd hear{report[0]}, tell{report[1]};
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0)
        return std::unexpected(std::string{"user networking: fork: "} + std::strerror(errno));
    if (child == 0) {
        ours = {};
        hear = {};
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)::prctl(PR_SET_NAME, "mirage-usernet");
        // Ctrl-C is for the parent: it closes the cable in its own time, and that ends this.
        (void)::signal(SIGINT, SIG_IGN);
        (void)::signal(SIGPIPE, SIG_IGN);
        const int kept[] = {theirs.get(), tell.get()};
        close_other_descriptors(kept);
        if (::getppid() != parent)
            ::_exit(0);
        be(std::move(theirs), std::move(tell), *this);
        ::_exit(1);
    }
    tell = {};
    std::string problem;
    char part[256];
    for (;;) { // ends when the child has closed its end: it has said that it is ready, or why not
        const auto n = ::read(hear.get(), part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        problem.append(part, static_cast<std::size_t>(n));
    }
    if (problem == network_is_ready)
        return ours;
    return std::unexpected(problem.empty() ? "user networking ended before it began" : problem);
}

} // namespace mirage::hosted
