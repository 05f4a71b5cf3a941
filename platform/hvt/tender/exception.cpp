// SPDX-License-Identifier: MIT
// Exceptions to the guest's own handlers (Intel SDM vol. 3A, Exception and Interrupt Handling in 64-bit Mode).
#include "ring_0.hpp"
#include "report.hpp"

namespace mirage::tender {

namespace {

bool has_error_code(const exception& e) {
    constexpr std::uint32_t with = 1u << double_fault | 1u << invalid_task | 1u << segment_not_present | 1u << stack_fault
                                   | 1u << general_protection | 1u << page_fault | 1u << 17 | 1u << 21;
    return !e.by_instruction && e.vector < 32 && (with >> e.vector & 1) != 0;
}

/// Those that become a double fault when a second one follows (Intel SDM vol. 3A, Interrupt 8).
bool is_contributory(const exception& e) {
    return !e.by_instruction && (e.vector == 0 || (e.vector >= invalid_task && e.vector <= page_fault));
}

struct gate {
    std::uint64_t handler = 0;
    std::uint16_t selector = 0;
    unsigned stack = 0; ///< of the interrupt stack table; 0: the current one
    bool disables_interrupts = false;
};

/// Error codes that name a gate: bit 1 says IDT, bit 0 that no instruction asked for it.
exception about_gate(std::uint8_t vector, const exception& e) {
    return {vector, e.vector * 8u + 2 + (e.by_instruction ? 0 : 1)};
}

std::variant<gate, exception> find_gate(const standing_guest& g, const exception& e) {
    const auto& idt = g.virtualized.idt;
    const std::uint64_t at = idt.base + e.vector * std::uint64_t{16};
    if (e.vector * 16u + 15 > idt.limit)
        return about_gate(general_protection, e);
    const auto low = g.read(at, 8), high = g.read(at + 8, 8);
    if (!low || !high)
        return exception{page_fault, 0, at};
    const unsigned type = *low >> 40 & 31;
    constexpr unsigned interrupt_gate = 14, trap_gate = 15;
    if (type != interrupt_gate && type != trap_gate)
        return about_gate(general_protection, e);
    if ((*low >> 47 & 1) == 0)
        return about_gate(segment_not_present, e);
    return gate{(*low & 0xffff) | (*low >> 32 & 0xffff0000) | *high << 32, static_cast<std::uint16_t>(*low >> 16),
                static_cast<unsigned>(*low >> 32 & 7), type == interrupt_gate};
}

/// The stack of `which` from the task state segment (Intel SDM vol. 3A, Interrupt Stack Table).
std::variant<std::uint64_t, exception> find_stack(const standing_guest& g, unsigned which) {
    const auto& task = g.virtualized.task;
    const std::uint32_t offset = 36 + (which - 1) * 8;
    if (offset + 7 > task.limit)
        return exception{invalid_task, g.virtualized.task_selector & 0xfffcu};
    const auto top = g.read(task.base + offset, 8);
    if (!top)
        return exception{page_fault, 0, task.base + offset};
    if (!is_canonical(*top))
        return exception{stack_fault, 0};
    return *top;
}

verdict enter_handler(standing_guest& g, const exception& e) {
    const auto found = find_gate(g, e);
    if (const auto* const wrong = std::get_if<exception>(&found))
        return *wrong;
    const gate& to = std::get<gate>(found);
    if (const verdict good = check_code_segment(g, to.selector); good.index() != 0)
        return good;
    if (!is_canonical(to.handler))
        return exception{general_protection, 0};
    std::uint64_t top = g.r.rsp;
    if (to.stack != 0) {
        const auto other = find_stack(g, to.stack);
        if (const auto* const wrong = std::get_if<exception>(&other))
            return *wrong;
        top = std::get<std::uint64_t>(other);
    }
    const std::uint64_t flags = (g.r.rflags & ~interrupt_flag) | (g.virtualized.interrupts ? interrupt_flag : 0);
    const std::uint64_t frame[] = {e.error_code, g.r.rip, g.virtualized.cs, flags, g.r.rsp, g.virtualized.ss};
    const std::size_t first = has_error_code(e) ? 0 : 1, size = sizeof frame - first * 8;
    const std::uint64_t bottom = (top & ~std::uint64_t{15}) - size;
    const auto place = g.memory.writable(bottom, size);
    if (place.empty()) // a write: present, if it may be read
        return exception{page_fault, 2u | (g.readable(bottom, size).empty() ? 0u : 1u), bottom + size - 8};
    std::memcpy(place.data(), frame + first, size);
    g.virtualized.cs = to.selector;
    if (to.disables_interrupts)
        g.virtualized.interrupts = false;
    g.r.rip = to.handler;
    g.r.rsp = bottom;
    g.r.rflags &= ~(trap_flag | nested_task | resume_flag | virtual_8086);
    return {};
}

} // namespace

outcome<> deliver(standing_guest& g, const exception& first) {
    exception now = first;
    for (;;) {
        if (now.vector == page_fault && !now.by_instruction)
            g.virtualized.cr2 = now.address; // before there is a handler, as the processor does it
        const verdict tried = enter_handler(g, now);
        if (tried.index() == 0)
            return {};
        if (const auto* const why = std::get_if<std::string>(&tried))
            return failure(*why);
        const exception& next = std::get<exception>(tried);
        if (now.vector == double_fault && !now.by_instruction)
            return failure(triple_fault);
        const bool doubled = is_contributory(now) && is_contributory(next)
                             && (now.vector == page_fault || next.vector != page_fault);
        if (doubled && next.vector == page_fault)
            g.virtualized.cr2 = next.address;
        now = doubled ? exception{double_fault, 0} : next;
    }
}

} // namespace mirage::tender
