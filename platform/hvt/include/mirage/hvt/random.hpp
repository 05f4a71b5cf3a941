// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/chacha20.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/device/random.hpp"
#include "mirage/hvt/entropy.hpp"
#include "mirage/hvt/machine.hpp"

namespace mirage::hvt {

class platform;

/// ChaCha20 over the machine's entropy, seeded when it is opened and again after 2^16 calls or ten minutes.
class random {
    static constexpr std::uint32_t calls_per_seed = 1u << 16;
    static constexpr duration age_of_seed = std::chrono::minutes{10};

    chacha20_generator generator_;
    std::uint32_t calls_ = 0;
    instant seeded_{};

    void seed() noexcept {
        generator_.mix(gather_entropy());
        calls_ = 0;
        seeded_ = this_machine.now();
    }

public:
    explicit random(platform&) noexcept {}

    result<> open() noexcept {
        seed();
        return {};
    }

    void fill(mutable_octets out) noexcept {
        if (++calls_ > calls_per_seed || (calls_ % 256 == 0 && this_machine.now() - seeded_ > age_of_seed))
            seed();
        generator_.fill(out);
    }
};

static_assert(mirage::random_source<random>);

} // namespace mirage::hvt
