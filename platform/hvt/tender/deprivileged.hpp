// SPDX-License-Identifier: MIT
#pragma once
#include "registers.hpp"
#include "ring_0.hpp"

namespace mirage::tender {

/// A guest that is written for ring 0 and started in ring 3, with the same memory at the same addresses.
///
/// The calls of the ABI go as ever: the task state segment opens their ports. What ring 3 may not do raises an exception
/// to a handler of ours, in a page that the guest has no access to. All handlers do is leave the guest; then we do the
/// instruction for it, on registers of a ring 0 that only exist here, or enter the handler that its own IDT names.
///
/// What the guest can see of it: SGDT, SIDT and STR tell of our tables, and MOV from CS and SS of ring 3; POPF does not
/// change the interrupt flag; SYSCALL is an invalid opcode. It cannot load page tables.
class deprivileged {
    const virtual_machine& machine_;
    const guest_memory& memory_;
    ring_0 virtualized_{};

    verdict answer(standing_guest& g, const exception& e) const;

public:
    deprivileged(const virtual_machine& machine, const guest_memory& memory) noexcept
        : machine_{machine}, memory_{memory} {}

    /// Takes a guest that prepare_processor() has put at its entry point to ring 3.
    outcome<> begin();

    /// Whether this exit of KVM_RUN is our handlers'.
    bool has_trapped(const kvm_run& run) const noexcept;
    /// Serves it. The error: why the guest cannot go on; it stands where the exception was, and not in our handler.
    outcome<> serve();

    /// Puts what the guest believes about its ring into `file`, which has what the processor says.
    void show(register_file& file) const noexcept;
};

/// Whether this machine's KVM emulates ring 0, and executes but part of it: tried out with an SSE instruction. To be asked
/// after prepare_processor() and before the guest runs, of whom nothing changes.
bool emulates_ring_0(const virtual_machine& machine, const guest_memory& memory);

} // namespace mirage::tender
