// SPDX-License-Identifier: MIT
#pragma once
#include "deprivileged.hpp"
#include "hypercalls.hpp"
#include "kvm.hpp"
#include "registers.hpp"
#include <map>

namespace mirage::tender {

/// Why a guest that is being debugged stands still.
struct stop {
    enum class reason : std::uint8_t {
        step,
        breakpoint,
        watchpoint,  ///< at `address`
        interrupted, ///< by interrupt()
        gave_up,     ///< HALT with status 255: what it has left lies at `address`, the cookie
        ended,       ///< HALT with another status
        broken,      ///< it cannot go on: `why`
    };
    reason what{};
    std::uint64_t address = 0;
    std::string why{};
};

/// Runs the guest for somebody who wants to stop it: breakpoints, steps, registers and memory.
///
/// Where KVM stops a guest in ring 3, KVM does it all. Where KVM emulates ring 0 and lets ring 3 run natively it
/// stops nothing there: a breakpoint or a step is an exception of the guest's. Then the handlers that the guest's
/// own IDT names are what KVM stops at (ring 0 it does stop), and the exception is undone: the guest never sees it.
/// Until the guest has loaded an IDT with handlers for both, ring 0 is run step by step to learn of it, and ring 3
/// cannot be stopped.
class debugger {
    virtual_machine& machine_;
    guest_memory& memory_;
    deprivileged* ring_3_;
    bool by_kvm_; ///< KVM stops ring 3
    std::map<std::uint64_t, std::byte> planted_{}; ///< guest-virtual address of an INT3, and what it hides
    struct watched {
        std::uint64_t address = 0;
        std::uint8_t kind = 0, length = 0; ///< kind as in DR7: 0 execute, 1 write, 3 access; length 0: free
        std::uint64_t value = 0;             ///< when it was looked at last
    } watched_[4];
    std::uint64_t debug_handler_ = 0, breakpoint_handler_ = 0; ///< 0: not there yet

    bool find_handlers(const kvm_sregs& s);
    outcome<> arm(bool step, bool pass);
    bool undo_exception(kvm_regs& r, kvm_sregs& s, std::uint64_t handler);
    std::optional<stop> at_debug_exit(bool step, bool& pass);
    std::optional<std::uint64_t> translate(std::uint64_t address) const;

public:
    /// `by_kvm`: what kvm_debugs_ring_3() says. `ring_3`: nullptr for a guest that we have not deprivileged.
    debugger(virtual_machine& machine, guest_memory& memory, deprivileged* ring_3, bool by_kvm) noexcept
        : machine_{machine}, memory_{memory}, ring_3_{ring_3}, by_kvm_{by_kvm} {}

    /// Runs the guest, one instruction or until something happens. `wants_in` says whether somebody wants it stopped.
    template <class Interrupted>
    stop resume(bool step, hypercalls& calls, Interrupted wants_in);

    register_file registers() const;
    bool set_registers(const register_file& values);
    /// As the guest's page tables have it. False, and nothing done, where they have nothing.
    bool read(std::uint64_t address, std::span<std::byte> to) const;
    bool write(std::uint64_t address, std::span<const std::byte> octets);

    bool plant(std::uint64_t address);
    bool remove(std::uint64_t address);
    /// What the processor does here, and not we: we can but look after every step whether something was written.
    bool by_processor() const noexcept { return by_kvm_; }
    bool watch(std::uint64_t address, std::uint8_t kind, std::uint8_t length);
    bool unwatch(std::uint64_t address, std::uint8_t kind, std::uint8_t length);
    /// Nothing is left of the debugger in the guest.
    void leave();

private:
    stop at_exit(int error, hypercalls& calls);
    std::optional<stop> look();
    bool looks() const noexcept;
    bool complete_call();
    void trap_ring_3(bool on);
    std::optional<stop> after_exit(int error, bool step, bool& pass, hypercalls& calls);
};

/// Tries it out with a machine of its own.
bool kvm_debugs_ring_3();

/// Serves what the guest has left KVM_RUN for. The error: why it cannot go on. `ring_3` as above.
outcome<> serve_exit(const virtual_machine& machine, int error, hypercalls& calls, deprivileged* ring_3);

template <class Interrupted>
stop debugger::resume(bool step, hypercalls& calls, Interrupted wants_in) {
    bool pass = false;
    const bool each = step || looks();
    (void)look();
    for (;;) {
        if (const auto armed = arm(each, pass); !armed)
            return {stop::reason::broken, 0, armed.error()};
        machine_.run().immediate_exit = 0;
        if (wants_in()) {
            trap_ring_3(false);
            return {stop::reason::interrupted, 0, {}};
        }
        const int error = machine_.enter();
        if (error == EINTR)
            continue;
        if (auto stopped = after_exit(error, each, pass, calls)) {
            trap_ring_3(false);
            if (auto changed = stopped->what == stop::reason::step ? look() : std::nullopt)
                return *changed;
            if (stopped->what == stop::reason::step && !step)
                continue;
            return *stopped;
        }
    }
}

} // namespace mirage::tender
