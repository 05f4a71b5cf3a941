// SPDX-License-Identifier: MIT
#include "report.hpp"
#include "symbols.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace abi = hvt::abi;

namespace {

void print(const char* name, std::uint64_t value, bool last) {
    std::fprintf(stderr, "%4s %016llx%s", name, static_cast<unsigned long long>(value), last ? "\n" : "  ");
}

constexpr const char* exceptions[] = {"divide error",
                                      "debug",
                                      "NMI",
                                      "breakpoint",
                                      "overflow",
                                      "bound",
                                      "invalid opcode",
                                      "no FPU",
                                      "double fault",
                                      "9",
                                      "invalid TSS",
                                      "segment not present",
                                      "stack segment",
                                      "general protection",
                                      "page fault",
                                      "15",
                                      "x87 error",
                                      "alignment",
                                      "machine check",
                                      "SIMD error",
                                      "virtualization",
                                      "control protection"};

} // namespace

void report_fault(const guest_memory& memory, std::uint64_t cookie, std::span<const std::byte> image) {
    const auto room = memory.readable(cookie, 512);
    if (cookie == 0 || room.empty())
        return;
    abi::fault_report r;
    std::memcpy(static_cast<void*>(&r), room.data(), sizeof r);
    const symbol_table symbols{image};
    const bool ours = r.magic == abi::fault_report::magic_value;
    if (ours && r.vector == abi::fault_report::panic_vector)
        say("the guest gave up");
    else
        say(std::string{"the guest faulted"}
            + (ours && r.vector < std::size(exceptions) ? std::string{": "} + exceptions[r.vector] : "")
            + " at " + symbols.describe(r.registers.rip));
    if (!ours) {
        print("cr2", r.registers.cr2, false);
        print("err", r.registers.error_code, false);
        print("rsp", r.registers.rsp, true);
        return;
    }
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(r.depth, std::size(r.frames)); ++i)
        std::fprintf(stderr, "    #%llu  %s\n", static_cast<unsigned long long>(i),
                     symbols.describe(r.frames[i]).c_str());
}

void report_stop(const virtual_machine& machine, const std::string& why, std::span<const std::byte> image,
                 bool deprivileged) {
    kvm_regs r{};
    kvm_sregs s{};
    (void)::ioctl(machine.vcpu(), KVM_GET_REGS, &r);
    (void)::ioctl(machine.vcpu(), KVM_GET_SREGS, &s);
    say("the guest was stopped: " + why);
    std::fprintf(stderr, "  at %s, ring %u%s\n", symbol_table{image}.describe(r.rip).c_str(),
                 deprivileged ? 0u : s.cs.selector & 3u, deprivileged ? " (which runs in ring 3: see --ring)" : "");
    print("rax", r.rax, false), print("rbx", r.rbx, false), print("rcx", r.rcx, false),
        print("rdx", r.rdx, true);
    print("rsi", r.rsi, false), print("rdi", r.rdi, false), print("rbp", r.rbp, false),
        print("rsp", r.rsp, true);
    print("r8", r.r8, false), print("r9", r.r9, false), print("r10", r.r10, false), print("r11", r.r11, true);
    print("r12", r.r12, false), print("r13", r.r13, false), print("r14", r.r14, false),
        print("r15", r.r15, true);
    print("rip", r.rip, false), print("flg", r.rflags, false), print("cr2", s.cr2, false),
        print("cr3", s.cr3, true);
}

std::string describe_port(bool out, unsigned octets, unsigned port) {
    char text[80];
    std::snprintf(text, sizeof text, "an %s of %u octets at port 0x%x is no hypercall", out ? "OUT" : "IN", octets, port);
    return text;
}

std::string describe_exit(const kvm_run& run, int error) {
    if (error == EFAULT) // how KVM reports a write that the host's protection forbids
        return "host/guest translation fault: it wrote to memory that its image declares read-only, or "
               "touched memory "
               "that is not there";
    if (error != 0)
        return std::string{"KVM_RUN: "} + std::strerror(error);
    char text[128];
    switch (run.exit_reason) {
    case KVM_EXIT_SHUTDOWN: return triple_fault;
    case KVM_EXIT_HLT: return halted_for_ever;
    case KVM_EXIT_MMIO:
        std::snprintf(text, sizeof text, "host/guest translation fault: it %s address 0x%llx, which is %s",
                      run.mmio.is_write ? "wrote to" : "read from",
                      static_cast<unsigned long long>(run.mmio.phys_addr),
                      run.mmio.is_write ? "read-only, or no memory" : "no memory");
        return text;
    case KVM_EXIT_INTERNAL_ERROR:
        std::snprintf(text, sizeof text,
                      "KVM cannot emulate its instruction (internal error %u); SSE at ring 0, perhaps? --ring=3 may help",
                      run.internal.suberror);
        return text;
    case KVM_EXIT_FAIL_ENTRY:
        std::snprintf(text, sizeof text, "the processor refuses to enter it (reason 0x%llx)",
                      static_cast<unsigned long long>(run.fail_entry.hardware_entry_failure_reason));
        return text;
    case KVM_EXIT_IO: return describe_port(run.io.direction == KVM_EXIT_IO_OUT, run.io.size, run.io.port);
    default: std::snprintf(text, sizeof text, "KVM exit %u is unknown here", run.exit_reason); return text;
    }
}

} // namespace mirage::tender
