// SPDX-License-Identifier: MIT
#include "instruction.hpp"

namespace mirage::tender {

namespace {

constexpr __u64 kvm_regs::*by_number[] = {&kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx,
                                          &kvm_regs::rsp, &kvm_regs::rbp, &kvm_regs::rsi, &kvm_regs::rdi,
                                          &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
                                          &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

/// Octets in order. Behind the last one there are zeros, and `good` is false from then on.
class octet_reader {
    std::span<const std::byte> rest_;
    std::size_t taken_ = 0;

public:
    bool good = true;

    explicit octet_reader(std::span<const std::byte> code) noexcept
        : rest_{code.first(code.size() < longest_instruction ? code.size() : longest_instruction)} {}

    std::uint8_t peek() const noexcept { return rest_.empty() ? 0 : std::to_integer<std::uint8_t>(rest_[0]); }
    std::uint8_t next() noexcept {
        const std::uint8_t octet = peek();
        good = good && !rest_.empty();
        rest_ = rest_.subspan(rest_.empty() ? 0 : 1);
        ++taken_;
        return octet;
    }
    std::int32_t number(unsigned octets) noexcept {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < octets; ++i)
            value |= std::uint32_t{next()} << 8 * i;
        return octets == 1 ? static_cast<std::int8_t>(value) : static_cast<std::int32_t>(value);
    }
    std::uint8_t taken() const noexcept { return static_cast<std::uint8_t>(taken_); }
};

/// Intel SDM vol. 2A, Instruction Prefixes and REX Prefixes.
struct prefixes {
    bool operand_size = false, address_size = false;
    std::uint64_t base = 0; ///< of FS or GS, when named
    std::uint8_t rex = 0;

