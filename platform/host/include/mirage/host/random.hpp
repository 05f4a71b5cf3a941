// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/device/random.hpp"
#include "mirage/host/machine.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/random.h>

namespace mirage::host {

/// RANDOM from the kernel's generator, 256 octets at a time. Octets are erased as they are handed out.
class random {
    std::array<std::byte, 256> stock_{};
    std::size_t used_ = stock_.size();

    static void fetch(mutable_octets out) noexcept {
        while (!out.empty()) {
            const ssize_t n = ::getrandom(out.data(), out.size(), 0);
            if (n < 0 && errno == EINTR)
                continue;
            check(n > 0, "random: the kernel gives no random numbers");
            out = out.subspan(static_cast<std::size_t>(n));
        }
    }

public:
    explicit random(machine&) noexcept {}

    void fill(mutable_octets out) noexcept {
        if (out.size() > stock_.size())
            return fetch(out);
        while (!out.empty()) {
            if (used_ == stock_.size()) {
                fetch(stock_);
                used_ = 0;
            }
            const std::size_t n = std::min(out.size(), stock_.size() - used_);
            const auto from = std::span{stock_}.subspan(used_, n);
            std::ranges::copy(from, out.begin());
            std::ranges::fill(from, std::byte{});
            used_ += n;
            out = out.subspan(n);
        }
    }
};

static_assert(mirage::random_source<random>);

} // namespace mirage::host
