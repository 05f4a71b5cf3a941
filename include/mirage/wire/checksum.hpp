// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/detail/sum.hpp"
#include "mirage/wire/field.hpp"

namespace mirage::wire {

/// A one's-complement sum of 16-bit words, not yet folded to 16 bits (RFC 1071 section 1).
///
/// The words are summed as they lie in memory, in the machine's octet order: RFC 1071 section 2 (B) shows
/// that only the octet order of the result depends on it, and fold() sets that right once. Sums of separate
/// ranges are added with `+`; a range that starts at an odd offset of the whole is added as `.swapped()`.
class partial_sum {
    std::uint64_t value_ = 0;

public:
    constexpr partial_sum() noexcept = default;
    /// From a sum of words in memory order.
    constexpr explicit partial_sum(std::uint64_t memory_order) noexcept : value_{memory_order} {}

    /// The word or words of a header field, as a number.
    static constexpr partial_sum of(std::uint16_t word) noexcept { return partial_sum{big_endian(word)}; }
    static constexpr partial_sum of(std::uint32_t words) noexcept { return partial_sum{big_endian(words)}; }

    /// Of a sum of such fields, added up as numbers without loss.
    static constexpr partial_sum of(std::uint64_t words) noexcept { return partial_sum{big_endian(words)}; }

    friend constexpr partial_sum operator+(partial_sum a, partial_sum b) noexcept {
        return partial_sum{detail::add_with_carry(a.value_, b.value_)};
    }
    constexpr partial_sum& operator+=(partial_sum other) noexcept { return *this = *this + other; }

    /// The sum of the same octets, were they one octet further on.
    constexpr partial_sum swapped() const noexcept { return partial_sum{std::rotl(value_, 8)}; }

    /// The 16-bit sum, as a number (not complemented).
    constexpr std::uint16_t fold() const noexcept { return big_endian(detail::fold(value_)); }

    /// The checksum: the complement of the 16-bit sum, as a number.
    constexpr std::uint16_t finish() const noexcept { return static_cast<std::uint16_t>(~fold()); }

    /// Whether this sum, taken over data that contains its checksum, says the data is intact.
    constexpr bool intact() const noexcept { return detail::fold(value_) == 0xffffu; }
};

/// The sum of `data` as words; an odd last octet is padded with zero on the right. Added to `initial`, which
/// must cover an even number of octets. For a length known at compile time this is a handful of instructions.
constexpr partial_sum sum(octets data, partial_sum initial = {}) noexcept {
    if
        consteval {
            return initial + partial_sum{detail::sum_words(data.data(), data.size())};
        }
    else {
        return initial + partial_sum{detail::sum(data.data(), data.size())};
    }
}

/// Copies `from` to the start of `to`, which is at least as long and does not overlap it, and sums it: one
/// pass.
constexpr partial_sum copy_and_sum(mutable_octets to, octets from) noexcept {
    check(to.size() >= from.size(), "copy_and_sum: the destination is too short");
    if
        consteval {
            for (std::size_t i = 0; i < from.size(); ++i)
                to[i] = from[i];
            return sum(from);
        }
    else {
        return partial_sum{detail::copy_and_sum(to.data(), from.data(), from.size())};
    }
}

/// The Internet checksum of `data`, as a number: 0 for intact data that contains its checksum. RFC 1071
constexpr std::uint16_t checksum(octets data) noexcept {
    return sum(data).finish();
}

/// The checksum after one word of the data changed from `before` to `after`: RFC 1624 section 3, equation 3.
constexpr std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t before,
                                        std::uint16_t after) noexcept {
    const std::uint32_t s = std::uint16_t(~checksum) + std::uint32_t{std::uint16_t(~before)} + after;
    return static_cast<std::uint16_t>(~detail::fold(s));
}

/// The sum of the pseudo header of TCP (RFC 9293 section 3.1) and UDP (RFC 768) over IPv4. `length` is that
/// of the transport header and its data, in octets.
constexpr partial_sum pseudo_header_sum(ipv4_address source, ipv4_address destination, std::uint8_t protocol,
                                        std::uint16_t length) noexcept {
    return partial_sum::of(std::uint64_t{source.value()} + destination.value() + protocol + length);
}

/// The same over IPv6: RFC 8200 section 8.1.
constexpr partial_sum pseudo_header_sum(const ipv6_address& source, const ipv6_address& destination,
                                        std::uint8_t protocol, std::uint32_t length) noexcept {
    return partial_sum::of(source.high()) + partial_sum::of(source.low()) + partial_sum::of(destination.high())
           + partial_sum::of(destination.low()) + partial_sum::of(std::uint64_t{length} + protocol);
}

/// The same over the family that the addresses are of: both are of one.
constexpr partial_sum pseudo_header_sum(const ip_address& source, const ip_address& destination, std::uint8_t protocol,
                                        std::uint32_t length) noexcept {
    return destination.is_ipv4()
               ? pseudo_header_sum(source.v4(), destination.v4(), protocol, static_cast<std::uint16_t>(length))
               : pseudo_header_sum(source.v6(), destination.v6(), protocol, length);
}

/// A sum over pieces of any length, laid end to end: keeps count of odd offsets.
class running_sum {
    partial_sum sum_;
    bool odd_ = false;

public:
    constexpr running_sum() noexcept = default;
    /// Starts from the sum of an even number of octets, such as a pseudo header.
    constexpr explicit running_sum(partial_sum initial) noexcept : sum_{initial} {}

    constexpr running_sum& add(octets data) noexcept { return add(sum(data), data.size()); }

    /// Adds the sum of the next `length` octets, when they have been summed already.
    constexpr running_sum& add(partial_sum s, std::size_t length) noexcept {
        sum_ += odd_ ? s.swapped() : s;
        odd_ ^= (length & 1) != 0;
        return *this;
    }

    /// Copies `from` to the start of `to` and adds it.
    constexpr running_sum& copy(mutable_octets to, octets from) noexcept {
        return add(copy_and_sum(to, from), from.size());
    }

    constexpr partial_sum partial() const noexcept { return sum_; }
    constexpr std::uint16_t fold() const noexcept { return sum_.fold(); }
    constexpr std::uint16_t finish() const noexcept { return sum_.finish(); }
    constexpr bool intact() const noexcept { return sum_.intact(); }
};

} // namespace mirage::wire
