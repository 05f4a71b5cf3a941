// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mirage {

/// Octets to read; borrowed. The lender says for how long.
using octets = std::span<const std::byte>;

/// Octets to write; borrowed.
using mutable_octets = std::span<std::byte>;

/// The octets of a text, without a terminator. Borrows from `text`.
inline octets as_octets(std::string_view text) noexcept { return std::as_bytes(std::span{text.data(), text.size()}); }

/// Octets read as text; borrows from `o`. Says nothing about their encoding.
inline std::string_view as_text(octets o) noexcept {
    return {reinterpret_cast<const char*>(o.data()), o.size()};
}

} // namespace mirage
