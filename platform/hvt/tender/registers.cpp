// SPDX-License-Identifier: MIT
#include "registers.hpp"
#include <cstring>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace abi = hvt::abi;

std::size_t register_file::width(unsigned which) noexcept {
    return which <= rip                       ? 8
           : which <= gs                      ? 4
           : which < fctrl                    ? 10
           : which < xmm0                     ? 4
           : which < mxcsr                    ? 16
           : which == mxcsr                   ? 4
                                              : 8;
}

std::span<std::byte> register_file::at(unsigned which) noexcept {
    std::size_t before = 0;
    for (unsigned i = 0; i < which; ++i)
        before += width(i);
    return {octets + before, width(which)};
}

std::uint64_t register_file::get(unsigned which) const noexcept {
    std::uint64_t value = 0;
    const auto place = const_cast<register_file*>(this)->at(which);
    std::memcpy(&value, place.data(), std::min(place.size(), sizeof value));
    return value;
}

void register_file::set(unsigned which, std::uint64_t value) noexcept {
    const auto place = at(which);
    std::memcpy(place.data(), &value, std::min(place.size(), sizeof value));
}

namespace {

/// kvm_regs in gdb's order.
constexpr __u64 kvm_regs::*general[] = {&kvm_regs::rax, &kvm_regs::rbx, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rsi,
                                        &kvm_regs::rdi, &kvm_regs::rbp, &kvm_regs::rsp, &kvm_regs::r8,  &kvm_regs::r9,
                                        &kvm_regs::r10, &kvm_regs::r11, &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14,
                                        &kvm_regs::r15, &kvm_regs::rip, &kvm_regs::rflags};

} // namespace

register_file read_registers(const virtual_machine& machine) {
    kvm_regs r{};
    kvm_sregs s{};
    kvm_fpu f{};
    (void)::ioctl(machine.vcpu(), KVM_GET_REGS, &r);
    (void)::ioctl(machine.vcpu(), KVM_GET_SREGS, &s);
    (void)::ioctl(machine.vcpu(), KVM_GET_FPU, &f);
    register_file file;
    using enum register_file::number;
    for (unsigned i = 0; i < std::size(general); ++i)
        file.set(i, r.*general[i]);
    const kvm_segment* const segments[] = {&s.cs, &s.ss, &s.ds, &s.es, &s.fs, &s.gs};
    for (unsigned i = 0; i < std::size(segments); ++i)
        file.set(cs + i, segments[i]->selector);
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(file.at(st0 + i).data(), f.fpr[i], 10);
    std::uint64_t tags = 0; // two bits for each register of the stack: 3 is empty
    for (unsigned i = 0; i < 8; ++i)
        tags |= std::uint64_t{(f.ftwx >> i & 1) != 0 ? 0u : 3u} << 2 * i;
    file.set(fctrl, f.fcw), file.set(fctrl + 1, f.fsw), file.set(fctrl + 2, tags);
    file.set(fctrl + 4, f.last_ip), file.set(fctrl + 6, f.last_dp), file.set(fctrl + 7, f.last_opcode);
    for (unsigned i = 0; i < 16; ++i)
        std::memcpy(file.at(xmm0 + i).data(), f.xmm[i], 16);
    file.set(mxcsr, f.mxcsr);
    file.set(fs_base, s.fs.base), file.set(gs_base, s.gs.base);
    return file;
}

