// SPDX-License-Identifier: MIT
// Each function is an instruction of the Intel SDM, vol. 2, in the order of its pseudocode: what it checks at CPL 0, then
// what it does.
#include "ring_0.hpp"
#include "control_registers.hpp"
#include "report.hpp"
#include <utility>

namespace mirage::tender {

namespace {

constexpr exception protection(std::uint32_t error_code = 0) { return {general_protection, error_code}; }
constexpr exception not_there(std::uint64_t address) { return {page_fault, 0, address}; }
constexpr exception about(std::uint8_t vector, std::uint16_t selector) { return {vector, selector & 0xfffcu}; }

/// What the operand holds; nothing: its memory is not there.
std::optional<std::uint64_t> operand(standing_guest& g, const instruction& i, unsigned width) {
    if (i.in_memory)
        return g.read(i.address, width);
    const std::uint64_t value = general_register(g.r, i.rm);
    return width == 8 ? value : value & ((std::uint64_t{1} << 8 * width) - 1);
}

verdict load_table(standing_guest& g, const instruction& i, ring_0::table& to) {
    const auto limit = g.read(i.address, 2), base = g.read(i.address + 2, 8);
    if (!limit || !base)
        return not_there(i.address);
    if (!is_canonical(*base))
        return protection();
    to = {*base, static_cast<std::uint32_t>(*limit)};
    return {};
}

verdict load_task(standing_guest& g, const instruction& i) {
    const auto value = operand(g, i, 2);
    if (!value)
        return not_there(i.address);
    const auto selector = static_cast<std::uint16_t>(*value);
    if ((selector & ~3u) == 0)
        return protection();
    const std::uint64_t at = g.virtualized.gdt.base + (selector & ~7u);
    const auto low = find_descriptor(g, selector);
    const auto high = g.read(at + 8, 8);
    constexpr unsigned available = 9;
    constexpr std::uint64_t busy = std::uint64_t{1} << 41;
    if (!low || !high || (selector & ~7u) + 15 > g.virtualized.gdt.limit || low->is_segment()
        || low->type() != available)
        return about(general_protection, selector);
    if (!low->present())
        return about(segment_not_present, selector);
    const std::uint64_t marked = low->low | busy;
    const auto place = g.memory.writable(at, sizeof marked);
    if (place.empty())
        return exception{page_fault, 3, at};
    std::memcpy(place.data(), &marked, sizeof marked);
    g.virtualized.task = {low->base() | *high << 32, low->limit()};
    g.virtualized.task_selector = selector;
    return {};
}

/// In 64-bit mode only the bases of FS and GS count; all the others are kept to be seen.
verdict load_segment(standing_guest& g, const instruction& i) {
    enum : unsigned { es, cs, ss, ds, fs, gs };
    const auto value = operand(g, i, 2);
    if (!value)
        return not_there(i.address);
    const auto selector = static_cast<std::uint16_t>(*value);
    if (i.reg == cs || i.reg > gs)
        return exception{invalid_opcode};
    descriptor d;
    if ((selector & ~3u) != 0) {
        const auto found = find_descriptor(g, selector);
        if (!found || !found->is_segment())
            return about(general_protection, selector);
        d = *found;
        const bool readable = !d.is_code() || (d.type() & 2) != 0, writable = !d.is_code() && (d.type() & 2) != 0;
        if (i.reg == ss ? !writable || (selector & 3) != 0 || d.privilege() != 0
                        : !readable || d.privilege() < (selector & 3u))
            return about(general_protection, selector);
        if (!d.present())
            return about(i.reg == ss ? stack_fault : segment_not_present, selector);
    } else if (i.reg == ss && selector != 0) {
        return about(general_protection, selector);
    }
    switch (i.reg) {
    case ss: g.virtualized.ss = selector; break;
    case ds: g.s.ds.selector = selector; break;
    case es: g.s.es.selector = selector; break;
    case fs: g.s.fs.selector = selector, g.s.fs.base = d.base(); break;
    default: g.s.gs.selector = selector, g.s.gs.base = d.base();
    }
    return {};
}

/// To another place in ring 0: the only ring that the guest has.
verdict go_to(standing_guest& g, std::uint64_t rip, std::uint64_t selector, std::uint64_t rsp) {
    const auto cs = static_cast<std::uint16_t>(selector);
    if ((cs & 3) != 0)
        return std::string{"it goes to ring 3 itself, and it is in ring 3: start it with --ring=0"};
    if (const verdict good = check_code_segment(g, cs); good.index() != 0)
        return good;
    if (!is_canonical(rip))
        return protection();
    g.virtualized.cs = cs;
    g.r.rip = rip;
    g.r.rsp = rsp;
    return {};
}

verdict far_return(standing_guest& g, const instruction& i) {
    const auto rip = g.read(g.r.rsp, i.width), cs = g.read(g.r.rsp + i.width, i.width);
    if (!rip || !cs)
        return not_there(g.r.rsp);
    return go_to(g, *rip, *cs, g.r.rsp + std::uint64_t{2} * i.width + i.immediate);
}

verdict far_jump(standing_guest& g, const instruction& i) {
    const auto rip = g.read(i.address, i.width), cs = g.read(i.address + i.width, 2);
    if (!rip || !cs)
        return not_there(i.address);
    return go_to(g, *rip, *cs, g.r.rsp);
}

verdict interrupt_return(standing_guest& g, const instruction& i) {
    constexpr std::uint64_t kept = 0x254dd5, always = 2; // CF to OF but for IF and IOPL; NT, RF, AC, ID
    std::uint64_t frame[5]; // rip, cs, rflags, rsp, ss
    for (std::size_t n = 0; n < std::size(frame); ++n) {
        const auto value = g.read(g.r.rsp + n * i.width, i.width);
        if (!value)
            return not_there(g.r.rsp + n * i.width);
        frame[n] = *value;
    }
    if ((g.r.rflags & nested_task) != 0)
        return protection();
    if (const verdict went = go_to(g, frame[0], frame[1], frame[3]); went.index() != 0)
        return went;
    g.r.rflags = (frame[2] & kept) | always;
    g.virtualized.interrupts = (frame[2] & interrupt_flag) != 0;
    g.virtualized.ss = static_cast<std::uint16_t>(frame[4]);
    return {};
}

/// With where the octets are that we can do nothing with.
std::string describe(const standing_guest& g, const instruction& i) {
    std::string text = "an instruction of ring 0 that the tender does not do for a guest in ring 3:";
    for (const std::byte b : g.readable(g.r.rip - i.length, i.length)) {
        char octet[4];
        std::snprintf(octet, sizeof octet, " %02x", std::to_integer<unsigned>(b));
        text += octet;
    }
    return text + "; start it with --ring=0";
}

verdict execute(standing_guest& g, const instruction& i) {
    using enum operation;
    switch (i.what) {
    case load_gdt: return load_table(g, i, g.virtualized.gdt);
    case load_idt: return load_table(g, i, g.virtualized.idt);
    case operation::load_task: return tender::load_task(g, i);
    case operation::load_segment: return tender::load_segment(g, i);
    case operation::far_return: return tender::far_return(g, i);
    case operation::far_jump: return tender::far_jump(g, i);
    case operation::interrupt_return: return tender::interrupt_return(g, i);
    case interrupt: return exception{static_cast<std::uint8_t>(i.immediate), 0, 0, true};
    case read_control: return read_control_register(g, i);
    case write_control: return write_control_register(g, i);
    case read_model_specific: return read_model_specific_register(g);
    case write_model_specific: return write_model_specific_register(g);
    case write_extended_control: return write_extended_control_register(g);
    case clear_task_switched: return clear_task_switched_flag(g);
    case swap_gs: g.s.gs.base = std::exchange(g.virtualized.kernel_gs_base, g.s.gs.base); return {};
    case clear_interrupts: g.virtualized.interrupts = false; return {};
    case set_interrupts: g.virtualized.interrupts = true; return {};
    case halt: return std::string{halted_for_ever};
    case invalidate: return {}; // its page tables never change
    case port_in: return describe_port(false, i.width, i.immediate);
    case port_out: return describe_port(true, i.width, i.immediate);
    case other: break;
    }
    return describe(g, i);
}

} // namespace

std::optional<descriptor> find_descriptor(const standing_guest& g, std::uint16_t selector) {
    constexpr unsigned local = 4;
    const unsigned offset = selector & ~7u;
    if ((selector & local) != 0 || offset + 7 > g.virtualized.gdt.limit)
        return {};
    const auto low = g.read(g.virtualized.gdt.base + offset, 8);
    return low ? std::optional{descriptor{*low}} : std::nullopt;
}

verdict check_code_segment(const standing_guest& g, std::uint16_t selector) {
    if ((selector & ~3u) == 0)
        return protection();
    const auto d = find_descriptor(g, selector);
    if (!d || !d->is_code() || d->privilege() != 0)
        return about(general_protection, selector);
    if (!d->present())
        return about(segment_not_present, selector);
    if (!d->is_64_bit())
        return std::string{"it leaves 64-bit mode, which hvt guests run in"};
    return {};
}

verdict emulate(standing_guest& g, const instruction& i) {
    const std::uint64_t at = g.r.rip, flags = g.r.rflags;
    g.r.rip += i.length;
    g.r.rflags &= ~resume_flag; // the fault has set it
    auto done = execute(g, i);
    const auto* const raised = std::get_if<exception>(&done);
    if (raised != nullptr && !raised->by_instruction)
        g.r.rflags = flags;
    if (done.index() != 0 && (raised == nullptr || !raised->by_instruction))
        g.r.rip = at; // it has not been executed
    return done;
}

} // namespace mirage::tender
