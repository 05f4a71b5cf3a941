// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/octets.hpp"
#include <array>
#include <bit>
#include <concepts>
#include <type_traits>

namespace mirage::wire {

/// Whether a view tests a checksum, or believes a device that says it has done so.
enum class verify : bool { no, yes };

/// The value with its octets in network order in memory, and back: the same operation.
template <std::unsigned_integral T>
constexpr T big_endian(T value) noexcept {
    if constexpr (std::endian::native == std::endian::big)
        return value;
    else
        return std::byteswap(value);
}

/// Reads a T from `from`, in the machine's own octet order; any alignment.
template <class T>
requires std::is_trivially_copyable_v<T>
[[gnu::always_inline]] constexpr T load_native(const std::byte* from) noexcept {
    std::array<std::byte, sizeof(T)> raw{};
    if
        consteval {
            for (std::size_t i = 0; i < sizeof(T); ++i)
                raw[i] = from[i];
        }
    else {
        __builtin_memcpy(raw.data(), from, sizeof(T)); // one mov, also where std::copy_n stays a loop
    }
    return std::bit_cast<T>(raw);
}

/// Writes a T to `to`, in the machine's own octet order; any alignment.
template <class T>
requires std::is_trivially_copyable_v<T>
[[gnu::always_inline]] constexpr void store_native(std::byte* to, T value) noexcept {
    const auto raw = std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
    if
        consteval {
            for (std::size_t i = 0; i < sizeof(T); ++i)
                to[i] = raw[i];
        }
    else {
        __builtin_memcpy(to, raw.data(), sizeof(T));
    }
}

/// Reads a big-endian unsigned integer.
template <std::unsigned_integral T>
constexpr T load(const std::byte* from) noexcept {
    return big_endian(load_native<T>(from));
}

/// Writes a big-endian unsigned integer.
template <std::unsigned_integral T>
constexpr void store(std::byte* to, std::type_identity_t<T> value) noexcept {
    store_native(to, big_endian(value));
}

/// What is at a fixed offset of a header: a big-endian unsigned integer, a mac_address, an ipv4_address or an
/// ipv6_address. The caller has seen to it that the header is at least `end` octets long.
template <class T, std::size_t Offset>
struct field {
    using type = T;
    static constexpr std::size_t offset = Offset, end = Offset + sizeof(T);

    static constexpr T load(const std::byte* header) noexcept {
        if constexpr (std::unsigned_integral<T>)
            return wire::load<T>(header + offset);
        else if constexpr (std::same_as<T, ipv4_address>)
            return ipv4_address{wire::load<std::uint32_t>(header + offset)};
        else if constexpr (std::same_as<T, ipv6_address>)
            return ipv6_address{wire::load<std::uint64_t>(header + offset), wire::load<std::uint64_t>(header + offset + 8)};
        else
            return load_native<T>(header + offset);
    }

    static constexpr void store(std::byte* header, T value) noexcept {
        if constexpr (std::unsigned_integral<T>)
            wire::store<T>(header + offset, value);
        else if constexpr (std::same_as<T, ipv4_address>)
            wire::store<std::uint32_t>(header + offset, value.value());
        else if constexpr (std::same_as<T, ipv6_address>) {
            wire::store<std::uint64_t>(header + offset, value.high());
            wire::store<std::uint64_t>(header + offset + 8, value.low());
        } else
            store_native(header + offset, value);
    }
};

static_assert(sizeof(mac_address) == 6 && sizeof(ipv4_address) == 4 && sizeof(ipv6_address) == 16);

} // namespace mirage::wire
