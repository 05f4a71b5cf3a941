// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/wire/icmpv6.hpp"
#include <array>

namespace mirage::wire {

/// A Multicast Listener Query, version 1 or 2. RFC 3810 section 5.1
struct mld_query {
    std::uint32_t max_response = 0; ///< milliseconds
    ipv6_address group{};           ///< unspecified: every group
    bool first_version = false;     ///< from a router that knows version 1 alone (RFC 2710)

    /// errc::truncated, errc::malformed.
    static constexpr result<mld_query> parse(const icmpv6_view& m) noexcept {
        if (m.message().size() < 24)
            return std::unexpected(errc::truncated);
        const auto group = field<ipv6_address, 8>::load(m.message().data());
        // Section 8.1: the length tells the versions apart; what lies between is neither.
        const std::size_t size = m.message().size();
        if (m.code() != 0 || (size > 24 && size < 28) || (!group.is_unspecified() && !group.is_multicast()))
            return std::unexpected(errc::malformed);
        // Section 5.1.3: large ones are written with an exponent. Version 1 has milliseconds.
        const std::uint32_t code = m.rest() >> 16;
        const std::uint32_t delay = code < 0x8000 || size == 24 ? code : ((code & 0xfffu) | 0x1000u) << ((code >> 12 & 7u) + 3);
        return mld_query{delay, group, size == 24};
    }
};

/// What the querier of a version 2 query says of itself. RFC 3810 sections 5.1.8 and 5.1.9
struct mld_querier {
    unsigned robustness = 0; ///< how often what may be lost is said; 0: it does not say
    duration interval{};     ///< between two general queries; 0: it does not say

    /// `m` is a query that mld_query::parse() has taken.
    static constexpr mld_querier of(const icmpv6_view& m) noexcept {
        if (m.message().size() < 28)
            return {};
        const auto code = std::to_integer<unsigned>(m.message()[25]);
        const unsigned seconds = code < 128 ? code : ((code & 15u) | 16u) << ((code >> 4 & 7u) + 3);
        return {std::to_integer<unsigned>(m.message()[24]) & 7u, std::chrono::seconds{seconds}};
    }
};

/// What a record of a report says of a group. RFC 3810 section 5.2.12
enum class mld_record : std::uint8_t {
    is_exclude = 2, ///< with no sources: we listen
    to_include = 3, ///< with no sources: we do not listen any more
    to_exclude = 4, ///< with no sources: we listen from now on
};

/// Writes the message of a version 2 report, record by record, none with sources. The checksum stays zero: it needs the
/// addresses of the packet. RFC 3810 section 5.2
class mld_report_writer {
    mutable_octets room_;
    std::uint16_t count_ = 0;

public:
    static constexpr std::size_t header = icmpv6_header::size, record = 20; ///< octets

    explicit constexpr mld_report_writer(mutable_octets room) noexcept : room_{room} {
        check(room.size() >= header, "mld_report_writer: no room");
    }
    constexpr std::size_t size() const noexcept { return header + count_ * record; } ///< octets
    constexpr bool empty() const noexcept { return count_ == 0; }

    constexpr void add(mld_record type, const ipv6_address& group) noexcept {
        check(size() + record <= room_.size(), "mld_report_writer: no room");
        auto* const p = room_.data() + size();
        store<std::uint32_t>(p, static_cast<std::uint32_t>(type) << 24);
        field<ipv6_address, 4>::store(p, group);
        ++count_;
    }
    /// Ends the report and returns how many octets it is.
    constexpr std::size_t finish() noexcept {
        store<std::uint32_t>(room_.data(), static_cast<std::uint32_t>(icmpv6_type::listener_report) << 24);
        store<std::uint32_t>(room_.data() + 4, count_);
        return size();
    }
};

namespace mld {

/// The Hop-by-Hop header of every message: a router alert for MLD (RFC 2711), and padding. The hop limit is 1.
inline constexpr std::size_t options = 8;
inline constexpr std::uint64_t router_alert = 0x3a00'0502'0000'0100u;

/// Writes IPv6 and Hop-by-Hop headers; returns the room of a message of `size` octets behind them.
constexpr mutable_octets emit_headers(mutable_octets room, const ipv6_address& source, const ipv6_address& destination,
                                      std::size_t size) noexcept {
    ipv6_header{.source = source, .destination = destination, .next = next_header::hop_by_hop, .hop_limit = 1,
                .payload_length = static_cast<std::uint16_t>(options + size)}
        .emit(room);
    store<std::uint64_t>(room.data() + ipv6_header::size, router_alert);
    return room.subspan(ipv6_header::size + options, size);
}

} // namespace mld

/// A Multicast Listener Report or Done, version 1: one group that we hear, or do not hear any more. RFC 2710 section 3
struct mld_v1_message {
    icmpv6_type type = icmpv6_type::listener_report_v1; ///< or listener_done
    ipv6_address group{};

