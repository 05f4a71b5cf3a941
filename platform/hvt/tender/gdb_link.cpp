// SPDX-License-Identifier: MIT
#include "gdb_link.hpp"
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mirage::tender {

namespace {

failure refused(const std::string& where, const std::string& why) {
    return failure("--gdb=" + where + ": " + why);
}

outcome<hosted::unique_fd> listen_on_path(const std::string& where) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (where.size() >= sizeof address.sun_path)
        return refused(where, "the path is too long for a socket");
    std::memcpy(address.sun_path, where.c_str(), where.size() + 1);
    hosted::unique_fd s{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!s || ::bind(s.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
        || ::listen(s.get(), 1) != 0)
        return refused(where, std::strerror(errno));
    say("waiting for gdb; in it: target remote " + where);
    return s;
}

outcome<hosted::unique_fd> listen_on_port(const std::string& where) {
    const auto colon = where.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::uint16_t port = 0;
    const char* const end = where.data() + where.size();
    if (colon == std::string::npos || ::inet_pton(AF_INET, where.substr(0, colon).c_str(), &address.sin_addr) != 1
        || std::from_chars(where.data() + colon + 1, end, port).ptr != end || colon + 1 == where.size())
        return refused(where, "expected ADDRESS:PORT, or a path with a slash in it");
    if (ntohl(address.sin_addr.s_addr) >> 24 != 127)
        return refused(where, "whoever gets there owns the guest: it has to be an address of the loopback, 127.0.0.1");
    address.sin_port = htons(port);
    hosted::unique_fd s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int yes = 1;
    socklen_t size = sizeof address;
    if (!s || ::setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0
        || ::bind(s.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
        || ::listen(s.get(), 1) != 0 || ::getsockname(s.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return refused(where, std::strerror(errno));
    say("waiting for gdb; in it: target remote " + where.substr(0, colon + 1) + std::to_string(ntohs(address.sin_port)));
    return s;
}

constexpr char digits[] = "0123456789abcdef";

} // namespace

outcome<gdb_link> gdb_link::wait_at(const std::string& where) {
    const bool path = where.find('/') != std::string::npos;
    const auto listener = path ? listen_on_path(where) : listen_on_port(where);
    if (!listener)
        return failure(listener.error());
    hosted::unique_fd s;
    do
        s = hosted::unique_fd{::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC)};
    while (!s && errno == EINTR);
    if (path)
        (void)::unlink(where.c_str());
    if (!s)
        return refused(where, std::strerror(errno));
    const int yes = 1;
    if (!path)
        (void)::setsockopt(s.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    // A signal says that gdb wants something: it ends KVM_RUN.
    f_owner_ex us{.type = F_OWNER_TID, .pid = ::gettid()};
    if (::fcntl(s.get(), F_SETOWN_EX, &us) != 0 || ::fcntl(s.get(), F_SETFL, O_ASYNC) != 0)
        return refused(where, std::strerror(errno));
    return gdb_link{std::move(s)};
}

bool gdb_link::pending() const noexcept {
    char c;
    return !received_.empty() || (socket_ && ::recv(socket_.get(), &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0);
}

bool gdb_link::fill() {
    char room[4096];
    ssize_t n;
    do
        n = ::read(socket_.get(), room, sizeof room);
    while (n < 0 && errno == EINTR);
    if (n <= 0 || received_.size() > 4 * longest) {
        close();
        return false;
    }
    received_.append(room, static_cast<std::size_t>(n));
    return true;
}

bool gdb_link::write(std::string_view octets) const {
    while (!octets.empty()) {
        const ssize_t n = ::write(socket_.get(), octets.data(), octets.size());
        if (n < 0 && errno != EINTR)
            return false;
        octets.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
    }
    return true;
}

std::string gdb_link::receive() {
    for (;;) {
        // What is between packets: acknowledgements, and requests to stop.
        const auto begin = received_.find_first_of("$\x03");
        if (begin == std::string::npos) {
            received_.clear();
            if (!open() || !fill())
                return {};
            continue;
        }
        received_.erase(0, begin);
        if (received_[0] == '\x03') {
            received_.erase(0, 1);
            return "\x03";
        }
        const auto hash = received_.find('#');
        if (hash == std::string::npos || received_.size() < hash + 3) {
            if (!open() || !fill())
                return {};
            continue;
        }
        const std::string raw = received_.substr(1, hash - 1);
        unsigned sum = 0, said = 0;
        for (const char c : raw)
            sum += static_cast<unsigned char>(c);
        const char* const end = received_.data() + hash + 3;
        const bool good = std::from_chars(received_.data() + hash + 1, end, said, 16).ptr == end && said == (sum & 255);
        received_.erase(0, hash + 3);
        if (acknowledges_)
            (void)write(good ? "+" : "-");
        if (!good)
            continue;
        std::string content;
        for (std::size_t i = 0; i < raw.size(); ++i)
            content += raw[i] == '}' && i + 1 < raw.size() ? static_cast<char>(raw[++i] ^ 0x20) : raw[i];
        if (!content.empty())
            return content;
        send(""); // an empty packet is no command that we know
    }
}

void gdb_link::send(std::string_view content) {
    std::string packet = "$";
    unsigned sum = 0;
    const auto put = [&](char c) {
        packet += c;
        sum += static_cast<unsigned char>(c);
    };
    for (const char c : content) {
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            put('}');
            put(static_cast<char>(c ^ 0x20));
        } else {
            put(c);
        }
    }
    packet += {'#', digits[sum >> 4 & 15], digits[sum & 15]};
    if (open() && !write(packet))
        close();
}

} // namespace mirage::tender