bool write_registers(const virtual_machine& machine, const register_file& values) {
    register_file file{values};
    kvm_regs r{};
    kvm_sregs s{};
    kvm_fpu f{};
    const register_file before = read_registers(machine);
    if (::ioctl(machine.vcpu(), KVM_GET_SREGS, &s) != 0 || ::ioctl(machine.vcpu(), KVM_GET_FPU, &f) != 0)
        return false;
    using enum register_file::number;
    for (unsigned i = 0; i < std::size(general); ++i)
        r.*general[i] = file.get(i);
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(f.fpr[i], file.at(st0 + i).data(), 10);
    f.fcw = static_cast<std::uint16_t>(file.get(fctrl)), f.fsw = static_cast<std::uint16_t>(file.get(fctrl + 1));
    f.ftwx = 0;
    for (unsigned i = 0; i < 8; ++i)
        f.ftwx = static_cast<std::uint8_t>(f.ftwx | ((file.get(fctrl + 2) >> 2 * i & 3) != 3 ? 1u << i : 0u));
    for (unsigned i = 0; i < 16; ++i)
        std::memcpy(f.xmm[i], file.at(xmm0 + i).data(), 16);
    f.mxcsr = static_cast<std::uint32_t>(file.get(mxcsr));
    const bool bases = s.fs.base != file.get(fs_base) || s.gs.base != file.get(gs_base);
    s.fs.base = file.get(fs_base), s.gs.base = file.get(gs_base);
    const std::span<std::byte> floating{file.at(st0).data(), file.at(fs_base).data()};
    const bool same = std::memcmp(floating.data(), before.octets + (floating.data() - file.octets), floating.size()) == 0;
    return (same || ::ioctl(machine.vcpu(), KVM_SET_FPU, &f) == 0) && (!bases || ::ioctl(machine.vcpu(), KVM_SET_SREGS, &s) == 0)
           && ::ioctl(machine.vcpu(), KVM_SET_REGS, &r) == 0;
}

std::optional<register_file> registers_of_fault(const guest_memory& memory, std::uint64_t cookie,
                                                const register_file& now) {
    const auto room = memory.readable(cookie, sizeof(abi::fault_report));
    if (cookie == 0 || room.empty())
        return {};
    abi::fault_report report;
    std::memcpy(static_cast<void*>(&report), room.data(), sizeof report);
    register_file file{now};
    using enum register_file::number;
    const bool ours = report.magic == abi::fault_report::magic_value;
    if (ours && report.vector == abi::fault_report::panic_vector)
        return {}; // it has called, and stands where it called
    file.set(rip, report.registers.rip), file.set(rsp, report.registers.rsp);
    file.set(eflags, report.registers.rflags);
    file.set(cs, report.registers.cs), file.set(ss, report.registers.ss);
    constexpr register_file::number order[] = {r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax};
    for (unsigned i = 0; ours && i < std::size(order); ++i)
        file.set(order[i], report.general[i]);
    return file;
}

std::string target_description() {
    std::string text = R"(<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">)"
                       R"(<architecture>i386:x86-64</architecture><feature name="org.gnu.gdb.i386.core">)";
    const auto one = [&](const std::string& name, unsigned bits, const char* type) {
        text += "<reg name=\"" + name + "\" bitsize=\"" + std::to_string(bits) + "\" type=\"" + type + "\"/>";
    };
    for (const char* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi"})
        one(name, 64, "int64");
    one("rbp", 64, "data_ptr"), one("rsp", 64, "data_ptr");
    for (unsigned i = 8; i < 16; ++i)
        one("r" + std::to_string(i), 64, "int64");
    one("rip", 64, "code_ptr"), one("eflags", 32, "int32");
    for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"})
        one(name, 32, "int32");
    for (unsigned i = 0; i < 8; ++i)
        one("st" + std::to_string(i), 80, "i387_ext");
    for (const char* name : {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"})
        one(name, 32, "int");
    text += R"(</feature><feature name="org.gnu.gdb.i386.sse"><vector id="v4f" type="ieee_single" count="4"/>)"
            R"(<vector id="v2d" type="ieee_double" count="2"/><vector id="v16i8" type="int8" count="16"/>)"
            R"(<vector id="v8i16" type="int16" count="8"/><vector id="v4i32" type="int32" count="4"/>)"
            R"(<vector id="v2i64" type="int64" count="2"/><union id="vec128"><field name="v4_float" type="v4f"/>)"
            R"(<field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>)"
            R"(<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/>)"
            R"(<field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>)";
    for (unsigned i = 0; i < 16; ++i)
        one("xmm" + std::to_string(i), 128, "vec128");
    one("mxcsr", 32, "int");
    text += R"(</feature><feature name="org.gnu.gdb.i386.segments">)";
    one("fs_base", 64, "int"), one("gs_base", 64, "int");
    return text + "</feature></target>";
}

} // namespace mirage::tender
