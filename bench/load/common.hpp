// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the load generators share. They are Linux programs with one thread and one epoll loop, do a fixed
/// amount of work, and print one line of JSON, so that the processor time of the work can be compared.
namespace mirage::bench {

/// Ends the program; `what` says what was being done, errno why it failed when `error` is not 0.
[[noreturn]] inline void fail(std::string_view what, int error = 0) {
    std::fprintf(stderr, "%.*s%s%s\n", static_cast<int>(what.size()), what.data(), error ? ": " : "",
                 error ? std::strerror(error) : "");
    std::exit(1);
}

/// The result of a system call, or the end of the program.
template <std::signed_integral Result>
Result checked(Result result, std::string_view what) {
    if (result < 0)
        fail(what, errno);
    return result;
}

/// Owns one file descriptor.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) : number_{number} {}
    descriptor(descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }

    int number() const { return number_; }
    explicit operator bool() const { return number_ >= 0; }

private:
    int number_ = -1;
};

/// One epoll set; `tag` comes back with each event.
class poller {
public:
    void add(int number, std::uint32_t events, std::uint64_t tag) { control(EPOLL_CTL_ADD, number, events, tag); }
    void change(int number, std::uint32_t events, std::uint64_t tag) { control(EPOLL_CTL_MOD, number, events, tag); }

    /// Waits for events; an empty span after `milliseconds` without one.
    std::span<const epoll_event> wait(int milliseconds) {
        const int count = ::epoll_wait(set_.number(), events_.data(), static_cast<int>(events_.size()), milliseconds);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait", errno);
        return std::span{events_}.first(count < 0 ? 0 : static_cast<std::size_t>(count));
    }

private:
    void control(int operation, int number, std::uint32_t events, std::uint64_t tag) {
        epoll_event event{.events = events, .data = {.u64 = tag}};
        checked(::epoll_ctl(set_.number(), operation, number, &event), "epoll_ctl");
    }

    descriptor set_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
    std::vector<epoll_event> events_ = std::vector<epoll_event>(256);
};

/// Options of the form --name value, each with a default; anything else ends the program with the usage text.
class options {
public:
    options(int count, char** words, std::string_view usage) : usage_{usage} {
        for (int i = 1; i < count; ++i)
            words_.emplace_back(words[i]);
        if (words_.size() == 1 && words_[0] == "--help") {
            std::printf("%.*s\n", static_cast<int>(usage.size()), usage.data());
            std::exit(0);
        }
    }

    std::string_view text(std::string_view name, std::string_view otherwise) {
        known_.push_back(name);
        for (std::size_t i = 0; i + 1 < words_.size(); i += 2)
            if (words_[i] == name)
                return words_[i + 1];
        return otherwise;
    }

    std::uint64_t number(std::string_view name, std::uint64_t otherwise) {
        const auto word = text(name, "");
        if (word.empty())
            return otherwise;
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc{} || end != word.data() + word.size())
            refuse("not a number", word);
        return value;
    }

    /// To be called after all options were asked for: refuses words that nobody asked for.
    void done() const {
        for (std::size_t i = 0; i < words_.size(); i += 2) {
            bool found = false;
            for (const auto name : known_)
                found = found || name == words_[i];
            if (!found || i + 1 == words_.size())
                refuse(found ? "needs a value" : "unknown option", words_[i]);
        }
    }

private:
    [[noreturn]] void refuse(std::string_view why, std::string_view word) const {
        std::fprintf(stderr, "%.*s: %.*s\n%.*s\n", static_cast<int>(word.size()), word.data(),
                     static_cast<int>(why.size()), why.data(), static_cast<int>(usage_.size()), usage_.data());
        std::exit(2);
    }

    std::string_view usage_;
    std::vector<std::string_view> words_;
    std::vector<std::string_view> known_;
};

inline sockaddr_in endpoint(std::string_view address, std::uint64_t port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET, std::string{address}.c_str(), &where.sin_addr) != 1)
        fail("not an IPv4 address: " + std::string{address});
    return where;
}

/// A non-blocking TCP socket whose connection is being opened.
inline descriptor connecting(const sockaddr_in& where) {
    descriptor made{checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    const int on = 1;
    checked(::setsockopt(made.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    if (::connect(made.number(), reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0 && errno != EINPROGRESS)
        fail("connect", errno);
    return made;
}

/// The error that is pending on a socket, 0 for none.
inline int pending_error(int number) {
    int error = 0;
    socklen_t size = sizeof error;
    checked(::getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
    return error;
}

/// Wall time, and processor time of this process alone (the report measures the machine).
class stopwatch {
public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }
    static double processor_seconds() {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        const auto seconds = [](const timeval& t) {
            return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
        };
        return seconds(usage.ru_utime) + seconds(usage.ru_stime);
    }

private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// The line that every generator ends with. `work` is counted in `unit`.
inline void report(std::string_view unit, double work, const stopwatch& watch, std::uint64_t errors,
                   std::uint64_t octets) {
    std::printf("{\"unit\": \"%.*s\", \"work\": %.0f, \"seconds\": %.6f, \"client_cpu\": %.6f, \"errors\": %llu, "
                "\"octets\": %llu}\n",
                static_cast<int>(unit.size()), unit.data(), work, watch.seconds(), stopwatch::processor_seconds(),
                static_cast<unsigned long long>(errors), static_cast<unsigned long long>(octets));
}

inline std::string read_file(std::string_view path) {
    std::FILE* file = std::fopen(std::string{path}.c_str(), "rb");
    if (!file)
        fail(path, errno);
    std::string text;
    char part[4096];
    while (const auto count = std::fread(part, 1, sizeof part, file))
        text.append(part, count);
    std::fclose(file);
    return text;
}

/// A response to any request: `page` with the head that the Linux peer sends.
inline std::string canned_answer(const std::string& page) {
    return "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: " + std::to_string(page.size())
           + "\r\n\r\n" + page;
}

/// How long nothing may happen before a generator gives up, in milliseconds.
inline constexpr int patience = 10'000;

} // namespace mirage::bench
