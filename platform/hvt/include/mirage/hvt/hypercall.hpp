// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include "mirage/hvt/abi.hpp"

namespace mirage::hvt {

/// The address of something as the tender wants it. Guest memory is mapped where it is.
inline std::uint64_t address_of(const void* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

/// Leaves the guest until the tender has answered into `argument`, which must be below 4 GiB (everything is).
template <unsigned Port, class Argument>
inline void hypercall(Argument& argument) noexcept {
    asm volatile("outl %0, %w1"
                 :
                 : "a"(static_cast<std::uint32_t>(address_of(&argument))), "d"(Port)
                 : "memory");
}

/// Writes to the tender's standard output, all of it.
inline void put(octets text) noexcept {
    abi::puts argument{.data = address_of(text.data()), .len = text.size()};
    hypercall<PORT_PUTS>(argument);
}
inline void put(std::string_view text) noexcept { put(as_octets(text)); }

/// Ends the machine with an exit status of the tender. 255 is an abort, which `cookie` may explain.
[[noreturn]] inline void halt(int status, const void* cookie = nullptr) noexcept {
    abi::halt argument{.cookie = address_of(cookie), .exit_status = status};
    for (;;)
        hypercall<PORT_HALT>(argument);
}

/// UTC in nanoseconds since the Unix epoch.
inline std::uint64_t walltime() noexcept {
    abi::walltime argument;
    hypercall<PORT_WALLTIME>(argument);
    return argument.nsecs;
}

/// Sleeps until a network device has input or `timeout` nanoseconds have passed. The set of ready handles.
inline std::uint64_t poll(std::uint64_t timeout) noexcept {
    abi::poll argument{.timeout_nsecs = timeout};
    hypercall<PORT_POLL>(argument);
    return argument.ready_set;
}

} // namespace mirage::hvt
