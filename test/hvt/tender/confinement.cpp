// SPDX-License-Identifier: MIT
// What hosted/sandbox.hpp promises, seen from inside a process that has confined itself.
#include "mirage/hosted/sandbox.hpp"
#include <array>
#include <cerrno>
#include <csignal>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace mirage::hosted;
using enum allowed_call::condition;

namespace {

constexpr int could_not_confine = 99;

/// The wait status of a process that confines itself to `list` and exit_group, and then returns what `act`
/// does.
template <class Act>
int confined(std::span<const allowed_call> list, on_violation off_the_list, Act act) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::vector<allowed_call> calls{list.begin(), list.end()};
        calls.push_back({SYS_exit_group});
        if (!drop_privileges() || !restrict_calls(calls, off_the_list))
            ::_exit(could_not_confine);
        ::_exit(act());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

bool ended_with(int status, int code) {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}
bool was_killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

int try_call(long number, long a = 0, long b = 0, long c = 0) {
    return ::syscall(number, a, b, c) >= 0 ? 0 : errno;
}

} // namespace

TEST_CASE("a call on the list works, and one off the list kills or fails") {
    static constexpr allowed_call list[] = {{SYS_getppid}, {SYS_getpid}};
    for (const long number : {SYS_getppid, SYS_getpid})
        CHECK(ended_with(confined(list, on_violation::kill, [=] { return try_call(number); }), 0));
    constexpr long x32 = 0x40000000; // the same numbers for another ABI
    for (const long number : std::initializer_list<long>{SYS_getuid, SYS_read, SYS_execve, SYS_socket,
                                                         0x7fffffff, x32 | SYS_getpid}) {
        CAPTURE(number);
        CHECK(was_killed(confined(list, on_violation::kill, [=] { return try_call(number); })));
        CHECK(ended_with(confined(list, on_violation::fail, [=] { return try_call(number); }), EPERM));
    }
}

TEST_CASE("lists of every size are found in, and nothing beside them") {
    for (const std::size_t size : {1u, 2u, 3u, 7u, 64u, 200u}) {
        std::vector<allowed_call> list;
        for (unsigned i = 0; i < size; ++i)
            list.push_back({1000 + 7 * i}); // no such calls: allowed, they are ENOSYS
        CHECK(ended_with(confined(list, on_violation::fail,
                                  [&] {
                                      for (unsigned n = 995; n < 1000 + 7 * size + 10; ++n) {
                                          const bool listed =
                                              n >= 1000 && (n - 1000) % 7 == 0 && n < 1000 + 7 * size;
                                          if (try_call(n) != (listed ? ENOSYS : EPERM))
                                              return 1;
                                      }
                                      return 0;
                                  }),
                         0));
    }
}

TEST_CASE("conditions on an argument") {
    static constexpr allowed_call list[] = {{SYS_fcntl, equals, 1, F_GETFD},
                                            {SYS_fcntl, equals, 1, F_GETFL},
                                            {SYS_mmap, without_bits, 2, PROT_EXEC}};
    const auto fcntl_of = [&](int command) {
        return confined(list, on_violation::fail, [=] { return try_call(SYS_fcntl, 0, command); });
    };
    CHECK(ended_with(fcntl_of(F_GETFD), 0));
    CHECK(ended_with(fcntl_of(F_GETFL), 0));
    CHECK(ended_with(fcntl_of(F_DUPFD), EPERM));
    const auto mmap_with = [&](int protection) {
        return confined(list, on_violation::fail, [=] {
            return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno
                                                                                                       : 0;
        });
    };
    CHECK(ended_with(mmap_with(PROT_READ | PROT_WRITE), 0));
    CHECK(ended_with(mmap_with(PROT_READ | PROT_EXEC), EPERM));
}

TEST_CASE("descriptors that nobody asked for are closed") {
    const std::array<int, 4> open{::dup(1), ::dup(1), ::dup(1), ::dup(1)};
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const int kept[] = {open[2], open[0]};
        close_other_descriptors(kept);
        const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
        ::_exit(is_open(0) && is_open(1) && is_open(2) && is_open(open[0]) && !is_open(open[1])
                        && is_open(open[2]) && !is_open(open[3])
                    ? 0
                    : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(ended_with(status, 0));
    for (const int fd : open)
        ::close(fd);
}
