// SPDX-License-Identifier: MIT
#include "boot.hpp"
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace abi = hvt::abi;

namespace {

constexpr std::uint64_t gdt_at = low_memory::gdt, pml4_at = low_memory::pml4, pdpt_at = low_memory::pdpt,
                        pd_at = low_memory::page_directories, pt_at = low_memory::page_table;
constexpr std::uint64_t present = 1, writable = 2, large = 0x80;
constexpr std::uint64_t small_page = 4096, large_page = 2 << 20;

std::uint64_t* table(const guest_memory& memory, std::uint64_t address) {
    return reinterpret_cast<std::uint64_t*>(memory.base() + address);
}

/// The identity map: nothing below the boot information, that read-only, and all other RAM read-write.
void write_page_tables(const guest_memory& memory) {
    table(memory, pml4_at)[0] = pdpt_at | present | writable;
    for (std::uint64_t g = 0; g < 4; ++g)
        table(memory, pdpt_at)[g] = (pd_at + g * small_page) | present | writable;
    auto* const pd = table(memory, pd_at);
    pd[0] = pt_at | present | writable;
    for (std::uint64_t i = 1; i * large_page < memory.total(); ++i)
        pd[i] = i * large_page | present | writable | large;
    auto* const pt = table(memory, pt_at);
    for (std::uint64_t at = BOOT_INFO_ADDRESS; at < large_page; at += small_page)
        pt[at / small_page] = at | present | (at < IMAGE_BASE ? 0 : writable);
}

kvm_segment segment_register(std::uint16_t selector, std::uint8_t type, bool code) {
    kvm_segment s{};
    s.limit = 0xffffffff;
    s.selector = selector;
    s.type = type;
    s.present = s.s = s.g = 1;
    s.l = code ? 1 : 0;
    s.db = code ? 0 : 1;
    return s;
}

} // namespace

outcome<> load(guest_memory& memory, std::span<const std::byte> file, const image& unikernel) {
    for (const segment& s : unikernel.segments) {
        std::memcpy(memory.base() + s.address, file.data() + s.file_offset,
                    s.file_size); // the rest is zero already
        if (const auto done = memory.protect(s.start, s.end, s.writable); !done)
            return done;
    }
    return {};
}

void write_boot_info(const guest_memory& memory, const image& unikernel, std::uint64_t tsc_frequency,
                     const std::string& arguments, bool with_ring) {
    const std::size_t count = unikernel.devices.size();
    const std::uint64_t mft = BOOT_INFO_ADDRESS + sizeof(abi::boot_info);
    const std::uint64_t cmdline = mft + sizeof(abi::manifest) + count * sizeof(abi::manifest_entry);
    const abi::boot_info info{.mem_size = memory.size(),
                              .kernel_end = unikernel.kernel_end,
                              .cpu_cycle_freq = tsc_frequency,
                              .cmdline = cmdline,
                              .mft = mft,
                              .host_features =
                                  with_ring ? HOST_FEATURE_NET_RING | HOST_FEATURE_POLL_SERVES_RING : 0u,
                              .net_ring = with_ring ? memory.size() : 0};
    const abi::manifest head{.entries = static_cast<std::uint32_t>(count)};
    std::memcpy(memory.base() + BOOT_INFO_ADDRESS, &info, sizeof info);
    std::memcpy(memory.base() + mft, &head, sizeof head);
    std::memcpy(memory.base() + mft + sizeof head, unikernel.devices.data(),
                count * sizeof(abi::manifest_entry));
    std::memcpy(memory.base() + cmdline, arguments.c_str(), arguments.size() + 1);
}

outcome<> prepare_processor(const virtual_machine& machine, const guest_memory& memory, std::uint64_t entry) {
    write_page_tables(memory);
    constexpr std::uint64_t gdt[3] = {0, 0x00af99000000ffff, 0x00cf93000000ffff}; // null, code, data
    std::memcpy(memory.base() + gdt_at, gdt, sizeof gdt);

    kvm_sregs s{};
    if (::ioctl(machine.vcpu(), KVM_GET_SREGS, &s) != 0)
        return failure(std::string{"KVM_GET_SREGS: "} + std::strerror(errno));
    s.cr0 = 0x80010021; // PG, WP, NE, PE
    s.cr3 = pml4_at;
    s.cr4 = 0x620;  // OSXMMEXCPT, OSFXSR, PAE
    s.efer = 0x500; // LMA, LME
    s.cs = segment_register(8, 9, true);
    s.ss = s.ds = s.es = s.fs = s.gs = segment_register(16, 3, false);
    s.gdt.base = gdt_at;
    s.gdt.limit = sizeof gdt - 1;
    s.idt = {};
    s.tr = {};
    s.tr.type = 11;
    s.tr.present = 1;
    s.ldt = {};
    s.ldt.unusable = 1;
    if (::ioctl(machine.vcpu(), KVM_SET_SREGS, &s) != 0)
        return failure(std::string{"KVM_SET_SREGS: "} + std::strerror(errno));
    kvm_regs r{};
    r.rip = entry;
    r.rflags = 2;
    r.rsp = memory.size() - 8;
    r.rdi = BOOT_INFO_ADDRESS;
    if (::ioctl(machine.vcpu(), KVM_SET_REGS, &r) != 0)
        return failure(std::string{"KVM_SET_REGS: "} + std::strerror(errno));
    return {};
}

} // namespace mirage::tender
