// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/hvt/abi.hpp"
#include <cstdint>
#include <span>
#include <string_view>

namespace mirage::hvt {

inline std::uint64_t cycles() noexcept {
    std::uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

/// Lets the other side of a shared line have it for a moment.
inline void pause() noexcept { asm volatile("pause" ::: "memory"); }

/// What the tender told at boot, and the time base: one object, set before anything else in C++ runs.
class machine {
    const abi::boot_info* info_ = nullptr;
    std::uint64_t first_cycle_ = 0;
    std::uint64_t nanoseconds_per_cycle_ = 0; ///< 32.32 fixed point

public:
    constexpr machine() noexcept = default;

    void open(const abi::boot_info& info) noexcept {
        info_ = &info;
        first_cycle_ = cycles();
        nanoseconds_per_cycle_ = (std::uint64_t{1'000'000'000} << 32) / info.cpu_cycle_freq;
    }

    const abi::boot_info& info() const noexcept { return *info_; }

    /// Time since boot. The TSC counts at a constant rate, and there is one processor: it never goes back.
    instant now() const noexcept {
        const auto product = static_cast<unsigned __int128>(cycles() - first_cycle_) * nanoseconds_per_cycle_;
        return instant{duration{static_cast<std::int64_t>(product >> 32)}};
    }

    /// The manifest with what the tender attached; the element's index is the device's handle.
    std::span<const abi::manifest_entry> manifest() const noexcept {
        const auto* const head = reinterpret_cast<const abi::manifest*>(info_->mft);
        return {reinterpret_cast<const abi::manifest_entry*>(head + 1), head->entries};
    }

    std::string_view command_line() const noexcept {
        return {reinterpret_cast<const char*>(info_->cmdline)};
    }

    /// The shared network ring, or nullptr. A tender older than 0.11 does not write these fields: what it has
    /// there is the manifest, which reads as "offered" but never as an address.
    abi::net_ring* net_ring() const noexcept {
        if ((info_->host_features & HOST_FEATURE_NET_RING) == 0)
            return nullptr;
        return reinterpret_cast<abi::net_ring*>(info_->net_ring);
    }

    /// Whether the tender serves the ring in every POLL: see layout.h.
    bool poll_serves_ring() const noexcept { return (info_->host_features & HOST_FEATURE_POLL_SERVES_RING) != 0; }
};

inline constinit machine this_machine;

} // namespace mirage::hvt
