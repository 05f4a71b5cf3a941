// SPDX-License-Identifier: MIT
#pragma once
#include "kvm.hpp"
#include "memory.hpp"
#include "mirage/hvt/abi.hpp"
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mirage::tender {

/// The registers of a processor as gdb numbers them, in the octets that its protocol carries.
class register_file {
public:
    /// gdb's org.gnu.gdb.i386.core, .sse and .segments, in this order.
    enum number : unsigned { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, eflags,
                             cs, ss, ds, es, fs, gs, st0, fctrl = st0 + 8, xmm0 = fctrl + 8, mxcsr = xmm0 + 16,
                             fs_base, gs_base, count };
    static constexpr std::size_t size = 17 * 8 + 7 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4 + 2 * 8;

    std::byte octets[size]{};

    static std::size_t width(unsigned which) noexcept;
    std::span<std::byte> at(unsigned which) noexcept;
    std::uint64_t get(unsigned which) const noexcept;
    void set(unsigned which, std::uint64_t value) noexcept;
};

/// What the processor holds.
register_file read_registers(const virtual_machine& machine);
/// Everything but the segments, which gdb has no business with.
bool write_registers(const virtual_machine& machine, const register_file& values);
/// The registers at the fault that a guest has reported in the room at its HALT cookie; `now` has what it does not say.
std::optional<register_file> registers_of_fault(const guest_memory& memory, std::uint64_t cookie,
                                                const register_file& now);

/// The description of all this for gdb.
std::string target_description();

} // namespace mirage::tender
