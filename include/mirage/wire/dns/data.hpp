// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/dns/name.hpp"
#include "mirage/wire/dns/types.hpp"
#include "mirage/wire/field.hpp"
#include <algorithm>
#include <optional>

namespace mirage::wire {

/// The data of a record, where it is: its names may be compressed, and then point into `message`.
struct dns_data {
    octets message{};
    std::size_t at = 0, length = 0;

    constexpr octets view() const noexcept { return message.subspan(at, length); }

    /// The name that begins `skip` octets into the data. Nothing when there is none, or when it does not end in the
    /// data.
    constexpr std::optional<dns_name::placed> name(std::size_t skip) const noexcept {
        if (skip >= length)
            return std::nullopt;
        const auto found = dns_name::read(message.first(at + length), at + skip);
        return found ? std::optional{*found} : std::nullopt;
    }
    /// The name that the data from `skip` on are, and nothing else.
    constexpr std::optional<dns_name> name_alone(std::size_t skip) const noexcept {
        const auto found = name(skip);
        return found && found->end == at + length ? std::optional{found->name} : std::nullopt;
    }
};

/// Where a service is. RFC 2782
struct dns_service {
    std::uint16_t priority = 0; ///< the lowest is to be tried first
    std::uint16_t weight = 0;   ///< how often, among those of one priority
    std::uint16_t port = 0;
    dns_name target{};          ///< the root: there is no such service

    friend constexpr bool operator==(const dns_service&, const dns_service&) noexcept = default;
};

/// A mail exchanger. RFC 1035 section 3.3.9
struct dns_exchanger {
    std::uint16_t preference = 0; ///< the lowest is to be tried first
    dns_name host{};

    friend constexpr bool operator==(const dns_exchanger&, const dns_exchanger&) noexcept = default;
};

/// The start of a zone. Times in seconds. RFC 1035 section 3.3.13
struct dns_start {
    dns_name primary{}, mailbox{};
    std::uint32_t serial = 0, refresh = 0, retry = 0, expire = 0;
    std::uint32_t minimum = 0; ///< how long it is true that something is not there: RFC 2308 section 4

    friend constexpr bool operator==(const dns_start&, const dns_start&) noexcept = default;
};

/// Texts of up to 255 octets, one behind the other. RFC 1035 section 3.3.14
class dns_texts {
    octets rest_;

public:
    explicit constexpr dns_texts(octets data) noexcept : rest_{data} {}

    /// The next text, or nothing at the end.
    constexpr std::optional<octets> next() noexcept {
        if (rest_.empty())
            return std::nullopt;
        const auto length = std::min(std::to_integer<std::size_t>(rest_[0]), rest_.size() - 1);
        const octets found = rest_.subspan(1, length);
        rest_ = rest_.subspan(1 + length);
        return found;
    }
};

/// What the data of a record of type T are: `value` and `read(data)`, which gives nothing when they are malformed.
template <dns_type T>
struct dns_format;

template <>
struct dns_format<dns_type::a> { // RFC 1035 section 3.4.1
    using value = ipv4_address;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        return d.length == 4 ? std::optional{ipv4_address{load<std::uint32_t>(d.view().data())}} : std::nullopt;
    }
};

template <>
struct dns_format<dns_type::aaaa> { // RFC 3596 section 2.2
    using value = ipv6_address;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        return d.length == 16 ? std::optional{field<ipv6_address, 0>::load(d.view().data())} : std::nullopt;
    }
};

struct dns_name_format {
    using value = dns_name;
    static constexpr std::optional<value> read(const dns_data& d) noexcept { return d.name_alone(0); }
};
template <>
struct dns_format<dns_type::ns> : dns_name_format {};
template <>
struct dns_format<dns_type::cname> : dns_name_format {};
template <>
struct dns_format<dns_type::ptr> : dns_name_format {};

template <>
struct dns_format<dns_type::srv> {
    using value = dns_service;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        const auto target = d.name_alone(6);
        if (!target)
            return std::nullopt;
        const auto* const p = d.view().data();
        return dns_service{load<std::uint16_t>(p), load<std::uint16_t>(p + 2), load<std::uint16_t>(p + 4), *target};
    }
};

