// SPDX-License-Identifier: MIT
#include "kvm.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace mirage::tender {

namespace {
// struct kvm_cpuid2 as it is in C: Linux's header gives it another size in C++, and with it other ioctl
// numbers.
struct cpuid_head {
    std::uint32_t nent, padding;
};
struct cpuid_list {
    static constexpr std::uint32_t most = 100; // more than any processor needs so far
    cpuid_head head{most, 0};
    kvm_cpuid_entry2 entries[most]{};
};
constexpr auto get_supported_cpuid = _IOWR(KVMIO, 0x05, cpuid_head);
constexpr auto set_cpuid2 = _IOW(KVMIO, 0x90, cpuid_head);

failure refused(const char* what) {
    return failure(std::string{"/dev/kvm: "} + what + ": " + std::strerror(errno));
}

failure why_not_opened(int error) {
    switch (error) {
    case ENOENT:
        return failure(
            "there is no /dev/kvm on this machine: load its module (modprobe kvm_intel or kvm_amd), switch "
            "virtualization on in the firmware or, in a virtual machine, nested virtualization; the host "
            "build of "
            "an appliance runs without it");
    case ENODEV:
    case ENXIO:
        return failure("/dev/kvm is there, but nothing behind it: load its module (modprobe kvm_intel or "
                       "kvm_amd), or switch "
                       "virtualization on in the firmware; the host build of an appliance runs without it");
    case EACCES:
    case EPERM:
        return failure("no permission for /dev/kvm: add yourself to its group (sudo usermod -aG kvm $USER) "
                       "and log in again, "
                       "or run me as root");
    default: errno = error; return refused("open");
    }
}
} // namespace

outcome<virtual_machine> virtual_machine::open() {
    virtual_machine m;
    m.kvm_ = hosted::unique_fd{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
    if (!m.kvm_)
        return why_not_opened(errno);
    const int version = ::ioctl(m.kvm_.get(), KVM_GET_API_VERSION, 0);
    if (version < 0)
        return failure(std::string{"what /dev/kvm leads to is not KVM: "} + std::strerror(errno));
    if (version != 12)
        return failure("/dev/kvm speaks version " + std::to_string(version)
                       + " of its interface, and this tender 12");
    m.vm_ = hosted::unique_fd{::ioctl(m.kvm_.get(), KVM_CREATE_VM, 0)};
    if (!m.vm_)
        return errno == EBUSY ? failure(
                   "/dev/kvm: another hypervisor (VirtualBox, VMware) has the processor's virtualization; "
                   "end it first")
                              : refused("a virtual machine cannot be made");
    return m;
}

outcome<> virtual_machine::map(const guest_memory& memory) {
    kvm_userspace_memory_region region{};
    region.memory_size = memory.total();
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory.base());
    if (::ioctl(vm_.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return refused("guest memory cannot be mapped");
    return {};
}

outcome<> virtual_machine::create_processor() {
    vcpu_ = hosted::unique_fd{::ioctl(vm_.get(), KVM_CREATE_VCPU, 0)};
    if (!vcpu_)
        return refused("a processor cannot be made");
    const int size = ::ioctl(kvm_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
    void* const at = size < static_cast<int>(sizeof(kvm_run))
                         ? MAP_FAILED
                         : ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED,
                                  vcpu_.get(), 0);
    if (at == MAP_FAILED)
        return refused("the processor's state cannot be mapped");
    run_ = static_cast<kvm_run*>(at);

    // The guest sees what KVM can do, no more.
    cpuid_list cpuid;
    if (::ioctl(kvm_.get(), get_supported_cpuid, &cpuid) != 0
        || ::ioctl(vcpu_.get(), set_cpuid2, &cpuid) != 0)
        return refused("CPUID cannot be set");
    return {};
}

bool virtual_machine::can_bind_ports() const noexcept {
    return ::ioctl(kvm_.get(), KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD) > 0;
}

bool virtual_machine::bind_port(std::uint16_t port, int descriptor) noexcept {
    kvm_ioeventfd binding{};
    binding.addr = port;
    binding.len = 4;
    binding.fd = descriptor;
    binding.flags = KVM_IOEVENTFD_FLAG_PIO;
    return ::ioctl(vm_.get(), KVM_IOEVENTFD, &binding) == 0;
}

outcome<std::uint64_t> virtual_machine::tsc_frequency() const {
    const int khz = ::ioctl(vcpu_.get(), KVM_GET_TSC_KHZ, 0);
    if (khz <= 0)
        return refused("the frequency of the time-stamp counter is not known (an unstable TSC?)");
    return static_cast<std::uint64_t>(khz) * 1000;
}

int virtual_machine::enter() const noexcept {
    return ::ioctl(vcpu_.get(), KVM_RUN, 0) == 0 ? 0 : errno;
}

kvm_segment flat_segment(std::uint16_t selector, bool code) noexcept {
    kvm_segment s{};
    s.limit = 0xffffffff;
    s.selector = selector;
    s.type = code ? 11 : 3;
    s.dpl = selector & 3u;
    s.present = s.s = s.g = 1;
    s.l = code ? 1 : 0;
    s.db = code ? 0 : 1;
    return s;
}

} // namespace mirage::tender
