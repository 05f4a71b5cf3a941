// SPDX-License-Identifier: MIT
#include "debugger.hpp"
#include "report.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>

namespace mirage::tender {

namespace {

constexpr unsigned debug_vector = 1, breakpoint_vector = 3;
constexpr std::byte int3{0xcc};

} // namespace

std::optional<std::uint64_t> debugger::translate(std::uint64_t address) const {
    kvm_sregs s{};
    if (::ioctl(machine_.vcpu(), KVM_GET_SREGS, &s) != 0)
        return {};
    constexpr std::uint64_t frame = 0x000f'ffff'ffff'f000, present = 1, large = 0x80;
    if (static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16) != address)
        return {};
    std::uint64_t table = s.cr3 & frame;
    for (unsigned shift = 39;; shift -= 9) {
        const auto place = memory_.readable(table + (address >> shift & 511) * 8, 8);
        if (place.empty())
            return {};
        std::uint64_t entry;
        std::memcpy(&entry, place.data(), sizeof entry);
        if ((entry & present) == 0)
            return {};
        const std::uint64_t inside = (std::uint64_t{1} << shift) - 1;
        if (shift == 12 || (shift < 39 && (entry & large) != 0))
            return (entry & frame & ~inside) | (address & inside);
        table = entry & frame;
    }
}

bool debugger::read(std::uint64_t address, std::span<std::byte> to) const {
    while (!to.empty()) {
        const auto here = std::min<std::uint64_t>(to.size(), 4096 - address % 4096);
        const auto place = translate(address);
        const auto from = place ? memory_.readable(*place, here) : std::span<const std::byte>{};
        if (from.empty())
            return false;
        std::memcpy(to.data(), from.data(), from.size());
        address += here;
        to = to.subspan(here);
    }
    return true;
}

bool debugger::write(std::uint64_t address, std::span<const std::byte> octets) {
    while (!octets.empty()) {
        const auto here = std::min<std::uint64_t>(octets.size(), 4096 - address % 4096);
        const auto place = translate(address);
        if (!place || !memory_.poke(*place, octets.first(here)))
            return false;
        address += here;
        octets = octets.subspan(here);
    }
    return true;
}

bool debugger::plant(std::uint64_t address) {
    std::byte hidden;
    if (planted_.contains(address))
        return true;
    if (!read(address, {&hidden, 1}) || !write(address, {&int3, 1}))
        return false;
    planted_.emplace(address, hidden);
    return true;
}

bool debugger::remove(std::uint64_t address) {
    const auto found = planted_.find(address);
    if (found == planted_.end())
        return true;
    const bool done = write(address, {&found->second, 1});
    planted_.erase(found);
    return done;
}

bool debugger::watch(std::uint64_t address, std::uint8_t kind, std::uint8_t length) {
    const bool fits = (length == 1 || length == 2 || length == 4 || length == 8) && address % length == 0;
    const auto room = std::ranges::find(watched_, 0, &watched::length);
    if (!fits || room == std::end(watched_))
        return false;
    *room = {address, kind, length, 0};
    return true;
}

bool debugger::looks() const noexcept {
    return !by_kvm_ && std::ranges::any_of(watched_, [](const watched& w) { return w.length != 0; });
}

/// What has changed since the last time.
std::optional<stop> debugger::look() {
    std::optional<stop> found;
    for (watched& w : watched_) {
        std::uint64_t value = 0;
        if (by_kvm_ || w.length == 0 || !read(w.address, std::as_writable_bytes(std::span{&value, 1}).first(w.length)))
            continue;
        if (value != w.value)
            found = stop{stop::reason::watchpoint, w.address, {}};
        w.value = value;
    }
    return found;
}

bool debugger::unwatch(std::uint64_t address, std::uint8_t kind, std::uint8_t length) {
    for (watched& w : watched_)
        if (w.address == address && w.kind == kind && w.length == length)
            w = {};
    return true;
}

void debugger::leave() {
    while (!planted_.empty())
        remove(planted_.begin()->first);
    for (watched& w : watched_)
        w = {};
    kvm_guest_debug off{};
    (void)::ioctl(machine_.vcpu(), KVM_SET_GUEST_DEBUG, &off);
}

register_file debugger::registers() const {
    register_file file = read_registers(machine_);
    if (ring_3_ != nullptr)
        ring_3_->show(file);
    return file;
}

bool debugger::set_registers(const register_file& values) {
    return write_registers(machine_, values);
}

/// Intel SDM vol. 3A, 64-Bit Mode IDT.
bool debugger::find_handlers(const kvm_sregs& s) {
    const auto handler = [&](unsigned vector) -> std::uint64_t {
        std::uint16_t gate[8];
        constexpr std::uint16_t present = 0x8000;
        if (s.idt.limit < vector * sizeof gate + sizeof gate - 1
            || !read(s.idt.base + vector * sizeof gate, std::as_writable_bytes(std::span{gate}))
            || (gate[2] & present) == 0)
            return 0;
        return gate[0] | std::uint64_t{gate[3]} << 16 | std::uint64_t{gate[4]} << 32 | std::uint64_t{gate[5]} << 48;
    };
    debug_handler_ = handler(debug_vector);
    breakpoint_handler_ = handler(breakpoint_vector);
    if (debug_handler_ == 0 || breakpoint_handler_ == 0)
        debug_handler_ = breakpoint_handler_ = 0;
    return debug_handler_ != 0;
}

