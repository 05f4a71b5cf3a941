// SPDX-License-Identifier: MIT
#include "sandbox.hpp"
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace mirage::tender {

namespace {

// What the run loop, the ring's thread, the reports and a tidy end call.
constexpr unsigned allowed[] = {
    SYS_ioctl,         SYS_read,        SYS_write,          SYS_writev,    SYS_pread64,        SYS_pwrite64,
    SYS_epoll_pwait,   SYS_epoll_ctl,   SYS_timerfd_settime, SYS_clock_gettime, SYS_exit_group, SYS_exit,
    SYS_rt_sigreturn,  SYS_futex,       SYS_mmap,           SYS_mprotect,  SYS_munmap,         SYS_madvise,
    SYS_brk,           SYS_rt_sigprocmask, SYS_close,       SYS_rseq, SYS_set_robust_list,      SYS_fstat,          SYS_newfstatat,
    SYS_restart_syscall, SYS_sched_yield,
};

failure refused(const char* what) {
    return failure(std::string{"the sandbox cannot be set up: "} + what + ": " + std::strerror(errno));
}

/// libseccomp would do the same with a dependency, and 2 ms of start-up.
std::vector<sock_filter> filter() {
    std::vector<sock_filter> f;
    constexpr auto count = static_cast<std::uint8_t>(std::size(allowed));
    f.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    f.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (std::uint8_t i = 0; i < count; ++i)
        f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], static_cast<std::uint8_t>(count - i), 0));
    f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return f;
}

} // namespace

outcome<> enter_sandbox() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return refused("no_new_privs");
    for (int cap = 0; cap <= CAP_LAST_CAP; ++cap) // needs CAP_SETPCAP: who has none has nothing to drop
        (void)::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2]{};
    if (::syscall(SYS_capset, &header, none) != 0)
        return refused("capabilities");
    auto program = filter();
    const sock_fprog list{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &list) != 0)
        return refused("seccomp");
    return {};
}

} // namespace mirage::tender
