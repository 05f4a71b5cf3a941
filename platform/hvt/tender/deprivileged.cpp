// SPDX-License-Identifier: MIT
#include "deprivileged.hpp"
#include "boot.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace {

constexpr std::uint8_t trap_port = 0xf0; // closed to ring 3
constexpr std::uint16_t user_code = 0x0b, user_data = 0x13, data = 0x10, kernel_code = 0x18, task_selector = 0x20;
constexpr std::size_t exceptions = 32;

/// All of ring 0 that there is, in a page of its own: reserved by the ABI, and only for ring 0 in our page tables.
struct supervisor_page {
    /// Null, code and data of ring 3, code of ring 0, and the task (Intel SDM vol. 3A, Segment Descriptors).
    std::uint64_t gdt[8]{};
    /// Intel SDM vol. 3A, 64-Bit Mode IDT.
    struct gate {
        std::uint64_t low = 0, high = 0;
    } idt[exceptions]{};
    /// `out %al, $trap_port`, and a jump to it: which one it is tells of the exception.
    struct handler {
        std::uint8_t code[16]{0xe6, trap_port, 0xeb, 0xfc};
    } handlers[exceptions]{};
    /// Intel SDM vol. 3A, 64-Bit TSS, and I/O Permission Bit Map. Halves of the stack pointers, because they lie askew.
    struct {
        std::uint32_t reserved = 0, stack[2]{}, more[22]{};
        std::uint16_t zero = 0, ports_at = 104;
        std::uint8_t closed_ports[0x610 / 8]{};
        std::uint8_t end = 0xff;
    } task{};
    alignas(16) std::byte stack[512]{};
    std::byte unused[4096 - 8 * 8 - exceptions * 32 - 304 - 512]{};
};
static_assert(sizeof(supervisor_page) == 4096);

constexpr std::uint64_t page_at = 0x9000;
constexpr std::uint64_t at(std::size_t member) { return page_at + member; }
constexpr std::uint64_t handlers_at = at(offsetof(supervisor_page, handlers)), idt_at = at(offsetof(supervisor_page, idt)),
                        task_at = at(offsetof(supervisor_page, task)),
                        stack_at = at(offsetof(supervisor_page, stack)), stack_end = stack_at + 512;

constexpr std::uint32_t task_limit = offsetof(decltype(supervisor_page::task), end);

supervisor_page make_page() {
    supervisor_page p;
    p.gdt[1] = 0x00aff9000000ffff; // code, execute only, as the guest's
    p.gdt[2] = 0x00cff3000000ffff;
    p.gdt[3] = 0x00af9b000000ffff;
    p.gdt[4] = task_limit | (task_at & 0xffffff) << 16 | std::uint64_t{0x8b} << 40;
    for (std::size_t i = 0; i < exceptions; ++i) {
        constexpr std::uint64_t breakpoint = 3, overflow = 4;
        const std::uint64_t handler = handlers_at + i * sizeof(supervisor_page::handler);
        const std::uint64_t type = i == breakpoint || i == overflow ? 0xee : 0x8e; // INT3 is for ring 3, too
        p.idt[i].low = (handler & 0xffff) | std::uint64_t{kernel_code} << 16 | type << 40;
    }
    p.task.stack[0] = static_cast<std::uint32_t>(stack_end);
    std::ranges::fill(p.task.closed_ports, std::uint8_t{0xff});
    // Accesses of four octets look at four bits: eight ports at a time will do.
    for (unsigned port = PORT_WALLTIME; port <= PORT_HALT + 3; ++port)
        p.task.closed_ports[port / 8] = 0;
    p.task.closed_ports[PORT_RING_KICK / 8] = 0;
    return p;
}