void debugger::trap_ring_3(bool on) {
    kvm_regs r{};
    if (by_kvm_ || ::ioctl(machine_.vcpu(), KVM_GET_REGS, &r) != 0 || ((r.rflags & trap_flag) != 0) == on)
        return;
    r.rflags = on ? r.rflags | trap_flag : r.rflags & ~trap_flag;
    (void)::ioctl(machine_.vcpu(), KVM_SET_REGS, &r);
}

/// `pass`: the guest's own exception has come to a handler that KVM would stop at for ever.
outcome<> debugger::arm(bool step, bool pass) {
    kvm_guest_debug d{};
    d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    constexpr std::uint64_t exact = 0x400;
    if (by_kvm_) {
        d.control |= step ? KVM_GUESTDBG_SINGLESTEP : 0u;
        for (unsigned i = 0; i < std::size(watched_); ++i) {
            const watched& w = watched_[i];
            if (w.length == 0)
                continue;
            const unsigned length = w.length == 8 ? 2u : w.length - 1u;
            d.control |= KVM_GUESTDBG_USE_HW_BP;
            d.arch.debugreg[i] = w.address;
            d.arch.debugreg[7] |= exact | std::uint64_t{2} << 2 * i | std::uint64_t{w.kind | length << 2} << (16 + 4 * i);
        }
    } else {
        kvm_sregs s{};
        if (::ioctl(machine_.vcpu(), KVM_GET_SREGS, &s) != 0)
            return failure(std::string{"KVM_GET_SREGS: "} + std::strerror(errno));
        const bool ready = find_handlers(s), ring_3 = (s.cs.selector & 3) == 3;
        if (ready && !pass) {
            d.control |= KVM_GUESTDBG_USE_HW_BP;
            d.arch.debugreg[0] = debug_handler_;
            d.arch.debugreg[1] = breakpoint_handler_;
            d.arch.debugreg[7] = exact | 2 | 8;
        }
        if (!ready || pass || (step && !ring_3))
            d.control |= KVM_GUESTDBG_SINGLESTEP;
        if (step && ready && ring_3)
            trap_ring_3(true);
        if (step && ready && !ring_3) { // IRETQ: the step ends behind it, in ring 3, where KVM does not see it
            kvm_regs r{};
            std::byte code[2], flags[8];
            (void)::ioctl(machine_.vcpu(), KVM_GET_REGS, &r);
            if (read(r.rip, code) && code[0] == std::byte{0x48} && code[1] == std::byte{0xcf}
                && read(r.rsp + 16, flags)) {
                flags[1] |= std::byte{trap_flag >> 8};
                (void)write(r.rsp + 16, flags);
            }
        }
    }
    if (::ioctl(machine_.vcpu(), KVM_SET_GUEST_DEBUG, &d) != 0)
        return failure(std::string{"KVM does not debug guests here: KVM_SET_GUEST_DEBUG: "} + std::strerror(errno));
    return {};
}

/// The processor as it was when the exception came: Intel SDM vol. 3A, 64-Bit Mode Stack Frame.
bool debugger::undo_exception(kvm_regs& r, kvm_sregs& s, std::uint64_t handler) {
    std::uint64_t frame[5]; // rip, cs, rflags, rsp, ss
    if (!read(r.rsp, std::as_writable_bytes(std::span{frame})))
        return false;
    const bool breakpoint = handler == breakpoint_handler_ && planted_.contains(frame[0] - 1);
    const bool stepped = handler == debug_handler_ && (frame[2] & trap_flag) != 0;
    if (!breakpoint && !stepped)
        return false; // the guest's own
    r.rip = frame[0] - (breakpoint ? 1 : 0);
    r.rflags = frame[2] & ~trap_flag;
    r.rsp = frame[3];
    s.cs = flat_segment(static_cast<std::uint16_t>(frame[1]), true);
    s.ss = flat_segment(static_cast<std::uint16_t>(frame[4]), false);
    return ::ioctl(machine_.vcpu(), KVM_SET_SREGS, &s) == 0 && ::ioctl(machine_.vcpu(), KVM_SET_REGS, &r) == 0;
}

