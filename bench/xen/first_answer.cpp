// SPDX-License-Identifier: MIT
#include "../load/http_response.hpp"
#include <chrono>
#include <deque>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mirage::bench;

namespace {

constexpr std::string_view usage =
    "usage: first_answer ADDRESS SECONDS COMMAND...\n"
    "Starts a command and asks http://ADDRESS/ until it answers with 200, for so many seconds at most; says how long each\n"
    "took, in seconds (the command alone, when there was no answer).";

using clock_type = std::chrono::steady_clock;
constexpr std::chrono::milliseconds interval{20};
/// While the command runs: nobody can answer for the most of it, and an attempt takes some of its processor's time.
constexpr std::chrono::milliseconds interval_before{100};
constexpr std::size_t at_once = 64;

struct attempt {
    descriptor socket;
    http_response response;
    bool asked = false;
};

/// True when the attempt has the whole answer. A refusal or a reset is no answer yet.
bool proceed(attempt& a, short events, std::string_view request, bool& over) {
    if (!a.asked) {
        if ((events & POLLOUT) == 0)
            return false;
        if (::send(a.socket.number(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
            over = true;
            return false;
        }
        a.asked = true;
        return false;
    }
    const auto room = a.response.room();
    const auto count = ::recv(a.socket.number(), room.data(), room.size(), 0);
    if (count < 0 && errno == EAGAIN)
        return false;
    if (count <= 0) {
        over = true;
        return false;
    }
    const auto outcome = a.response.take(static_cast<std::size_t>(count));
    over = outcome == http_response::progress::wrong;
    return outcome == http_response::progress::complete;
}

} // namespace

int main(int count, char** words) {
    const double limit = count < 4 ? 0 : std::atof(words[2]);
    if (limit <= 0) {
        std::fprintf(stderr, "%s\n", usage.data());
        return 2;
    }
    const auto where = endpoint(words[1], 80);
    const std::string request = std::string{"GET / HTTP/1.1\r\nHost: "} + words[1] + "\r\n\r\n";
    // The end of the command wakes the loop, and nothing else does between two looks.
    sigset_t all_but_child, child_ends;
    ::sigemptyset(&child_ends);
    ::sigaddset(&child_ends, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child_ends, &all_but_child);
    ::signal(SIGCHLD, [](int) {});
    const auto begin = clock_type::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::sigprocmask(SIG_SETMASK, &all_but_child, nullptr);
        ::execvp(words[3], words + 3);
        ::_exit(127);
    }
    // A new attempt every few milliseconds, the earlier ones kept: the first SYN that finds somebody counts, and none
    // waits for its own repetition. No more than that: a guest that refuses while it starts must not be kept from it.
    std::deque<attempt> attempts;
    double created = 0;
    auto next = begin;
    const auto passed = [&] { return std::chrono::duration<double>(clock_type::now() - begin).count(); };
    for (;;) {
        const auto now = clock_type::now();
        if (now >= next) {
            if (attempts.size() == at_once)
                attempts.pop_front();
            attempts.push_back(attempt{connecting(where), {}, false});
            next = now + (created == 0 ? interval_before : interval);
        }
        std::vector<pollfd> waiting;
        for (const auto& a : attempts)
            waiting.push_back({a.socket.number(), static_cast<short>(a.asked ? POLLIN : POLLOUT), 0});
        const auto pause = std::max(std::chrono::nanoseconds{next - clock_type::now()}, std::chrono::nanoseconds{0});
        const timespec limit_of_pause{.tv_sec = pause.count() / 1'000'000'000, .tv_nsec = pause.count() % 1'000'000'000};
        ::ppoll(waiting.data(), waiting.size(), &limit_of_pause, &all_but_child);
        int status = 0;
        if (created == 0 && ::waitpid(child, &status, WNOHANG) == child) {
            created = passed();
            next = clock_type::now();
            if (status != 0) {
                std::fprintf(stderr, "first_answer: %s failed\n", words[3]);
                return 1;
            }
        }
        for (std::size_t i = waiting.size(); i-- > 0;) {
            if (waiting[i].revents == 0)
                continue;
            bool over = (waiting[i].revents & (POLLERR | POLLHUP)) != 0;
            if (!over && proceed(attempts[i], waiting[i].revents, request, over)) {
                const double answered = passed();
                if (created == 0) {
                    ::waitpid(child, &status, 0);
                    created = passed();
                }
                std::printf("{\"created\": %.3f, \"answered\": %.3f}\n", created, answered);
                return 0;
            }
            if (over)
                attempts.erase(attempts.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (passed() > limit) {
            std::printf("{\"created\": %.3f}\n", created);
            std::fprintf(stderr, "first_answer: no answer in %g s\n", limit);
            return 1;
        }
    }
}