    static constexpr std::size_t text_size = 24; ///< octets
    /// Octets with IPv6 and Hop-by-Hop headers.
    static constexpr std::size_t size = ipv6_header::size + mld::options + text_size;

    /// Section 5: a report goes to the group itself, Done to all routers.
    constexpr ipv6_address destination() const noexcept {
        return type == icmpv6_type::listener_done ? ipv6_address::all_routers() : group;
    }
    /// Writes the message alone, without its checksum, to the first `text_size` octets of `room`.
    constexpr void emit_text(mutable_octets room) const noexcept {
        check(room.size() >= text_size, "mld_v1_message: no room");
        store<std::uint32_t>(room.data(), static_cast<std::uint32_t>(type) << 24);
        store<std::uint32_t>(room.data() + 4, 0);
        field<ipv6_address, icmpv6_header::size>::store(room.data(), group);
    }
    /// Writes the packet, IPv6 header first, to the first `size` octets of `room`.
    constexpr void emit(mutable_octets room, const ipv6_address& source) const noexcept {
        check(room.size() >= size, "mld_v1_message: no room");
        const mutable_octets text = mld::emit_headers(room, source, destination(), 24);
        field<ipv6_address, icmpv6_header::size>::store(text.data(), group);
        icmpv6_header{type, 0, 0}.emit(
            text, sum(text.subspan(icmpv6_header::size), pseudo_header_sum(source, destination(), 58, 24)));
    }
};

/// A Multicast Listener Report, version 2: what groups we hear, from any source, and which no more. RFC 3810 section 5.2
class mld_report {
    static constexpr std::size_t max_groups = 8;
    std::array<ipv6_address, max_groups> groups_{};
    std::size_t count_ = 0;
    std::uint8_t left_ = 0; // a bit for each group that is not heard any more
    static_assert(max_groups <= 8);

public:
    static constexpr std::size_t options = mld::options, record = 20;
    /// Octets with IPv6 and Hop-by-Hop headers, at most.
    static constexpr std::size_t max_size = ipv6_header::size + options + icmpv6_header::size + max_groups * record;
    static constexpr ipv6_address destination{0xff02'0000'0000'0000u, 0x16}; ///< section 5.2.14

    constexpr bool empty() const noexcept { return count_ == 0; }

    /// A group that we hear, or have `left`. Groups past the eighth, and those that are there, are left out.
    constexpr void add(const ipv6_address& group, bool left = false) noexcept {
        const auto end = groups_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (count_ < max_groups && std::find(groups_.begin(), end, group) == end) {
            left_ = static_cast<std::uint8_t>(left_ | unsigned{left} << count_);
            groups_[count_++] = group;
        }
    }
    /// `visit(group, left)` for each.
    constexpr void each(auto&& visit) const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            visit(groups_[i], (left_ >> i & 1) != 0);
    }

    /// Writes the packet, IPv6 header first, to `room` of max_size octets; returns how many it is.
    constexpr std::size_t emit(mutable_octets room, const ipv6_address& source) const noexcept {
        check(room.size() >= max_size, "mld_report: no room");
        const std::size_t message = icmpv6_header::size + count_ * record;
        const mutable_octets text = mld::emit_headers(room, source, destination, message);
        auto* p = text.data() + icmpv6_header::size;
        for (std::size_t i = 0; i < count_; ++i, p += record) {
            // section 5.2.12, no sources: CHANGE_TO_INCLUDE_MODE, CHANGE_TO_EXCLUDE_MODE
            store<std::uint32_t>(p, (left_ >> i & 1) != 0 ? 0x03000000u : 0x04000000u);
            field<ipv6_address, 4>::store(p, groups_[i]);
        }
        const auto pseudo = pseudo_header_sum(source, destination, 58, static_cast<std::uint32_t>(message));
        icmpv6_header{icmpv6_type::listener_report, 0, static_cast<std::uint32_t>(count_)}.emit(
            text, sum(text.subspan(icmpv6_header::size), pseudo));
        return ipv6_header::size + options + message;
    }
};

} // namespace mirage::wire
