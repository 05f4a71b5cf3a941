// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/line.hpp"
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <string_view>

namespace mirage::wire {

/// A letter of ASCII made small; every other octet as it is. RFC 4343 section 3
constexpr std::uint8_t dns_lower(std::uint8_t c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c + 32) : c;
}

/// A domain name: labels of 1 to 63 octets, each behind its length, then the empty one of the root; 255 octets at most
/// (RFC 1035 section 3.1). A value of fixed size. Any octet may be in a label (RFC 2181 section 11).
class dns_name {
public:
    static constexpr std::size_t max_size = 255, max_label = 63, max_labels = 127;

private:
    std::array<std::uint8_t, max_size> octets_{};
    std::uint8_t size_ = 1; // with the root's empty label

    /// Appends a label, which is known not to be empty or too long. False: the name would be.
    template <class Octets>
    constexpr bool append(const Octets& label, std::size_t length) noexcept {
        if (size_ + 1 + length > max_size)
            return false;
        std::size_t at = size_ - 1u;
        octets_[at++] = static_cast<std::uint8_t>(length);
        for (std::size_t i = 0; i < length; ++i)
            octets_[at++] = static_cast<std::uint8_t>(label[i]);
        octets_[at] = 0;
        size_ = static_cast<std::uint8_t>(at + 1);
        return true;
    }

public:
    /// The root.
    constexpr dns_name() noexcept = default;

    /// "www.example.com", with or without a dot at the end; "." is the root. A backslash takes the next character, or
    /// the octet of three decimal digits, as it is (RFC 1035 section 5.1). errc::malformed: an empty or too long label,
    /// a name that is too long, an escape that is none.
    static constexpr result<dns_name> parse(std::string_view text) noexcept {
        dns_name name;
        if (text == ".")
            return name;
        std::array<std::uint8_t, max_label> label{};
        std::size_t length = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            auto c = static_cast<std::uint8_t>(text[i]);
            if (c == '.') {
                if (length == 0 || !name.append(label, length))
                    return std::unexpected(errc::malformed);
                length = 0;
                continue;
            }
            if (c == '\\') {
                const auto taken = unescape(text.substr(i + 1), c);
                if (taken == 0)
                    return std::unexpected(errc::malformed);
                i += taken;
            }
            if (length == max_label)
                return std::unexpected(errc::malformed);
            label[length++] = c;
        }
        if (text.empty() || (length != 0 && !name.append(label, length)))
            return std::unexpected(errc::malformed);
        return name;
    }

    /// A name in a message, and where what is behind it begins.
    struct placed;

    /// Reads the name that begins at `at` in `message`. A pointer (RFC 1035 section 4.1.4) must lead to before where
    /// the labels that it ends begin, so that there are no loops, and there are at most as many as a name has labels.
    /// errc::truncated, errc::malformed.
    static constexpr result<placed> read(octets message, std::size_t at) noexcept;

    /// The name that an address is looked up by: 2.0.0.10.in-addr.arpa. RFC 1035 section 3.5
    static constexpr dns_name reverse(ipv4_address a) noexcept {
        dns_name name;
        for (unsigned i = 4; i-- > 0;) {
            std::array<std::uint8_t, 3> digits{};
            std::size_t length = 0;
            const unsigned value = a.octet(i);
            if (value >= 100)
                digits[length++] = static_cast<std::uint8_t>('0' + value / 100);
            if (value >= 10)
                digits[length++] = static_cast<std::uint8_t>('0' + value / 10 % 10);
            digits[length++] = static_cast<std::uint8_t>('0' + value % 10);
            (void)name.append(digits, length);
        }
        (void)name.append(std::string_view{"in-addr"}, 7);
        (void)name.append(std::string_view{"arpa"}, 4);
        return name;
    }

    /// The same of the 16 octets of an IPv6 address. RFC 3596 section 2.5
    static constexpr dns_name reverse(std::span<const std::uint8_t, 16> address) noexcept {
        dns_name name;
        for (std::size_t i = 32; i-- > 0;) {
            const unsigned nibble = address[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15u;
            const std::array digit{static_cast<std::uint8_t>("0123456789abcdef"[nibble])};
            (void)name.append(digit, 1);
        }
        (void)name.append(std::string_view{"ip6"}, 3);
        (void)name.append(std::string_view{"arpa"}, 4);
        return name;
    }

    /// `*this` in front of `parent`: "www" and "example.com". errc::too_large.
    constexpr result<dns_name> below(const dns_name& parent) const noexcept {
        dns_name whole = *this;
        for (std::size_t at = 0; parent.octets_[at] != 0; at += 1u + parent.octets_[at])
            if (!whole.append(std::span{parent.octets_}.subspan(at + 1), parent.octets_[at]))
                return std::unexpected(errc::too_large);
        return whole;
    }

    /// The name as it is on the wire, without compression.
    constexpr std::span<const std::uint8_t> wire() const noexcept { return std::span{octets_}.first(size_); }
    constexpr std::size_t size() const noexcept { return size_; } ///< octets of wire()
    constexpr bool is_root() const noexcept { return size_ == 1; }
    constexpr std::size_t labels() const noexcept { ///< without that of the root
        std::size_t count = 0;
        for (std::size_t at = 0; octets_[at] != 0; at += 1u + octets_[at])
            ++count;
        return count;
    }

    /// Whether this is `zone` or below it. RFC 8499 section 7
    constexpr bool is_within(const dns_name& zone) const noexcept {
        if (zone.size_ > size_)
            return false;
        const std::size_t begin = size_ - std::size_t{zone.size_};
        std::size_t at = 0;
        while (at < begin)
            at += 1u + octets_[at];
        return at == begin && std::ranges::equal(wire().subspan(begin), zone.wire(), {}, dns_lower, dns_lower);
    }

    /// RFC 4343 section 3: letters match without regard to their case. (A length is below every letter.)
    friend constexpr bool operator==(const dns_name& a, const dns_name& b) noexcept {
        return std::ranges::equal(a.wire(), b.wire(), {}, dns_lower, dns_lower);
    }
    /// Equal to the last bit, which tells the asker's own spelling from somebody else's.
    constexpr bool same_spelling(const dns_name& other) const noexcept {
        return std::ranges::equal(wire(), other.wire());
    }

    /// The same name with its letters large or small as the bits of `coin()` say, which gives one std::uint8_t a time:
    /// what a forger has to guess besides the ID and the port.
    template <class Coin>
    constexpr dns_name mixed(Coin coin) const noexcept {
        dns_name name = *this;
        unsigned bits = 1; // a bit above those that are left
        for (std::size_t label = 0; octets_[label] != 0; label += 1u + octets_[label])
            for (std::size_t at = label + 1; at <= label + octets_[label]; ++at) {
                const auto small = dns_lower(octets_[at]);
                if (small < 'a' || small > 'z')
                    continue;
                if (bits == 1)
                    bits = 0x100u | static_cast<std::uint8_t>(coin());
                name.octets_[at] = (bits & 1) != 0 ? static_cast<std::uint8_t>(small - 32) : small;
                bits >>= 1;
            }
        return name;
    }

private:
    /// What `text`, behind a backslash, stands for; how many characters that took, 0: nothing.
    static constexpr std::size_t unescape(std::string_view text, std::uint8_t& c) noexcept {
        if (text.empty())
            return 0;
        c = static_cast<std::uint8_t>(text[0]);
        if (c < '0' || c > '9')
            return 1;
        unsigned value = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            if (i >= text.size() || text[i] < '0' || text[i] > '9')
                return 0;
            value = value * 10 + static_cast<unsigned>(text[i] - '0');
        }
        c = static_cast<std::uint8_t>(value);
        return value <= 255 ? 3 : 0;
    }
};

