// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <optional>

namespace mirage::wire {

/// One option of a TCP or IPv4 header: its kind and what follows kind and length. Borrows from the header.
struct header_option {
    std::uint8_t kind = 0;
    octets data{};
};

/// Walks the options of a TCP (RFC 9293 section 3.1) or IPv4 header (RFC 791 section 3.1), which share one
/// form: kind 0 ends the list, kind 1 is padding, every other kind is followed by a length that counts both
/// octets. Ends at the first length that cannot be (MUST-7): never reads outside, always ends.
class option_walk {
    octets rest_;
    bool malformed_ = false;

public:
    explicit constexpr option_walk(octets options) noexcept : rest_{options} {}

    /// The next option, or nothing at the end.
    constexpr std::optional<header_option> next() noexcept {
        while (!rest_.empty()) {
            const auto kind = std::to_integer<std::uint8_t>(rest_[0]);
            if (kind == 0)
                break;
            if (kind == 1) {
                rest_ = rest_.subspan(1);
                continue;
            }
            const std::size_t length = rest_.size() < 2 ? 0 : std::to_integer<std::size_t>(rest_[1]);
            if (length < 2 || length > rest_.size()) {
                malformed_ = true;
                break;
            }
            const header_option found{kind, rest_.subspan(2, length - 2)};
            rest_ = rest_.subspan(length);
            return found;
        }
        rest_ = {};
        return std::nullopt;
    }

    /// Whether the walk ended at an illegal length. Meaningful once next() has given nothing.
    constexpr bool malformed() const noexcept { return malformed_; }
};

} // namespace mirage::wire
