// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/chacha20.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/core/time.hpp"
#include <cstdint>

namespace mirage::runtime {

/// RANDOM over what `Device` has as `entropy()`: ChaCha20, seeded when it is opened and again after 2^16 calls or ten
/// minutes of `Device::now()`.
template <class Device>
class generator {
    static constexpr std::uint32_t calls_per_seed = 1u << 16;
    static constexpr duration age_of_seed = std::chrono::minutes{10};

    chacha20_generator generator_;
    std::uint32_t calls_ = 0;
    instant seeded_{};

protected:
    /// From now on the octets are none that a copy of this machine would draw.
    void seed() noexcept {
        generator_.mix(Device::entropy());
        calls_ = 0;
        seeded_ = Device::now();
    }

public:
    result<> open() noexcept {
        seed();
        return {};
    }

    void fill(mutable_octets out) noexcept {
        if (++calls_ > calls_per_seed || (calls_ % 256 == 0 && Device::now() - seeded_ > age_of_seed))
            seed();
        generator_.fill(out);
    }
};

} // namespace mirage::runtime