/// Opens what the guest has to ring 3, and maps our page for ring 0.
void open_page_tables(const guest_memory& memory) {
    constexpr std::uint64_t present = 1, writable = 2, user = 4, page = 4096;
    for (std::uint64_t table = low_memory::pml4; table <= low_memory::page_table; table += page) {
        std::uint64_t entries[page / 8];
        std::memcpy(entries, memory.base() + table, page);
        for (std::uint64_t& entry : entries)
            entry |= (entry & present) != 0 ? user : 0;
        if (table == low_memory::page_table)
            entries[page_at / page] = page_at | present | writable;
        std::memcpy(memory.base() + table, entries, page);
    }
}

bool has_error_code(std::size_t vector) {
    constexpr std::uint32_t with = 0x227d00; // 8, 10 to 14, 17, 21
    return (with >> vector & 1) != 0;
}

/// What the processor says of an exception in ring 3 as it would have in ring 0.
exception in_ring_0(std::uint8_t vector, std::uint32_t error_code, std::uint64_t cr2) {
    constexpr std::uint32_t protected_page = 1, user = 4;
    if (vector == page_fault)
        error_code &= ~(user | (cr2 < BOOT_INFO_ADDRESS ? protected_page : 0u)); // our page is not there for it
    return {vector, error_code, cr2};
}

} // namespace

outcome<> deprivileged::begin() {
    kvm_sregs s{};
    if (::ioctl(machine_.vcpu(), KVM_GET_SREGS, &s) != 0)
        return failure(std::string{"KVM_GET_SREGS: "} + std::strerror(errno));
    open_page_tables(memory_);
    const supervisor_page page = make_page();
    std::memcpy(memory_.base() + page_at, &page, sizeof page);
    s.cs = flat_segment(user_code, true);
    s.ss = flat_segment(user_data, false);
    s.ds = s.es = s.fs = s.gs = flat_segment(user_data, false);
    s.ds.selector = s.es.selector = s.fs.selector = s.gs.selector = data;
    s.gdt.base = page_at;
    s.gdt.limit = sizeof page.gdt - 1;
    s.idt.base = idt_at;
    s.idt.limit = sizeof page.idt - 1;
    s.tr.base = task_at;
    s.tr.limit = task_limit;
    s.tr.selector = task_selector;
    if (::ioctl(machine_.vcpu(), KVM_SET_SREGS, &s) != 0)
        return failure(std::string{"KVM does not start it in ring 3: KVM_SET_SREGS: "} + std::strerror(errno)
                       + "; start it with --ring=0");
    return {};
}

bool deprivileged::has_trapped(const kvm_run& run) const noexcept {
    return run.exit_reason == KVM_EXIT_IO && run.io.direction == KVM_EXIT_IO_OUT && run.io.port == trap_port;
}

verdict deprivileged::answer(standing_guest& g, const exception& e) const {
    // What ring 0 may do fails in ring 3 by a protection, or before that by what else the processor looks at: RETF, for
    // one, by a stack pointer for another ring, which there need not be. Done for ring 0, it raises what is raised there.
    // INT n is an invalid opcode for ring 3 where KVM emulates ring 0.
    if ((e.vector < invalid_task || e.vector > page_fault) && e.vector != invalid_opcode)
        return e;
    // Of an instruction at memory's end there may be less than 15 octets, and it may be complete all the same.
    auto code = g.readable(g.r.rip, 1);
    if (!code.empty())
        code = g.readable(g.r.rip, std::min<std::uint64_t>(longest_instruction, memory_.size() - g.r.rip));
    const auto i = decode_privileged(code, g.r, g.s);
    if (!i || (e.vector == invalid_opcode && i->what != operation::interrupt))
        return e;
    return emulate(g, *i);
}

