// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/dns/data.hpp"

namespace mirage::wire {

namespace dns_at { // RFC 1035 section 4.1.1
using id = field<std::uint16_t, 0>;
using flags = field<std::uint16_t, 2>;
using questions = field<std::uint16_t, 4>;
using answers = field<std::uint16_t, 6>;
using authorities = field<std::uint16_t, 8>;
using additionals = field<std::uint16_t, 10>;
inline constexpr std::size_t header = 12;
} // namespace dns_at

/// The flags of a header, at their bits. RFC 1035 section 4.1.1, RFC 4035 section 3.2
namespace dns_flag {
inline constexpr std::uint16_t response = 0x8000, authoritative = 0x0400, truncated = 0x0200,
                               recursion_desired = 0x0100, recursion_available = 0x0080, authentic = 0x0020,
                               checking_disabled = 0x0010;
} // namespace dns_flag

/// What is asked. RFC 1035 section 4.1.2
struct dns_question {
    dns_name name{};
    dns_type type = dns_type::a;
    dns_class cls = dns_class::internet;

    friend constexpr bool operator==(const dns_question&, const dns_question&) noexcept = default;
};

/// A record of a message, read in place. RFC 1035 section 4.1.3
struct dns_record {
    octets message{};
    std::size_t at = 0; ///< where its owner's name begins
    dns_type type = dns_type::a;
    dns_class cls = dns_class::internet; ///< for OPT: octets of UDP payload that the sender takes
    std::uint32_t ttl = 0;               ///< seconds; for OPT: RFC 6891 section 6.1.3
    dns_data data{};

    constexpr dns_name owner() const noexcept { return dns_name::read(message, at)->name; }
    /// Seconds, with the upper half of the range as none: RFC 2181 section 8.
    constexpr std::uint32_t lifetime() const noexcept { return ttl > 0x7fffffffu ? 0 : ttl; }

    /// The data as those of type T, which must be the record's. Nothing: they are malformed.
    template <dns_type T>
    constexpr auto get() const noexcept {
        return dns_format<T>::read(data);
    }
};

/// The records of a section, one after the other. Of a message that has been parsed: cannot fail.
class dns_record_walk {
    octets message_;
    std::size_t at_, left_;

public:
    constexpr dns_record_walk(octets message, std::size_t at, std::size_t count) noexcept
        : message_{message}, at_{at}, left_{count} {}

    constexpr std::optional<dns_record> next() noexcept {
        if (left_ == 0)
            return std::nullopt;
        --left_;
        return read(message_, at_);
    }

    /// Reads the record at `at`, and moves `at` behind it. Nothing: there is none that is whole.
    static constexpr std::optional<dns_record> read(octets message, std::size_t& at) noexcept {
        const auto owner = dns_name::read(message, at);
        if (!owner || message.size() - owner->end < 10)
            return std::nullopt;
        const auto* const p = message.data() + owner->end;
        dns_record record{.message = message,
                          .at = at,
                          .type = dns_type{load<std::uint16_t>(p)},
                          .cls = dns_class{load<std::uint16_t>(p + 2)},
                          .ttl = load<std::uint32_t>(p + 4),
                          .data = {message, owner->end + 10, load<std::uint16_t>(p + 8)}};
        if (message.size() - record.data.at < record.data.length)
            return std::nullopt;
        at = record.data.at + record.data.length;
        return record;
    }
};

/// A DNS message, read in place. RFC 1035 section 4
///
/// parse() has seen to it that every question and record is whole and every owner's name well-formed. What the data of
/// a record mean is judged when they are read.
class dns_view {
    octets octets_;
    std::size_t answers_ = 0, authorities_ = 0, additionals_ = 0; // where the sections begin

    explicit constexpr dns_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }
    constexpr bool has(std::uint16_t flag) const noexcept { return (get<dns_at::flags>() & flag) != 0; }

public:
    static constexpr std::size_t header_length = dns_at::header; ///< octets

    /// errc::truncated: shorter than its counts say; errc::malformed: a name that is none. A message whose sender had
    /// to cut it (TC) ends with whole records, or is not for us.
    static constexpr result<dns_view> parse(octets message) noexcept {
        if (message.size() < header_length)
            return std::unexpected(errc::truncated);
        dns_view view{message};
        std::size_t at = header_length;
        for (unsigned i = 0; i < view.get<dns_at::questions>(); ++i) {
            const auto name = dns_name::read(message, at);
            if (!name)
                return std::unexpected(name.error());
            if (message.size() - name->end < 4)
                return std::unexpected(errc::truncated);
            at = name->end + 4;
        }
        const auto skip = [&](unsigned count) {
            for (unsigned i = 0; i < count; ++i)
                if (!dns_record_walk::read(message, at))
                    return false;
            return true;
        };
        view.answers_ = at;
        bool whole = skip(view.get<dns_at::answers>());
        view.authorities_ = at;
        whole = whole && skip(view.get<dns_at::authorities>());
        view.additionals_ = at;
        whole = whole && skip(view.get<dns_at::additionals>());
        if (!whole) {
            const auto name = dns_name::read(message, at);
            return std::unexpected(name ? errc::truncated : name.error());
        }
        return view;
    }

    constexpr std::uint16_t id() const noexcept { return get<dns_at::id>(); }
    constexpr bool is_response() const noexcept { return has(dns_flag::response); }
    constexpr dns_opcode opcode() const noexcept {
        return dns_opcode{static_cast<std::uint8_t>(get<dns_at::flags>() >> 11 & 15u)};
    }
    constexpr bool authoritative() const noexcept { return has(dns_flag::authoritative); }
    constexpr bool truncated() const noexcept { return has(dns_flag::truncated); }
    constexpr bool recursion_available() const noexcept { return has(dns_flag::recursion_available); }

    /// With the bits of the OPT record, if there is one: RFC 6891 section 6.1.3.
    constexpr dns_rcode rcode() const noexcept {
        const auto more = opt();
        return dns_rcode{static_cast<std::uint16_t>((get<dns_at::flags>() & 15u) | (more ? more->ttl >> 24 << 4 : 0))};
    }

    constexpr unsigned questions() const noexcept { return get<dns_at::questions>(); }
    /// The first question; nothing when there is none. More than one is nothing that anybody sends (RFC 9619 section 4).
    constexpr std::optional<dns_question> question() const noexcept {
        if (questions() == 0)
            return std::nullopt;
        const auto name = dns_name::read(octets_, header_length);
        const auto* const p = octets_.data() + name->end;
        return dns_question{name->name, dns_type{load<std::uint16_t>(p)}, dns_class{load<std::uint16_t>(p + 2)}};
    }

    constexpr dns_record_walk answers() const noexcept { return {octets_, answers_, get<dns_at::answers>()}; }
    constexpr dns_record_walk authorities() const noexcept {
        return {octets_, authorities_, get<dns_at::authorities>()};
    }
    constexpr dns_record_walk additionals() const noexcept {
        return {octets_, additionals_, get<dns_at::additionals>()};
    }

    /// The OPT record: RFC 6891 section 6.1.1. Its options are its data.
    constexpr std::optional<dns_record> opt() const noexcept {
        for (auto walk = additionals(); const auto record = walk.next();)
            if (record->type == dns_type::opt)
                return record;
        return std::nullopt;
    }
};

} // namespace mirage::wire
