// SPDX-License-Identifier: MIT
#include "control_registers.hpp"
#include <cerrno>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace {

constexpr exception refused{general_protection};

constexpr std::uint64_t task_switched = 8;
constexpr std::uint64_t cr0_passed_on = 0x2 | 0x4 | task_switched | 0x20; // MP, EM, TS, NE
constexpr std::uint64_t cr0_fixed = 0x80000001; // PG, PE
constexpr std::uint64_t cr0_known = 0xe005003f; // and CD, NW, AM, WP, ET
constexpr std::uint64_t extension_type = 0x10;  // always set, once it has been written
// DE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE
constexpr std::uint64_t cr4_passed_on = 0x8 | 0x200 | 0x400 | 0x10000 | 0x40000;
// TSD, PSE, PGE, PCE, UMIP, SMEP, SMAP: all about what ring 3 may not, and the guest is in ring 0
constexpr std::uint64_t cr4_kept = 0x4 | 0x10 | 0x80 | 0x100 | 0x800 | 0x100000 | 0x200000;
constexpr std::uint64_t cr4_fixed = 0x20; // PAE
constexpr std::uint64_t efer_kept = 0x801, efer_fixed = 0x500; // SCE, NXE; LME, LMA

/// Changes `of` as the processor holds it, if it takes that: what it has not, it refuses.
verdict pass_on(standing_guest& g, __u64& of, std::uint64_t value) {
    const std::uint64_t before = of;
    of = value;
    if (::ioctl(g.machine.vcpu(), KVM_SET_SREGS, &g.s) == 0)
        return {};
    of = before;
    return refused;
}

verdict write_cr0(standing_guest& g, std::uint64_t value) {
    constexpr std::uint64_t not_write_through = 0x20000000, cache_disable = 0x40000000;
    if ((value & ~0xffffffffull) != 0 || (value & (not_write_through | cache_disable)) == not_write_through)
        return refused;
    if ((value & cr0_fixed) != cr0_fixed)
        return std::string{"it switches paging off, which hvt guests run with"};
    if (const verdict done = pass_on(g, g.s.cr0, (g.s.cr0 & ~cr0_passed_on) | (value & cr0_passed_on)); done.index() != 0)
        return done;
    g.virtualized.cr0 = (value & cr0_known) | extension_type;
    return {};
}

verdict write_cr4(standing_guest& g, std::uint64_t value) {
    if ((value & ~(cr4_passed_on | cr4_kept | cr4_fixed)) != 0 || (value & cr4_fixed) == 0)
        return refused;
    if (const verdict done = pass_on(g, g.s.cr4, (g.s.cr4 & ~cr4_passed_on) | (value & cr4_passed_on)); done.index() != 0)
        return done;
    g.virtualized.cr4 = value;
    return {};
}

/// The one that ECX names; nullptr: none of ours.
std::uint64_t* find_register(standing_guest& g) {
    const std::uint64_t number = g.r.rcx & 0xffffffff;
    constexpr std::uint32_t star = 0xc0000081, mask = 0xc0000084;
    if (number >= star && number <= mask)
        return &g.virtualized.syscall[number - star];
    return number == 0xc0000102 ? &g.virtualized.kernel_gs_base : nullptr;
}

__u64* find_base(standing_guest& g) {
    const std::uint64_t number = g.r.rcx & 0xffffffff;
    return number == 0xc0000100 ? &g.s.fs.base : number == 0xc0000101 ? &g.s.gs.base : nullptr;
}

constexpr std::uint32_t efer_number = 0xc0000080, mask_number = 0xc0000084, star_number = 0xc0000081;

} // namespace

verdict read_control_register(standing_guest& g, const instruction& i) {
    auto& to = general_register(g.r, i.rm);
    switch (i.reg) {
    case 0: to = g.virtualized.cr0; return {};
    case 2: to = g.virtualized.cr2; return {};
    case 3: to = g.s.cr3; return {};
    case 4: to = g.virtualized.cr4; return {};
    case 8: to = g.virtualized.cr8; return {};
    default: return exception{invalid_opcode};
    }
}

verdict write_control_register(standing_guest& g, const instruction& i) {
    const std::uint64_t value = general_register(g.r, i.rm);
    switch (i.reg) {
    case 0: return write_cr0(g, value);
    case 2: g.virtualized.cr2 = value; return {};
    case 3:
        if (value == g.s.cr3)
            return {};
        return std::string{"it loads page tables of its own, and the tender's keep it in ring 3: start it with --ring=0"};
    case 4: return write_cr4(g, value);
    case 8:
        if (value > 15)
            return refused;
        g.virtualized.cr8 = value;
        return {};
    default: return exception{invalid_opcode};
    }
}

verdict clear_task_switched_flag(standing_guest& g) {
    g.virtualized.cr0 &= ~task_switched;
    g.s.cr0 &= ~task_switched;
    return {};
}

verdict write_extended_control_register(standing_guest& g) {
    kvm_xcrs x{};
    x.nr_xcrs = 1;
    x.xcrs[0].xcr = static_cast<__u32>(g.r.rcx);
    x.xcrs[0].value = (g.r.rdx << 32) | (g.r.rax & 0xffffffff);
    if (x.xcrs[0].xcr != 0 || ::ioctl(g.machine.vcpu(), KVM_SET_XCRS, &x) != 0)
        return refused;
    return {};
}

verdict read_model_specific_register(standing_guest& g) {
    std::uint64_t value = 0;
    if ((g.r.rcx & 0xffffffff) == efer_number)
        value = g.virtualized.efer;
    else if (const __u64* const base = find_base(g))
        value = *base;
    else if (const std::uint64_t* const kept = find_register(g))
        value = *kept;
    else
        return refused;
    g.r.rax = value & 0xffffffff;
    g.r.rdx = value >> 32;
    return {};
}

verdict write_model_specific_register(standing_guest& g) {
    const std::uint64_t value = g.r.rdx << 32 | (g.r.rax & 0xffffffff), number = g.r.rcx & 0xffffffff;
    if (number == efer_number) {
        if ((value & ~(efer_kept | efer_fixed)) != 0 || ((value ^ efer_fixed) & 0x100) != 0)
            return refused;
        g.virtualized.efer = value | efer_fixed;
        return {};
    }
    const bool is_address = number != star_number && number != mask_number;
    if (is_address && !is_canonical(value))
        return refused;
    if (__u64* const base = find_base(g))
        *base = value;
    else if (std::uint64_t* const kept = find_register(g))
        *kept = value;
    else
        return refused;
    return {};
}

} // namespace mirage::tender
