// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

namespace mirage::test {

/// Counts its living copies: a local that a destroyed coroutine must have destroyed too.
struct probe {
    static inline int live = 0;
    probe() noexcept { ++live; }
    probe(const probe&) noexcept { ++live; }
    probe(probe&&) noexcept { ++live; }
    probe& operator=(const probe&) noexcept = default;
    probe& operator=(probe&&) noexcept = default;
    ~probe() { --live; }
};

/// Starts a task without a coroutine around it and keeps it.
class runner {
    task<> body_;
    bool ended_ = false;

public:
    explicit runner(task<> t) noexcept : body_{std::move(t)} {
        body_.start([](void* self) noexcept { static_cast<runner*>(self)->ended_ = true; }, this);
    }
    runner(const runner&) = delete;
    bool ended() const noexcept { return ended_; }
};

template <class T>
task<> keep(task<T> work, std::optional<T>& value) {
    value.emplace(co_await work);
}

/// One step of a loop over virtual time: what is ready, or else the next timer. False: nothing left to do.
inline bool step(scheduler& loop) noexcept {
    if (loop.run_ready())
        return true;
    const instant next = loop.next_deadline();
    if (next == never)
        return false;
    loop.advance(next);
    return true;
}

inline void drain(scheduler& loop) noexcept {
    while (step(loop)) {
    }
}

/// `body` ends the process through mirage_panic, with `reason` in what it prints. Runs in a child process.
template <class F>
bool panics(std::string_view reason, F body) {
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        std::signal(SIGABRT, SIG_DFL); // doctest's handler would report the abort
        body();
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char room[256];
    for (ssize_t n = 0; (n = read(ends[0], room, sizeof room)) > 0;)
        said.append(room, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && said.find(reason) != said.npos;
}

/// The next allocations through `new (std::nothrow)` fail while one of these lives (allocation.cpp).
struct memory_is_short {
    static inline bool active = false;
    memory_is_short() noexcept { active = true; }
    ~memory_is_short() { active = false; }
};

} // namespace mirage::test
