// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/chacha20.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include <array>
#include <cstdint>

namespace mirage::hvt {

namespace detail {

struct cpuid_result {
    std::uint32_t a, b, c, d;
};
inline cpuid_result cpuid(std::uint32_t leaf) noexcept {
    cpuid_result r;
    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

inline bool rdrand(std::uint64_t& value) noexcept {
    bool filled;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(filled));
    return filled;
}
inline bool rdseed(std::uint64_t& value) noexcept {
    bool filled;
    asm volatile("rdseed %0" : "=r"(value), "=@ccc"(filled));
    return filled;
}

/// Takes `Step`'s values until eight are there, with as many failures allowed. A source that repeats itself is
/// broken (processors have answered all ones after a resume) and gives nothing.
template <auto Step>
bool draw(std::array<std::uint64_t, 8>& words) noexcept {
    std::size_t have = 0;
    for (unsigned tries = 0; tries < 32 && have < words.size(); ++tries)
        if (std::uint64_t value = 0; Step(value)) {
            if (have > 0 && words[have - 1] == value)
                return false;
            words[have++] = value;
        }
    return have == words.size();
}

/// Folds 64 words into the running hash: the ChaCha20 block function, fed forward, as a compression function.
inline void absorb(chacha20::key& state, const std::array<std::uint64_t, 8>& words) noexcept {
    for (std::size_t half = 0; half < 2; ++half) {
        for (std::size_t i = 0; i < 4; ++i) {
            state[2 * i] ^= static_cast<std::uint32_t>(words[4 * half + i]);
            state[2 * i + 1] ^= static_cast<std::uint32_t>(words[4 * half + i] >> 32);
        }
        const auto mixed = chacha20::generate(state, static_cast<std::uint32_t>(half));
        for (std::size_t i = 0; i < state.size(); ++i)
            state[i] = mixed[i];
    }
}

} // namespace detail

// Asking the processor is an exit: each of these is called rarely.
inline bool processor_has_rdrand() noexcept { return (detail::cpuid(1).c >> 30 & 1) != 0; }
inline bool processor_has_rdseed() noexcept {
    return detail::cpuid(0).a >= 7 && (detail::cpuid(7).b >> 18 & 1) != 0;
}

/// 32 octets that nobody outside can predict: RDSEED or RDRAND where the processor has one that works; always, too,
/// the jitter of the TSC over work whose time varies, the time of day and what the tender said at boot.
[[gnu::noinline]] inline chacha20::key gather_entropy() noexcept {
    chacha20::key state{};
    std::array<std::uint64_t, 8> words{};

    const auto& info = this_machine.info();
    words = {cycles(), walltime(), info.cpu_cycle_freq, info.mem_size, info.kernel_end, info.net_ring, info.mft, 0};
    for (const auto& entry : this_machine.manifest())
        words[7] = words[7] * 31 + entry.capacity; // MAC addresses, disk sizes
    detail::absorb(state, words);

    if (processor_has_rdseed() && detail::draw<detail::rdseed>(words))
        detail::absorb(state, words);
    if (processor_has_rdrand() && detail::draw<detail::rdrand>(words))
        detail::absorb(state, words);

    // Each word is the time that absorbing the ones before took.
    for (unsigned round = 0; round < 32; ++round) {
        for (auto& word : words) {
            word = cycles();
            asm volatile("" ::: "memory");
        }
        detail::absorb(state, words);
    }
    return state;
}

} // namespace mirage::hvt