template <>
struct dns_format<dns_type::mx> {
    using value = dns_exchanger;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        const auto host = d.name_alone(2);
        return host ? std::optional{dns_exchanger{load<std::uint16_t>(d.view().data()), *host}} : std::nullopt;
    }
};

template <>
struct dns_format<dns_type::txt> {
    using value = dns_texts;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        std::size_t at = 0;
        while (at < d.length)
            at += 1 + std::to_integer<std::size_t>(d.view()[at]);
        return d.length != 0 && at == d.length ? std::optional{dns_texts{d.view()}} : std::nullopt;
    }
};

template <>
struct dns_format<dns_type::soa> {
    using value = dns_start;
    static constexpr std::optional<value> read(const dns_data& d) noexcept {
        const auto primary = d.name(0);
        const auto mailbox = primary ? d.name(primary->end - d.at) : std::nullopt;
        if (!mailbox || mailbox->end + 20 != d.at + d.length)
            return std::nullopt;
        const auto* const p = d.message.data() + mailbox->end;
        return dns_start{primary->name,
                         mailbox->name,
                         load<std::uint32_t>(p),
                         load<std::uint32_t>(p + 4),
                         load<std::uint32_t>(p + 8),
                         load<std::uint32_t>(p + 12),
                         load<std::uint32_t>(p + 16)};
    }
};

/// Copies the data of a record of this type to `room`, its names without compression, so that they can be read without
/// the message; how many octets that took. Nothing when they are malformed or do not fit.
constexpr std::optional<std::size_t> copy_dns_data(dns_type type, const dns_data& d, mutable_octets room) noexcept {
    std::size_t used = 0;
    const auto put = [&](const auto& from, auto as_octet) {
        if (from.size() > room.size() - used)
            return false;
        for (const auto o : from)
            room[used++] = as_octet(o);
        return true;
    };
    const auto put_octets = [&](std::size_t skip, std::size_t count) {
        return put(d.view().subspan(skip, count), [](std::byte b) { return b; });
    };
    const auto put_name = [&](const dns_name& n) {
        return put(n.wire(), [](std::uint8_t o) { return static_cast<std::byte>(o); });
    };
    const auto named = [&](std::size_t prefix) {
        const auto name = d.name_alone(prefix);
        return name && put_octets(0, prefix) && put_name(*name);
    };
    bool fits = false;
    switch (type) {
    case dns_type::ns:
    case dns_type::cname:
    case dns_type::ptr: fits = named(0); break;
    case dns_type::mx: fits = named(2); break;
    case dns_type::srv: fits = named(6); break;
    case dns_type::soa: {
        const auto start = dns_format<dns_type::soa>::read(d);
        fits = start && put_name(start->primary) && put_name(start->mailbox) && put_octets(d.length - 20, 20);
        break;
    }
    case dns_type::a: fits = d.length == 4 && put_octets(0, 4); break;
    case dns_type::aaaa: fits = d.length == 16 && put_octets(0, 16); break;
    case dns_type::txt: fits = dns_format<dns_type::txt>::read(d) && put_octets(0, d.length); break;
    default: fits = put_octets(0, d.length); break; // RFC 3597 section 4: no names in what we do not know
    }
    return fits ? std::optional{used} : std::nullopt;
}

// As in a zone's file: RFC 1035 section 5.1, RFC 2782.
constexpr line_builder& operator<<(line_builder& l, const dns_service& s) noexcept {
    return l << s.priority << ' ' << s.weight << ' ' << s.port << ' ' << s.target;
}
constexpr line_builder& operator<<(line_builder& l, const dns_exchanger& m) noexcept {
    return l << m.preference << ' ' << m.host;
}
constexpr line_builder& operator<<(line_builder& l, dns_texts texts) noexcept {
    for (bool first = true; const auto text = texts.next(); first = false) {
        l << (first ? "\"" : " \"");
        for (const std::byte b : *text) {
            const auto c = std::to_integer<std::uint8_t>(b);
            if (c < ' ' || c >= 127)
                l.put('\\').digits(c, 10, 3);
            else if (c == '"' || c == '\\')
                l.put('\\').put(static_cast<char>(c));
            else
                l.put(static_cast<char>(c));
        }
        l.put('"');
    }
    return l;
}

} // namespace mirage::wire
