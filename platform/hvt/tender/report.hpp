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

/// Tells where a guest stood that KVM, or we, had to stop.
void report_stop(const virtual_machine& machine, const std::string& why, std::span<const std::byte> image);

/// What a KVM_RUN that cannot go on means, for a person. `error`: errno of the call, or 0.
std::string describe_exit(const kvm_run& run, int error);

} // namespace mirage::tender