struct dns_name::placed {
    dns_name name{};
    std::size_t end = 0;
};

constexpr result<dns_name::placed> dns_name::read(octets message, std::size_t at) noexcept {
    placed found;
    std::size_t limit = message.size(), begin = at, pointers = 0;
    for (;;) {
        if (at >= limit)
            return std::unexpected(pointers == 0 ? errc::truncated : errc::malformed);
        const auto length = std::to_integer<std::size_t>(message[at]);
        if (length >= 0xc0) {
            if (at + 1 >= limit)
                return std::unexpected(pointers == 0 ? errc::truncated : errc::malformed);
            const std::size_t to = (length & 0x3f) << 8 | std::to_integer<std::size_t>(message[at + 1]);
            if (pointers++ == 0)
                found.end = at + 2;
            if (to >= begin || pointers > max_labels)
                return std::unexpected(errc::malformed);
            limit = begin; // what the pointer leads to ends before, or in another pointer
            at = begin = to;
            continue;
        }
        if (length > max_label) // 01 and 10 are not in use: RFC 6891 section 5
            return std::unexpected(errc::malformed);
        if (length == 0) {
            if (pointers == 0)
                found.end = at + 1;
            return found;
        }
        if (length >= limit - at)
            return std::unexpected(pointers == 0 ? errc::truncated : errc::malformed);
        if (!found.name.append(message.subspan(at + 1), length))
            return std::unexpected(errc::malformed);
        at += 1 + length;
    }
}

/// As parse() reads it: without the last dot, what is not printable escaped; the root is ".". RFC 1035 section 5.1
constexpr line_builder& operator<<(line_builder& l, const dns_name& name) noexcept {
    const auto octets = name.wire();
    if (name.is_root())
        return l.put('.');
    for (std::size_t at = 0; octets[at] != 0; at += 1u + octets[at]) {
        if (at != 0)
            l.put('.');
        for (const std::uint8_t c : octets.subspan(at + 1, octets[at])) {
            if (c <= ' ' || c >= 127)
                l.put('\\').digits(c, 10, 3);
            else if (c == '.' || c == '\\' || c == '"')
                l.put('\\').put(static_cast<char>(c));
            else
                l.put(static_cast<char>(c));
        }
    }
    return l;
}

} // namespace mirage::wire
