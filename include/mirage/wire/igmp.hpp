// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/time.hpp"
#include "mirage/wire/checksum.hpp"
#include <optional>

namespace mirage::wire {

/// RFC 3376 section 4, with the older versions' messages of section 4 and RFC 2236 section 2.
enum class igmp_type : std::uint8_t {
    query = 0x11,
    report_v1 = 0x12,
    report_v2 = 0x16,
    leave = 0x17,
    report_v3 = 0x22,
};

/// What a record of a report says of a group. RFC 3376 section 4.2.12
enum class igmp_record : std::uint8_t {
    is_include = 1,
    is_exclude = 2, ///< with no sources: we are a member
    to_include = 3, ///< with no sources: we have left
    to_exclude = 4, ///< with no sources: we have joined
};

namespace igmp_at { // RFC 3376 sections 4.1 and 4.2
using type = field<std::uint8_t, 0>;
using response_code = field<std::uint8_t, 1>;
using checksum = field<std::uint16_t, 2>;
using group = field<ipv4_address, 4>;       // not of a version 3 report
using record_count = field<std::uint16_t, 6>; // of a version 3 report
using robustness = field<std::uint8_t, 8>;  // of a version 3 query, from here on
using interval_code = field<std::uint8_t, 9>;
using source_count = field<std::uint16_t, 10>;
} // namespace igmp_at

/// An IGMP message, read in place. RFC 3376 section 4
class igmp_view {
    octets octets_;
    explicit constexpr igmp_view(octets o) noexcept : octets_{o} {}

    template <class Field>
    constexpr auto get() const noexcept {
        return Field::load(octets_.data());
    }
    constexpr bool is_v3_query() const noexcept { return type() == igmp_type::query && octets_.size() >= 12; }

    /// A small floating-point number: RFC 3376 sections 4.1.1 and 4.1.7.
    static constexpr unsigned number(std::uint8_t code) noexcept {
        return code < 128 ? code : ((code & 15u) | 16u) << ((code >> 4 & 7u) + 3);
    }

public:
    /// errc::truncated, errc::bad_checksum; errc::malformed: a query between the lengths of two versions (RFC 3376
    /// section 7.1), a list that is longer than the message.
    static constexpr result<igmp_view> parse(octets message) noexcept {
        if (message.size() < 8)
            return std::unexpected(errc::truncated);
        if (!sum(message).intact())
            return std::unexpected(errc::bad_checksum);
        const igmp_view view{message};
        if (view.type() == igmp_type::query && message.size() != 8) {
            if (message.size() < 12 || (message.size() - 12) / 4 < view.get<igmp_at::source_count>())
                return std::unexpected(errc::malformed);
        }
        return view;
    }

    constexpr igmp_type type() const noexcept { return igmp_type{get<igmp_at::type>()}; }
    /// Of whom a query asks, or whom an older report is about; unspecified: of all groups.
    constexpr ipv4_address group() const noexcept { return get<igmp_at::group>(); }
    /// The version of a query: RFC 3376 section 7.1.
    constexpr unsigned version() const noexcept {
        return is_v3_query() ? 3 : get<igmp_at::response_code>() == 0 ? 1 : 2;
    }
    /// How long an answer to a query may take at most.
    constexpr duration response_time() const noexcept {
        const auto code = get<igmp_at::response_code>();
        const unsigned tenths = version() == 1 ? 100 : version() == 2 ? code : number(code);
        return std::chrono::milliseconds{std::int64_t{100} * tenths};
    }
    /// How often a report is sent, as the querier of a version 3 query wants it; 0: it does not say.
    constexpr unsigned robustness() const noexcept { return is_v3_query() ? get<igmp_at::robustness>() & 7u : 0; }
    /// Between two general queries; 0: it does not say.
    constexpr duration query_interval() const noexcept {
        return std::chrono::seconds{is_v3_query() ? number(get<igmp_at::interval_code>()) : 0};
    }
};

/// Writes a version 3 report, record by record, none with sources. RFC 3376 section 4.2
class igmp_report {
    mutable_octets room_;
    std::uint16_t count_ = 0;

public:
    static constexpr std::size_t header = 8, record = 8; ///< octets

    /// `room` has at least `header` octets.
    explicit constexpr igmp_report(mutable_octets room) noexcept : room_{room} {
        check(room.size() >= header, "igmp_report: no room");
        std::ranges::fill(room_.first(header), std::byte{0});
        igmp_at::type::store(room_.data(), static_cast<std::uint8_t>(igmp_type::report_v3));
    }
    constexpr bool full() const noexcept { return size() + record > room_.size(); }
    constexpr std::size_t size() const noexcept { return header + count_ * record; } ///< octets
    constexpr bool empty() const noexcept { return count_ == 0; }

    constexpr void add(igmp_record type, ipv4_address group) noexcept {
        check(!full(), "igmp_report: no room");
        auto* const p = room_.data() + size();
        store<std::uint32_t>(p, static_cast<std::uint32_t>(type) << 24);
        store<std::uint32_t>(p + 4, group.value());
        ++count_;
    }
    /// Ends the report and returns its octets.
    constexpr octets finish() noexcept {
        igmp_at::record_count::store(room_.data(), count_);
        igmp_at::checksum::store(room_.data(), sum(octets{room_}.first(size())).finish());
        return octets{room_}.first(size());
    }
};

/// A message of 8 octets: a query of version 1 or 2, a report of theirs, a leave. RFC 2236 section 2
struct igmp_short {
    igmp_type type = igmp_type::report_v2;
    std::uint8_t response_code = 0; ///< tenths of a second; 0 in a query of version 1
    ipv4_address group{};

    static constexpr std::size_t size = 8; ///< octets

    constexpr void emit(mutable_octets room) const noexcept {
        check(room.size() >= size, "igmp_short: no room");
        auto* const p = room.data();
        store<std::uint32_t>(p, static_cast<std::uint32_t>(type) << 24 | std::uint32_t{response_code} << 16);
        igmp_at::group::store(p, group);
        igmp_at::checksum::store(p, sum(octets{room}.first(size)).finish());
    }
};

} // namespace mirage::wire