    unsigned bit(unsigned which) const noexcept { return rex >> which & 1u; }
    std::uint8_t width() const noexcept { return bit(3) != 0 ? 8 : operand_size ? 2 : 4; }
};

prefixes take_prefixes(octet_reader& code, const kvm_sregs& s) {
    prefixes p;
    for (; code.good; (void)code.next()) {
        const std::uint8_t octet = code.peek();
        switch (octet) {
        case 0x66: p.operand_size = true; break;
        case 0x67: p.address_size = true; break;
        case 0x64: p.base = s.fs.base; break;
        case 0x65: p.base = s.gs.base; break;
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0xf0: case 0xf2: case 0xf3: break;
        default:
            if ((octet & 0xf0) != 0x40)
                return p;
        }
        p.rex = (octet & 0xf0) == 0x40 ? octet : 0; // counts only directly before the opcode
    }
    return p;
}

/// ModRM with what follows it (Intel SDM vol. 2A, 64-Bit Addressing Forms).
void take_operand(octet_reader& code, const prefixes& p, kvm_regs r, instruction& i) {
    const std::uint8_t modrm = code.next();
    const unsigned mode = modrm >> 6, rm = modrm & 7;
    i.reg = static_cast<std::uint8_t>((modrm >> 3 & 7) | p.bit(2) << 3);
    i.rm = static_cast<std::uint8_t>(rm | p.bit(0) << 3);
    i.in_memory = mode != 3;
    if (!i.in_memory)
        return;
    std::uint64_t address = 0;
    bool no_base = rm == 5 && mode == 0, by_rip = no_base;
    unsigned base = i.rm;
    if (rm == 4) {
        const std::uint8_t sib = code.next();
        const unsigned index = (sib >> 3 & 7) | p.bit(1) << 3;
        base = (sib & 7) | p.bit(0) << 3;
        no_base = (sib & 7) == 5 && mode == 0;
        if (index != 4)
            address += general_register(r, index) << (sib >> 6);
    }
    if (!no_base)
        address += general_register(r, base);
    const unsigned displacement = mode == 1 ? 1 : mode == 2 || no_base ? 4 : 0;
    if (displacement != 0)
        address += static_cast<std::uint64_t>(std::int64_t{code.number(displacement)});
    if (by_rip) // none of ours has an immediate behind it
        address += r.rip + code.taken();
    i.address = (p.address_size ? address & 0xffffffff : address) + p.base;
}

/// 0F 01: by ModRM.
std::optional<operation> of_group_7(const instruction& i, std::uint8_t modrm) {
    if (modrm == 0xf8)
        return operation::swap_gs;
    if (modrm == 0xd1)
        return operation::write_extended_control;
    switch (i.reg & 7) {
    case 2: return i.in_memory ? std::optional{operation::load_gdt} : std::nullopt;
    case 3: return i.in_memory ? std::optional{operation::load_idt} : std::nullopt;
    case 6: return operation::other; // LMSW
    case 7: return i.in_memory ? std::optional{operation::invalidate} : std::nullopt;
    default: return {};
    }
}

std::optional<operation> of_two_octets(octet_reader& code, const prefixes& p, const kvm_regs& r, instruction& i) {
    const std::uint8_t opcode = code.next(), modrm = code.peek();
    switch (opcode) {
    case 0x00:
        take_operand(code, p, r, i);
        return (i.reg & 7) == 3   ? std::optional{operation::load_task}
               : (i.reg & 7) == 2 ? std::optional{operation::other} // LLDT
                                  : std::nullopt;
    case 0x01: take_operand(code, p, r, i); return of_group_7(i, modrm);
    case 0x06: return operation::clear_task_switched;
    case 0x08:
    case 0x09: return operation::invalidate;
    case 0x20:
    case 0x22: // always between registers, whatever the mode bits say, and of 8 octets
        i.reg = static_cast<std::uint8_t>((modrm >> 3 & 7) | p.bit(2) << 3);
        i.rm = static_cast<std::uint8_t>((modrm & 7) | p.bit(0) << 3);
        i.width = 8;
        (void)code.next();
        return opcode == 0x20 ? operation::read_control : operation::write_control;
    case 0x21:
    case 0x23: (void)code.next(); return operation::other; // debug registers
    case 0x30: return operation::write_model_specific;
    case 0x32: return operation::read_model_specific;
    case 0x07:                                  // SYSRET
    case 0x33:                                  // RDPMC
    case 0x35: return operation::other; // SYSEXIT
    default: return {};
    }
}

std::optional<operation> of_ports(octet_reader& code, std::uint8_t opcode, const prefixes& p, const kvm_regs& r,
                                  instruction& i) {
    const bool by_immediate = opcode >= 0xe4 && opcode <= 0xe7;
    i.immediate = by_immediate ? code.next() : static_cast<std::uint16_t>(r.rdx);
    i.width = (opcode & 1) == 0 ? 1 : p.operand_size ? 2 : 4;
    return (opcode & 2) != 0 ? operation::port_out : operation::port_in;
}

} // namespace

__u64& general_register(kvm_regs& r, unsigned number) noexcept {
    return r.*by_number[number & 15];
}

std::optional<instruction> decode_privileged(std::span<const std::byte> octets, const kvm_regs& r, const kvm_sregs& s) {
    octet_reader code{octets};
    const prefixes p = take_prefixes(code, s);
    instruction i{.width = p.width()};
    std::optional<operation> what;
    switch (const std::uint8_t opcode = code.next(); opcode) {
    case 0x0f: what = of_two_octets(code, p, r, i); break;
    case 0x6c: case 0x6d: case 0x6e: case 0x6f:
    case 0xe4: case 0xe5: case 0xe6: case 0xe7:
    case 0xec: case 0xed: case 0xee: case 0xef: what = of_ports(code, opcode, p, r, i); break;
    case 0x8e: take_operand(code, p, r, i), what = operation::load_segment; break;
    case 0xca: i.immediate = static_cast<std::uint16_t>(code.number(2)), what = operation::far_return; break;
    case 0xcb: what = operation::far_return; break;
    case 0xcd: i.immediate = code.next(), what = operation::interrupt; break;
    case 0xcf: what = operation::interrupt_return; break;
    case 0xf4: what = operation::halt; break;
    case 0xfa: what = operation::clear_interrupts; break;
    case 0xfb: what = operation::set_interrupts; break;
    case 0xff:
        take_operand(code, p, r, i);
        if (i.in_memory && (i.reg & 7) == 5)
            what = operation::far_jump;
        else if (i.in_memory && (i.reg & 7) == 3)
            what = operation::other; // a far call
        break;
    default: break;
    }
    if (!what || !code.good)
        return {};
    i.what = *what;
    i.length = code.taken();
    return i;
}

} // namespace mirage::tender
