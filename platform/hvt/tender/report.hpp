// SPDX-License-Identifier: MIT
#pragma once
#include "kvm.hpp"
#include "memory.hpp"
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mirage::tender {

/// Tells what a guest that gave up has left at its HALT cookie, with the names of functions.
void report_fault(const guest_memory& memory, std::uint64_t cookie, std::span<const std::byte> image);

/// Tells where a guest stood that KVM, or we, had to stop. `deprivileged`: its ring 0 is the processor's ring 3.
void report_stop(const virtual_machine& machine, const std::string& why, std::span<const std::byte> image,
                 bool deprivileged);

/// What ends a guest on any processor.
inline constexpr const char* triple_fault = "triple fault: an exception, and no handler for it";
inline constexpr const char* halted_for_ever = "it executed HLT, and there are no interrupts to wake it";
/// An access to a port that is no call's.
std::string describe_port(bool out, unsigned octets, unsigned port);

/// What a KVM_RUN that cannot go on means, for a person. `error`: errno of the call, or 0.
std::string describe_exit(const kvm_run& run, int error);

} // namespace mirage::tender
