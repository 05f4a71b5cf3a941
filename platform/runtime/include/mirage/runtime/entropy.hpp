// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/chacha20.hpp"
#include <array>
#include <cstddef>
#include <cstdint>

namespace mirage::runtime {

inline std::uint64_t cycles() noexcept {
    std::uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

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

constexpr bool has_rdrand(std::uint32_t cpuid_1_ecx) noexcept { return (cpuid_1_ecx >> 30 & 1) != 0; }

// Asking the processor is an exit: each of these is called rarely.
inline bool processor_has_rdrand() noexcept { return has_rdrand(cpuid(1).c); }
inline bool processor_has_rdseed() noexcept { return cpuid(0).a >= 7 && (cpuid(7).b >> 18 & 1) != 0; }

/// A guess at the guard of -fstack-protector must fail; the octet that is 0 stops string functions from reading or
/// writing it. Before anything else runs, and not itself protected.
[[gnu::no_stack_protector]] inline std::uintptr_t stack_guard(bool with_rdrand) noexcept {
    std::uint64_t value = 0;
    if (with_rdrand)
        (void)rdrand(value);
    value ^= cycles() * 0x9e3779b97f4a7c15;
    return value & ~std::uint64_t{0xff00};
}

/// 32 octets that nobody outside can predict, gathered step by step.
class entropy {
public:
    using words = std::array<std::uint64_t, 8>;

private:
    chacha20::key state_{};

    /// Takes `Step`'s values until eight are there, with as many failures allowed. A source that repeats itself is
    /// broken (processors have answered all ones after a resume) and gives nothing.
    template <auto Step>
    void draw() noexcept {
        words drawn{};
        std::size_t have = 0;
        for (unsigned tries = 0; tries < 32 && have < drawn.size(); ++tries)
            if (std::uint64_t value = 0; Step(value)) {
                if (have > 0 && drawn[have - 1] == value)
                    return;
                drawn[have++] = value;
            }
        if (have == drawn.size())
            absorb(drawn);
    }

public:
    /// Folds 64 octets into the running hash: the ChaCha20 block function, fed forward, as a compression function.
    void absorb(const words& given) noexcept {
        for (std::size_t half = 0; half < 2; ++half) {
            for (std::size_t i = 0; i < 4; ++i) {
                state_[2 * i] ^= static_cast<std::uint32_t>(given[4 * half + i]);
                state_[2 * i + 1] ^= static_cast<std::uint32_t>(given[4 * half + i] >> 32);
            }
            const auto mixed = chacha20::generate(state_, static_cast<std::uint32_t>(half));
            for (std::size_t i = 0; i < state_.size(); ++i)
                state_[i] = mixed[i];
        }
    }

    /// RDSEED and RDRAND, where the processor has them and they work.
    void absorb_processor() noexcept {
        if (processor_has_rdseed())
            draw<rdseed>();
        if (processor_has_rdrand())
            draw<rdrand>();
    }

    /// The jitter of the TSC over work whose time varies: each word is the time that absorbing those before took.
    void absorb_jitter() noexcept {
        words times;
        for (unsigned round = 0; round < 32; ++round) {
            for (auto& word : times) {
                word = cycles();
                asm volatile("" ::: "memory");
            }
            absorb(times);
        }
    }

    const chacha20::key& key() const noexcept { return state_; }
};

} // namespace mirage::runtime
