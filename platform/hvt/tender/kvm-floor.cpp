// SPDX-License-Identifier: MIT
// kvm-floor: the least that a tender can be. Sets up a machine, runs a guest of one instruction, ends. What
// it takes is what KVM takes; also the test of whether /dev/kvm works. Status 0, or 1 with the reason. Its
// machine has as much memory as the tender's has by default, because KVM's own tables grow with it; or as
// many MiB as the argument says.
#include "kvm.hpp"
#include "memory.hpp"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/ioctl.h>

using namespace mirage::tender;

int main(int argc, char** argv) {
    const std::uint64_t mebibytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 512;
    if (mebibytes == 0 || mebibytes > 4096)
        die("usage: kvm-floor [MIB]");
    auto machine = virtual_machine::open();
    if (!machine)
        die(machine.error());
    const auto memory = guest_memory::reserve(mebibytes << 20, false);
    if (!memory)
        die(memory.error());
    if (const auto done = machine->map(*memory); !done)
        die(done.error());
    if (const auto done = machine->create_processor(); !done)
        die(done.error());
    // out dx, eax in real mode, at the first address of RAM
    constexpr unsigned char code[] = {0x66, 0xef};
    std::memcpy(memory->base() + 0x1000, code, sizeof code);
    kvm_sregs s{};
    if (::ioctl(machine->vcpu(), KVM_GET_SREGS, &s) != 0)
        die(std::string{"KVM_GET_SREGS: "} + std::strerror(errno));
    s.cs.base = 0;
    s.cs.selector = 0;
    if (::ioctl(machine->vcpu(), KVM_SET_SREGS, &s) != 0)
        die(std::string{"KVM_SET_SREGS: "} + std::strerror(errno));
    kvm_regs r{};
    r.rip = 0x1000;
    r.rdx = PORT_HALT;
    r.rflags = 2;
    if (::ioctl(machine->vcpu(), KVM_SET_REGS, &r) != 0)
        die(std::string{"KVM_SET_REGS: "} + std::strerror(errno));
    const int error = machine->enter();
    if (error != 0 || machine->run().exit_reason != KVM_EXIT_IO)
        die("a guest of one instruction does not run"
            + (error != 0 ? std::string{": "} + std::strerror(error) : std::string{}));
    std::_Exit(0);
}
