// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/runtime/entropy.hpp"
#include "mirage/xen/machine.hpp"
#include <bit>
#include <cstdint>

namespace mirage::xen {

/// 32 octets that nobody outside can predict: RDSEED or RDRAND where the processor has one that works; always, too, the
/// jitter of the TSC, the time of day, and the domain's identity, so that no two domains have the same.
[[gnu::noinline]] inline chacha20::key gather_entropy() noexcept {
    runtime::entropy gathered;
    xen_domain_handle_t handle{};
    (void)hypercall(__HYPERVISOR_xen_version, XENVER_guest_handle, &handle);
    static_assert(sizeof handle == 16);
    const auto uuid = std::bit_cast<std::array<std::uint64_t, 2>>(handle);
    const vcpu_time_info& time = machine::shared().vcpu_info[0].time;
    gathered.absorb({cycles(), wall_time_base(machine::shared()), machine::system_now(), time.tsc_timestamp,
                     time.tsc_to_system_mul, uuid[0], uuid[1], 0});
    gathered.absorb_processor();
    gathered.absorb_jitter();
    return gathered.key();
}

} // namespace mirage::xen