outcome<> deprivileged::serve() {
    standing_guest g{machine_, memory_, virtualized_};
    if (::ioctl(machine_.vcpu(), KVM_GET_REGS, &g.r) != 0 || ::ioctl(machine_.vcpu(), KVM_GET_SREGS, &g.s) != 0)
        return failure(std::string{"its registers cannot be read: "} + std::strerror(errno));
    const std::uint64_t vector = (g.r.rip - handlers_at) / sizeof(supervisor_page::handler);
    std::uint64_t frame[6]{}; // error code, rip, cs, rflags, rsp, ss
    const std::size_t without_code = vector < exceptions && has_error_code(vector) ? 0 : 1;
    const std::size_t size = sizeof frame - without_code * 8;
    if (vector >= exceptions || g.r.rsp != stack_end - size)
        return failure("the tender's handlers are not where it has put them");
    std::memcpy(frame + without_code, memory_.base() + g.r.rsp, size);
    g.r.rip = frame[1];
    g.r.rflags = frame[3];
    g.r.rsp = frame[4];
    g.s.cs = flat_segment(user_code, true);
    g.s.ss = flat_segment(user_data, false);

    const exception raised = in_ring_0(static_cast<std::uint8_t>(vector), static_cast<std::uint32_t>(frame[0]), g.s.cr2);
    const verdict answered = answer(g, raised);
    outcome<> done;
    if (const auto* const e = std::get_if<exception>(&answered))
        done = deliver(g, *e);
    else if (const auto* const why = std::get_if<std::string>(&answered))
        done = failure(*why);
    g.s.cr2 = virtualized_.cr2;
    if (::ioctl(machine_.vcpu(), KVM_SET_SREGS, &g.s) != 0 || ::ioctl(machine_.vcpu(), KVM_SET_REGS, &g.r) != 0)
        return failure(std::string{"its registers cannot be set: "} + std::strerror(errno));
    return done;
}

void deprivileged::show(register_file& file) const noexcept {
    file.set(register_file::cs, virtualized_.cs);
    file.set(register_file::ss, virtualized_.ss);
    const std::uint64_t flags = file.get(register_file::eflags) & ~interrupt_flag;
    file.set(register_file::eflags, flags | (virtualized_.interrupts ? interrupt_flag : 0));
}

bool emulates_ring_0(const virtual_machine& machine, const guest_memory& memory) {
    // Page tables of their own: KVM may remember what it has seen of the guest's.
    constexpr std::uint64_t tables = 0xd000, code_at = 0xc000, page = 4096, present_writable = 3, large = 0x80;
    constexpr std::uint8_t code[] = {0x66, 0x0f, 0xfe, 0xc0, 0xf4}; // paddd %xmm0, %xmm0; hlt
    const std::uint64_t entries[] = {(tables + page) | present_writable, (tables + 2 * page) | present_writable,
                                     present_writable | large};
    kvm_sregs before{};
    kvm_regs registers{};
    if (::ioctl(machine.vcpu(), KVM_GET_SREGS, &before) != 0 || ::ioctl(machine.vcpu(), KVM_GET_REGS, &registers) != 0)
        return false;
    for (std::size_t i = 0; i < std::size(entries); ++i)
        std::memcpy(memory.base() + tables + i * page, &entries[i], sizeof entries[i]);
    std::memcpy(memory.base() + code_at, code, sizeof code);
    kvm_sregs s = before;
    s.cr3 = tables;
    kvm_regs r{};
    r.rip = code_at;
    r.rflags = 2;
    bool emulated = false;
    if (::ioctl(machine.vcpu(), KVM_SET_SREGS, &s) == 0 && ::ioctl(machine.vcpu(), KVM_SET_REGS, &r) == 0) {
        int error;
        do
            error = machine.enter();
        while (error == EINTR);
        emulated = error == 0 && machine.run().exit_reason == KVM_EXIT_INTERNAL_ERROR;
    }
    std::memset(memory.base() + code_at, 0, 4 * page);
    return ::ioctl(machine.vcpu(), KVM_SET_SREGS, &before) == 0
           && ::ioctl(machine.vcpu(), KVM_SET_REGS, &registers) == 0 && emulated;
}

} // namespace mirage::tender
