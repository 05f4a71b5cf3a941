// SPDX-License-Identifier: MIT
// A guest in ring 3 whose ring 0 is the tender's: whatever its code, registers, GDT, IDT and TSS say, nothing is read
// outside of its memory, nothing is written where it could not write, and it goes on somewhere or is stopped with a sentence.
#include "../../platform/hvt/tender/control_registers.cpp"
#include "../../platform/hvt/tender/exception.cpp"
#include "../../platform/hvt/tender/instruction.cpp"
#include "../../platform/hvt/tender/memory.cpp"
#include "../../platform/hvt/tender/ring_0.cpp"
#include "support/fuzz.hpp"
#include <algorithm>

using namespace mirage;
using namespace mirage::tender;
using fuzz::expect;

std::string mirage::tender::describe_port(bool, unsigned, unsigned) {
    return "a port";
}

namespace {

constexpr std::uint64_t size = 2 << 20, page = 4096;
constexpr std::uint64_t text_at = IMAGE_BASE, tables_at = text_at + page;

guest_memory make_memory() {
    auto memory = guest_memory::reserve(size, false);
    expect(memory && memory->protect(text_at, tables_at, false), "there is room for a guest");
    return *memory;
}

/// What the guest cannot write to: all below its tables.
void check_untouched(const guest_memory& memory, std::span<const std::byte> text) {
    expect(std::ranges::equal(std::span{memory.base() + text_at, text.size()}, text), "its text is as it was");
    static constexpr std::byte zeros[page]{};
    for (std::uint64_t at = LOW_END - 8 * page; at < LOW_END + 2 * page; at += page) // tables, handlers, boot information
        expect(std::memcmp(memory.base() + at, zeros, page) == 0, "what is the tender's is as it was");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t length) {
    static guest_memory memory = make_memory();
    const virtual_machine none; // passes nothing on
    const auto input = fuzz::input(data, length);
    constexpr std::size_t head = 16 * 8;
    if (input.size() < head + longest_instruction)
        return 0;
    ring_0 virtualized;
    virtualized.gdt = {tables_at, 0x7f};
    virtualized.idt = {tables_at + 0x80, 0x1ff};
    virtualized.task = {tables_at + 0x280, 0x67};
    standing_guest g{none, memory, virtualized};
    for (unsigned i = 0; i < 16; ++i)
        std::memcpy(&general_register(g.r, i), input.data() + 8 * i, 8);
    const auto text = input.subspan(head, longest_instruction), tables = input.subspan(head + longest_instruction);
    (void)::mprotect(memory.base() + text_at, page, PROT_READ | PROT_WRITE);
    std::memcpy(memory.base() + text_at, text.data(), text.size());
    (void)::mprotect(memory.base() + text_at, page, PROT_READ);
    std::memset(memory.base() + tables_at, 0, page);
    std::memcpy(memory.base() + tables_at, tables.data(), std::min<std::size_t>(tables.size(), page));
    g.r.rip = text_at;

    const auto i = decode_privileged(text, g.r, g.s);
    expect(!i || (i->length > 0 && i->length <= longest_instruction), "an instruction has 1 to 15 octets");
    verdict done = i ? emulate(g, *i) : verdict{exception{general_protection}};
    if (const auto* const raised = std::get_if<exception>(&done)) {
        expect(raised->by_instruction ? g.r.rip == text_at + i->length : g.r.rip == text_at, "a fault is at the instruction");
        const auto delivered = deliver(g, *raised);
        expect(delivered || !delivered.error().empty(), "who is stopped learns why");
        expect(!delivered || g.r.rsp % 8 == 0, "handlers begin on an aligned stack");
    } else if (const auto* const why = std::get_if<std::string>(&done)) {
        expect(!why->empty() && g.r.rip == text_at, "who is stopped learns why, and where");
    }
    expect(is_canonical(g.r.rip), "it goes on where the processor can");
    check_untouched(memory, text);
    return 0;
}
