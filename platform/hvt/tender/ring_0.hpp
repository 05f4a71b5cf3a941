// SPDX-License-Identifier: MIT
#pragma once
#include "instruction.hpp"
#include "kvm.hpp"
#include "memory.hpp"
#include <optional>
#include <span>
#include <variant>

namespace mirage::tender {

/// An exception for the guest (Intel SDM vol. 3A, Exception and Interrupt Reference).
struct exception {
    std::uint8_t vector = 0;
    std::uint32_t error_code = 0;
    std::uint64_t address = 0; ///< of a page fault
    bool by_instruction = false; ///< INT n: has no error code, whatever the vector
};
inline constexpr std::uint8_t invalid_opcode = 6, double_fault = 8, invalid_task = 10, segment_not_present = 11,
                              stack_fault = 12, general_protection = 13, page_fault = 14;

/// Of RFLAGS (Intel SDM vol. 1, EFLAGS Register).
inline constexpr std::uint64_t trap_flag = 1 << 8, interrupt_flag = 1 << 9, nested_task = 1 << 14, resume_flag = 1 << 16,
                               virtual_8086 = 1 << 17;

/// How an attempt of the guest's ends: it is done; the processor would raise an exception; or, with the reason, we cannot
/// go on.
using verdict = std::variant<std::monostate, exception, std::string>;

/// The registers of ring 0 as a guest believes that it has set them, while it runs in ring 3. It starts with what the ABI
/// gives it (hvt ABI version 2, machine state at entry).
struct ring_0 {
    struct table {
        std::uint64_t base = 0;
        std::uint32_t limit = 0;
    };
    table gdt{0x1000, 23}, idt{}, task{}; ///< guest-virtual
    std::uint16_t cs = 8, ss = 16, task_selector = 0;
    std::uint64_t cr0 = 0x80010021, cr2 = 0, cr4 = 0x620, cr8 = 0, efer = 0x500;
    std::uint64_t kernel_gs_base = 0, syscall[4]{}; ///< STAR, LSTAR, CSTAR, SFMASK: kept, and without effect
    bool interrupts = false;                        ///< RFLAGS.IF; there are none
};

/// A guest that stands in ring 3: the processor's registers, and those of its ring 0.
struct standing_guest {
    const virtual_machine& machine;
    const guest_memory& memory;
    ring_0& virtualized;
    kvm_regs r{};
    kvm_sregs s{};

    /// What the tender's tables map for it, which is at the address that it says. Empty: a page fault.
    std::span<const std::byte> readable(std::uint64_t address, std::uint64_t size) const noexcept {
        return address < BOOT_INFO_ADDRESS ? std::span<const std::byte>{} : memory.readable(address, size);
    }
    /// A number of `width` octets; nothing: a page fault.
    std::optional<std::uint64_t> read(std::uint64_t address, unsigned width) const noexcept {
        const auto from = readable(address, width);
        std::uint64_t value = 0;
        if (from.empty())
            return {};
        std::memcpy(&value, from.data(), width);
        return value;
    }
};

/// A descriptor of the guest's GDT (Intel SDM vol. 3A, Segment Descriptors).
struct descriptor {
    std::uint64_t low = 0;
    bool bit(unsigned which) const noexcept { return (low >> which & 1) != 0; }
    unsigned type() const noexcept { return low >> 40 & 15; }
    unsigned privilege() const noexcept { return low >> 45 & 3; }
    bool is_segment() const noexcept { return bit(44); }
    bool present() const noexcept { return bit(47); }
    bool is_code() const noexcept { return is_segment() && (type() & 8) != 0; }
    bool is_64_bit() const noexcept { return bit(53); }
    std::uint64_t base() const noexcept { return (low >> 16 & 0xffffff) | (low >> 56 & 0xff) << 24; }
    std::uint32_t limit() const noexcept { return static_cast<std::uint32_t>((low & 0xffff) | (low >> 32 & 0xf0000)); }
};

/// The one that `selector` names; nothing: it is beyond the GDT, or of an LDT.
std::optional<descriptor> find_descriptor(const standing_guest& g, std::uint16_t selector);
/// Whether `selector` can be CS of ring 0: 64-bit code, as hvt guests have it.
verdict check_code_segment(const standing_guest& g, std::uint16_t selector);
/// Whether bits 63 to 47 are the same (Intel SDM vol. 1, Canonical Addressing).
constexpr bool is_canonical(std::uint64_t address) noexcept {
    return address + (std::uint64_t{1} << 47) < std::uint64_t{1} << 48;
}

/// Does `i` for the guest, as ring 0 would, and goes on behind it.
verdict emulate(standing_guest& g, const instruction& i);

/// Enters the handler that the guest's IDT names, as the processor would; when that fails, those of the faults that follow
/// from it. The error: a triple fault.
outcome<> deliver(standing_guest& g, const exception& e);

} // namespace mirage::tender