std::optional<stop> debugger::at_debug_exit(bool step, bool& pass) {
    kvm_regs r{};
    kvm_sregs s{};
    if (::ioctl(machine_.vcpu(), KVM_GET_REGS, &r) != 0 || ::ioctl(machine_.vcpu(), KVM_GET_SREGS, &s) != 0)
        return stop{stop::reason::broken, 0, std::string{"its registers cannot be read: "} + std::strerror(errno)};
    const auto& seen = machine_.run().debug.arch;
    if (by_kvm_) {
        if (seen.exception == breakpoint_vector || planted_.contains(r.rip))
            return stop{stop::reason::breakpoint, 0, {}};
        for (unsigned i = 0; i < std::size(watched_); ++i)
            if ((seen.dr6 >> i & 1) != 0 && watched_[i].length != 0)
                return watched_[i].kind == 0 ? stop{stop::reason::breakpoint, 0, {}}
                                             : stop{stop::reason::watchpoint, watched_[i].address, {}};
        return stop{stop::reason::step, 0, {}};
    }
    if (debug_handler_ != 0 && !pass && (r.rip == debug_handler_ || r.rip == breakpoint_handler_)) {
        const std::uint64_t handler = r.rip;
        if (undo_exception(r, s, handler))
            return stop{handler == breakpoint_handler_ && planted_.contains(r.rip) ? stop::reason::breakpoint
                                                                                    : stop::reason::step, 0, {}};
        pass = true;
        return {};
    }
    pass = false;
    if (step)
        return stop{stop::reason::step, 0, {}};
    return {};
}

/// Makes the result of a call visible in the registers: KVM does the rest of an OUT when it is entered again.
bool debugger::complete_call() {
    machine_.run().immediate_exit = 1;
    const int error = machine_.enter();
    machine_.run().immediate_exit = 0;
    return error == EINTR;
}

std::optional<stop> debugger::after_exit(int error, bool step, bool& pass, hypercalls& calls) {
    const kvm_run& run = machine_.run();
    if (error == 0 && run.exit_reason == KVM_EXIT_DEBUG)
        return at_debug_exit(step, pass);
    if (error == 0 && run.exit_reason == KVM_EXIT_INTERNAL_ERROR) {
        kvm_regs r{}; // an INT3 in an emulated ring 0
        (void)::ioctl(machine_.vcpu(), KVM_GET_REGS, &r);
        if (planted_.contains(r.rip))
            return stop{stop::reason::breakpoint, 0, {}};
    }
    if (const auto served = serve_exit(machine_, error, calls, ring_3_); !served)
        return stop{stop::reason::broken, 0, served.error()};
    if (const auto& end = calls.end())
        return stop{end->status == 255 ? stop::reason::gave_up : stop::reason::ended, end->cookie, {}};
    if (step && !by_kvm_ && complete_call())
        return stop{stop::reason::step, 0, {}};
    return {};
}

outcome<> serve_exit(const virtual_machine& machine, int error, hypercalls& calls, deprivileged* ring_3) {
    const kvm_run& r = machine.run();
    if (ring_3 != nullptr && error == 0 && ring_3->has_trapped(r))
        return ring_3->serve();
    if (error != 0 || r.exit_reason != KVM_EXIT_IO || r.io.direction != KVM_EXIT_IO_OUT || r.io.size != 4
        || r.io.count != 1)
        return failure(describe_exit(r, error));
    std::uint32_t address;
    std::memcpy(&address, reinterpret_cast<const char*>(&r) + r.io.data_offset, sizeof address);
    return calls.serve(r.io.port, address);
}

bool kvm_debugs_ring_3() {
    constexpr std::uint64_t size = 2 << 20, code_at = 0x5000, table_at = 0x1000, user_table = 7, large = 0x80;
    auto machine = virtual_machine::open();
    const auto memory = guest_memory::reserve(size, false);
    if (!machine || !memory || !machine->map(*memory) || !machine->create_processor())
        return false;
    const auto entry = [&](std::uint64_t at, std::uint64_t value) { std::memcpy(memory->base() + at, &value, sizeof value); };
    entry(table_at, (table_at + 0x1000) | user_table);
    entry(table_at + 0x1000, (table_at + 0x2000) | user_table);
    entry(table_at + 0x2000, user_table | large);
    constexpr unsigned char code[] = {0x90, 0x90, 0xa3, 0, 0, 0, 0x80, 0, 0, 0, 0}; // two NOPs; a store where no memory is
    std::memcpy(memory->base() + code_at, code, sizeof code);
    kvm_sregs s{};
    kvm_regs r{};
    kvm_guest_debug d{};
    if (::ioctl(machine->vcpu(), KVM_GET_SREGS, &s) != 0)
        return false;
    s.cr0 = 0x80010021, s.cr3 = table_at, s.cr4 = 0x620, s.efer = 0x500;
    s.cs = flat_segment(0x23, true);
    s.ss = s.ds = s.es = s.fs = s.gs = flat_segment(0x1b, false);
    s.idt = {};
    s.tr = {}; // what processors want of an entry in 64-bit mode
    s.tr.type = 11;
    s.tr.present = 1;
    s.ldt = {};
    s.ldt.unusable = 1;
    r.rip = code_at, r.rflags = 2, r.rsp = code_at;
    d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    return ::ioctl(machine->vcpu(), KVM_SET_SREGS, &s) == 0 && ::ioctl(machine->vcpu(), KVM_SET_REGS, &r) == 0
           && ::ioctl(machine->vcpu(), KVM_SET_GUEST_DEBUG, &d) == 0 && machine->enter() == 0
           && machine->run().exit_reason == KVM_EXIT_DEBUG;
}

} // namespace mirage::tender
