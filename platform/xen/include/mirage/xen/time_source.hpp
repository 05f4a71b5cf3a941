// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/xen/public.hpp"
#include <atomic>
#include <cstdint>

namespace mirage::xen {

inline std::uint64_t cycles() noexcept {
    std::uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

/// Xen's system time, in nanoseconds, at the moment when the TSC was `tsc` (xen.h, struct vcpu_time_info). Unsigned
/// arithmetic throughout: a TSC read before Xen's own gives a moment before, not one far ahead.
inline std::uint64_t system_time_at(const vcpu_time_info& at, std::uint64_t tsc) noexcept {
    const auto since = static_cast<std::int64_t>(tsc - at.tsc_timestamp);
    const auto scaled = at.tsc_shift >= 0 ? since << at.tsc_shift : since >> -at.tsc_shift;
    return at.system_time
           + static_cast<std::uint64_t>(static_cast<__int128>(scaled) * at.tsc_to_system_mul >> 32);
}

/// Copies what Xen writes under a version that is odd while it does so.
template <class Word, class Read>
auto read_consistently(const Word& version, Read read) noexcept {
    const volatile Word& current = version;
    for (;;) {
        const Word before = current;
        std::atomic_signal_fence(std::memory_order_seq_cst); // x86 keeps loads in order; so does the compiler now
        const auto value = read();
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if ((before & 1) == 0 && current == before)
            return value;
    }
}

/// Xen's system time now.
inline std::uint64_t system_time(const vcpu_time_info& shared) noexcept {
    return read_consistently(shared.version, [&] { return system_time_at(shared, cycles()); });
}

/// UTC at system time 0, in nanoseconds since the epoch.
inline std::uint64_t wall_time_base(const shared_info& shared) noexcept {
    return read_consistently(shared.wc_version, [&] {
        return (std::uint64_t{shared.wc_sec_hi} << 32 | shared.wc_sec) * 1'000'000'000 + shared.wc_nsec;
    });
}

} // namespace mirage::xen
