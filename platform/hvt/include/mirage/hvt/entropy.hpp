// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include "mirage/runtime/entropy.hpp"

namespace mirage::hvt {

/// 32 octets that nobody outside can predict: RDSEED or RDRAND where the processor has one that works; always, too,
/// the jitter of the TSC over work whose time varies, the time of day and what the tender said at boot.
[[gnu::noinline]] inline chacha20::key gather_entropy() noexcept {
    runtime::entropy gathered;
    const auto& info = this_machine.info();
    runtime::entropy::words words{cycles(), walltime(), info.cpu_cycle_freq, info.mem_size, info.kernel_end,
                                  info.net_ring, info.mft, 0};
    for (const auto& entry : this_machine.manifest())
        words[7] = words[7] * 31 + entry.capacity; // MAC addresses, disk sizes
    gathered.absorb(words);
    gathered.absorb_processor();
    gathered.absorb_jitter();
    return gathered.key();
}

} // namespace mirage::hvt
