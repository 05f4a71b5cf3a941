// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <linux/kvm.h>
#include <optional>
#include <span>

namespace mirage::tender {

/// What ring 0 may do and ring 3 may not (Intel SDM vol. 3A, Privileged Instructions), and what depends on segments that
/// only ring 0 may load.
enum class operation : std::uint8_t {
    load_gdt, load_idt, load_task, ///< LGDT, LIDT; LTR
    load_segment,                  ///< MOV to the segment register `reg`
    far_return,                    ///< RETF; `immediate` is what it takes off the stack behind the address
    far_jump,                      ///< JMP m16:32, m16:64
    interrupt,                     ///< INT `immediate`
    interrupt_return,              ///< IRET
    read_control, write_control,   ///< MOV from and to the control register `reg`
    read_model_specific, write_model_specific, ///< RDMSR, WRMSR
    write_extended_control,        ///< XSETBV
    clear_task_switched,           ///< CLTS
    swap_gs,
    clear_interrupts, set_interrupts, ///< CLI, STI
    halt,
    invalidate,                    ///< of caches: INVLPG, INVD, WBINVD
    port_in, port_out,             ///< of `width` octets; `immediate` is the port, also where DX names it
    other,                         ///< privileged, and nothing of the above
};

/// One of these instructions, decoded as far as needed to do it for the guest.
struct instruction {
    operation what{};
    std::uint8_t length = 0;   ///< octets, at most 15
    std::uint8_t width = 4;    ///< of the operand, in octets
    std::uint8_t reg = 0;      ///< a segment or control register, by its number
    std::uint8_t rm = 0;       ///< the general register that is the operand
    bool in_memory = false;    ///< the operand lies at `address` instead
    std::uint64_t address = 0; ///< guest-virtual
    std::uint16_t immediate = 0;
};

/// The longest instruction (Intel SDM vol. 2A, Instruction Format).
inline constexpr std::size_t longest_instruction = 15;

/// Decodes the 64-bit code at the beginning of `code` with the registers that address its operand. Nothing: ring 3 may
/// execute it, or it goes beyond `code` or 15 octets.
std::optional<instruction> decode_privileged(std::span<const std::byte> code, const kvm_regs& r, const kvm_sregs& s);

/// The general register that instructions call `number`, 0 to 15 (Intel SDM vol. 2A, REX Prefixes).
__u64& general_register(kvm_regs& r, unsigned number) noexcept;

} // namespace mirage::tender
