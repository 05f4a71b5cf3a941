// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <concepts>

namespace fuzz {

/// The fuzzer's octets read as a script: choices, numbers and pieces of text. Zeros when it is at its end.
class script {
    mirage::octets rest_;

public:
    explicit script(mirage::octets input) noexcept : rest_{input} {}

    bool done() const noexcept { return rest_.empty(); }

    mirage::octets take(std::size_t count) noexcept {
        const mirage::octets taken = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    template <std::unsigned_integral T>
    T number() noexcept {
        T value = 0;
        for (const std::byte o : take(sizeof(T)))
            value = static_cast<T>(value << 8 | std::to_integer<T>(o));
        return value;
    }
    /// 0 ... count - 1
    unsigned choice(unsigned count) noexcept { return number<std::uint8_t>() % count; }

    /// A random_source that is part of the script.
    void fill(mirage::mutable_octets out) noexcept {
        std::ranges::fill(out, std::byte{0});
        std::ranges::copy(take(out.size()), out.begin());
    }
};

} // namespace fuzz
