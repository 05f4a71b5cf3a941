// SPDX-License-Identifier: MIT
#include "sandbox.hpp"
#include "mirage/hosted/sandbox.hpp"
#include <linux/if_tun.h>
#include <algorithm>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <vector>

namespace mirage::tender {

outcome<> enter_sandbox(bool debugging, bool dumping, bool deprivileged) {
    using hosted::allowed_call;
    using enum allowed_call::condition;
    // What the run loop, the ring's thread, the reports and a tidy end call.
    static constexpr allowed_call calls[] = {
        {SYS_ioctl, equals, 1, KVM_RUN},
        {SYS_read},
        {SYS_readv},
        {SYS_write},
        {SYS_ioctl, equals, 1, TUNSETOFFLOAD},
        {SYS_io_uring_enter}, // a queue that can do no more than read and write: frame_batch
        {SYS_epoll_pwait},
        {SYS_timerfd_settime},
        {SYS_clock_nanosleep},
        {SYS_futex},
        {SYS_pread64},
        {SYS_pwrite64},
        {SYS_fdatasync},
        {SYS_writev},
        {SYS_clock_gettime},
        {SYS_epoll_ctl},
        {SYS_ioctl, equals, 1, static_cast<std::uint32_t>(KVM_GET_REGS)},
        {SYS_ioctl, equals, 1, static_cast<std::uint32_t>(KVM_GET_SREGS)},
        {SYS_mmap, without_bits, 2, PROT_EXEC},
        {SYS_mprotect, without_bits, 2, PROT_EXEC},
        {SYS_munmap},
        {SYS_mremap},
        {SYS_madvise},
        {SYS_brk},
        {SYS_close},
        {SYS_rt_sigreturn},
        {SYS_rt_sigprocmask},
        {SYS_restart_syscall},
        {SYS_set_robust_list}, // a thread's first step
        {SYS_rseq},            // and its second
        {SYS_exit},
        {SYS_exit_group},
    };
    if (!debugging && !dumping && !deprivileged)
        return hosted::restrict_calls(calls, hosted::on_violation::kill);
    const struct {
        std::uint64_t request;
        bool needed;
    } more[] = {{KVM_SET_GUEST_DEBUG, debugging},
                {KVM_SET_REGS, debugging || deprivileged},
                {KVM_SET_SREGS, debugging || deprivileged},
                {KVM_SET_XCRS, deprivileged},
                {KVM_GET_FPU, debugging || dumping},
                {KVM_SET_FPU, debugging}};
    std::vector<allowed_call> all{std::begin(calls), std::end(calls)};
    for (const auto& [request, needed] : more)
        if (needed)
            all.push_back({SYS_ioctl, equals, 1, static_cast<std::uint32_t>(request)});
    if (debugging)
        all.push_back({SYS_recvfrom}); // looks whether gdb has said something
    if (dumping) {
        all.push_back({SYS_mincore});
        all.push_back({SYS_linkat});
    }
    return hosted::restrict_calls(all, hosted::on_violation::kill);
}

} // namespace mirage::tender
