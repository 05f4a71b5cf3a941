// SPDX-License-Identifier: MIT
#pragma once
#include "memory.hpp"
#include "mirage/hosted/unique_fd.hpp"
#include <linux/kvm.h>

namespace mirage::tender {

/// A virtual machine with one processor, by Linux's KVM.
class virtual_machine {
    hosted::unique_fd kvm_, vm_, vcpu_;
    kvm_run* run_ = nullptr;

public:
    /// Opens /dev/kvm. The error says whether it is absent, not permitted or unusable, and what to do.
    static outcome<virtual_machine> open();

    outcome<> map(const guest_memory& memory);
    outcome<> create_processor();
    /// Lets a 4-octet OUT to `port` signal `descriptor` without leaving the guest. False: KVM cannot.
    bool bind_port(std::uint16_t port, int descriptor) noexcept;
    bool can_bind_ports() const noexcept;
    /// Of the TSC, in Hz.
    outcome<std::uint64_t> tsc_frequency() const;

    int vcpu() const noexcept { return vcpu_.get(); }
    kvm_run& run() const noexcept { return *run_; }
    /// Runs the guest until it needs us. 0, or errno.
    int enter() const noexcept;
};

/// All memory, for 64-bit code or for data, in the ring that `selector` asks for.
kvm_segment flat_segment(std::uint16_t selector, bool code) noexcept;

} // namespace mirage::tender
