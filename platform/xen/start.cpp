// SPDX-License-Identifier: MIT
//
// The first line of C++: the boot code's tables, the main stack; nothing else is set up.
#include "memory_map.hpp"
#include "mirage/core/check.hpp"
#include "mirage/runtime/entropy.hpp"
#include "mirage/runtime/heap.hpp"
#include "mirage/xen/machine.hpp"
#include "mirage/xen/platform.hpp"
#include <algorithm>
#include <cstddef>
#include <cstdint>

/// The application: MIRAGE_UNIKERNEL defines it.
int mirage_application(mirage::xen::platform& p) noexcept;

extern "C" {
extern void (*const init_array_begin[])() noexcept;
extern void (*const init_array_end[])() noexcept;
extern std::uintptr_t __stack_chk_guard;
extern unsigned char mirage_xen_hypercall_patch;
[[noreturn]] void mirage_xen_start(const hvm_start_info& start, std::uint64_t first_cycle) noexcept;
}

namespace mirage::xen {
namespace {

/// Xen's leaf base, or 0 when this is not Xen (arch-x86/cpuid.h; other interfaces may come first).
std::uint32_t xen_leaves() noexcept {
    for (std::uint32_t base = 0x40000000; base < 0x40010000; base += 0x100) {
        const auto id = runtime::cpuid(base);
        if (id.b == XEN_CPUID_SIGNATURE_EBX && id.c == XEN_CPUID_SIGNATURE_ECX && id.d == XEN_CPUID_SIGNATURE_EDX)
            return base;
    }
    return 0;
}

/// AMD's and Hygon's processors call with VMMCALL, all others with VMCALL: the program text is still writable.
void choose_hypercall_instruction() noexcept {
    const auto vendor = runtime::cpuid(0).b;
    constexpr std::uint32_t amd = 0x68747541, hygon = 0x6f677948; // "Auth", "Hygo"
    if (vendor != amd && vendor != hygon)
        mirage_xen_hypercall_patch = VMCALL_LAST_OCTET;
}

/// Without Xen there is nobody to tell; with it, a crash is at least seen.
[[noreturn]] void give_up(const char* why) noexcept {
    emergency_write(why);
    shut_down(SHUTDOWN_crash);
}

void open_heap(std::span<const memory_range> room) noexcept {
    const auto pointer = [](std::uint64_t address) { return reinterpret_cast<std::byte*>(address); };
    constexpr std::uint64_t largest = runtime::heap::largest_range;
    bool first = true;
    for (const memory_range& ram : room)
        for (std::uint64_t begin = ram.begin; begin < ram.end; begin += largest, first = false) {
            const std::uint64_t end = std::min(ram.end, begin + largest);
            first ? runtime::memory.open(pointer(begin), pointer(end)) : runtime::memory.add(pointer(begin), pointer(end));
        }
}

} // namespace

void machine::map_shared_info() noexcept {
    // Xen lays the page out for the mode that the processor is in when a callback is set: 64 bits. None is ever made,
    // because every channel is masked; but only from a domain that has one does the toolstack expect that it can tell a
    // suspend that came to nothing.
    constexpr std::uint64_t vector = 0x20;
    xen_hvm_param callback{.domid = DOMID_SELF,
                           .pad = 0,
                           .index = HVM_PARAM_CALLBACK_IRQ,
                           .value = std::uint64_t{HVM_PARAM_CALLBACK_TYPE_VECTOR} << 56 | vector};
    (void)hvm_op(HVMOP_set_param, &callback);
    if (!map_xen_page(XENMAPSPACE_shared_info, 0, SHARED_INFO_ADDRESS >> PAGE_SHIFT))
        give_up("xen: no shared_info page\n");
    for (auto& word : shared().evtchn_mask)
        word = ~xen_ulong_t{0};
    console_.open(static_cast<evtchn_port_t>(hvm_param(HVM_PARAM_CONSOLE_EVTCHN)));
}

void machine::open(const hvm_start_info& start, std::uint64_t first_cycle) noexcept {
    start_ = &start;
    map_shared_info();
    const vcpu_time_info& time = shared().vcpu_info[0].time;
    origin_ = read_consistently(time.version, [&] { return system_time_at(time, first_cycle); });
}

bool machine::suspend() noexcept {
    console_.drain();
    const std::uint64_t before = latest_, wall_before = wall_time_base(shared()) + system_now();
    sched_shutdown argument{.reason = SHUTDOWN_suspend};
    if (sched_op(SCHEDOP_shutdown, &argument) != 0)
        return false;
    map_shared_info();
    // Time goes on from where it was, plus what has passed by the clock on the wall, if that went forward.
    const auto away = static_cast<std::int64_t>(wall_time_base(shared()) + system_now() - wall_before);
    latest_ = before + (away > 0 ? static_cast<std::uint64_t>(away) : 0);
    origin_ = system_now() - latest_;
    return true;
}

void machine::exit(int status) noexcept {
    if (status != 0)
        console_.write("mirage: ended with a failure\n");
    (void)console_.drain();
    shut_down(status == 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void machine::reboot() noexcept {
    (void)console_.drain();
    shut_down(SHUTDOWN_reboot);
}

} // namespace mirage::xen

[[gnu::no_stack_protector]] void mirage_xen_start(const hvm_start_info& start, std::uint64_t first_cycle) noexcept {
    using namespace mirage::xen;
    if (xen_leaves() == 0)
        for (;;)
            asm volatile("hlt");
    choose_hypercall_instruction();
    if (start.magic != XEN_HVM_START_MAGIC_VALUE || start.version < 1 || start.memmap_entries == 0)
        give_up("xen: not started with a memory map: Xen 4.11 or newer is needed\n");
    memory_range ranges[8];
    std::span<memory_range> room{ranges};
    const special_frames special{.console = hvm_param(HVM_PARAM_CONSOLE_PFN), .store = hvm_param(HVM_PARAM_STORE_PFN)};
    if (const char* const problem = map_memory(start, special, room); problem != nullptr)
        give_up(problem);

    this_machine.open(start, first_cycle);
    __stack_chk_guard = mirage::runtime::stack_guard(mirage::runtime::processor_has_rdrand());
    open_heap(room);
    for (auto* f = init_array_begin; f != init_array_end; ++f)
        (*f)();
    platform here;
    const int status = mirage_application(here);
    this_machine.wind_up();
    here.exit(status);
}
