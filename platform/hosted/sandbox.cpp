// SPDX-License-Identifier: MIT
#include "mirage/hosted/sandbox.hpp"
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace mirage::hosted {

namespace {

std::unexpected<std::string> refused(const char* what) {
    return std::unexpected("the sandbox cannot be set up: " + std::string{what} + ": "
                           + std::strerror(errno));
}

/// All conditions of one call's number, the number being known; then its end.
void append_conditions(std::vector<sock_filter>& program, std::span<const allowed_call> same,
                       std::uint32_t otherwise) {
    using enum allowed_call::condition;
    for (const allowed_call& call : same) {
        if (call.when == none) {
            program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            return;
        }
        const auto at = offsetof(seccomp_data, args) + call.argument * sizeof(std::uint64_t);
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(at)));
        if (call.when == equals)
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.value, 0, 1));
        else
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.value, 1, 0));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, otherwise));
}

/// A search by halves for the number, which is loaded: the kernel runs the filter once for every number when
/// it is installed, and that is most of what a sandbox costs a short-lived guest.
void append_search(std::vector<sock_filter>& program, std::span<const allowed_call> sorted,
                   std::uint32_t otherwise) {
    const unsigned first = sorted.front().number;
    const auto next =
        std::ranges::find_if(sorted, [first](const allowed_call& c) { return c.number != first; });
    if (next == sorted.end()) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, otherwise));
        append_conditions(program, sorted, otherwise);
        return;
    }
    const unsigned middle = std::max(sorted[sorted.size() / 2].number, next->number);
    const auto half = std::ranges::lower_bound(sorted, middle, {}, &allowed_call::number);
    // A conditional jump reaches 255 instructions, a plain one all of them.
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, 0, 1));
    const std::size_t jump = program.size();
    program.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
    append_search(program, {sorted.begin(), half}, otherwise);
    program[jump].k = static_cast<std::uint32_t>(program.size() - jump - 1);
    append_search(program, {half, sorted.end()}, otherwise);
}

} // namespace

void close_other_descriptors(std::span<const int> kept) {
    std::vector<int> sorted{kept.begin(), kept.end()};
    std::ranges::sort(sorted);
    unsigned from = 3;
    const auto close_to = [&from](unsigned last) {
        if (from <= last)
            (void)::syscall(SYS_close_range, from, last, 0);
    };
    for (const int fd : sorted)
        if (fd >= static_cast<int>(from)) {
            close_to(static_cast<unsigned>(fd) - 1);
            from = static_cast<unsigned>(fd) + 1;
        }
    close_to(std::numeric_limits<unsigned>::max());
}

std::expected<void, std::string> drop_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return refused("no_new_privs");
    // Ends at the first number that the kernel does not know, or at once for who has none to drop.
    for (int capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
    }
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2]{};
    if (::syscall(SYS_capset, &header, none) != 0)
        return refused("capabilities");
    return {};
}

std::expected<void, std::string> restrict_calls(std::span<const allowed_call> list,
                                                on_violation off_the_list) {
    const std::uint32_t otherwise =
        off_the_list == on_violation::kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    };
    std::vector<allowed_call> sorted{list.begin(), list.end()};
    std::ranges::sort(sorted, {}, &allowed_call::number);
    append_search(program, sorted, otherwise);
    const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &whole) != 0)
        return refused("seccomp");
    return {};
}

} // namespace mirage::hosted
