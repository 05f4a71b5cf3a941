// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/wire/icmpv6.hpp"
#include <array>

namespace mirage::wire {

/// A Multicast Listener Query, version 1 or 2. RFC 3810 section 5.1
struct mld_query {
    std::uint32_t max_response = 0; ///< milliseconds
    ipv6_address group{};           ///< unspecified: every group

    /// errc::truncated, errc::malformed.
    static constexpr result<mld_query> parse(const icmpv6_view& m) noexcept {
        if (m.message().size() < 24)
            return std::unexpected(errc::truncated);
        const auto group = field<ipv6_address, 8>::load(m.message().data());
        if (m.code() != 0 || (!group.is_unspecified() && !group.is_multicast()))
            return std::unexpected(errc::malformed);
        // Section 5.1.3: large ones are written with an exponent. Version 1 has milliseconds.
        const std::uint32_t code = m.rest() >> 16;
        const std::uint32_t delay = code < 0x8000 ? code : ((code & 0xfffu) | 0x1000u) << ((code >> 12 & 7u) + 3);
        return mld_query{delay, group};
    }
};

/// A Multicast Listener Report, version 2: what groups we hear, from any source. RFC 3810 section 5.2
class mld_report {
    static constexpr std::size_t max_groups = 8;
    std::array<ipv6_address, max_groups> groups_{};
    std::size_t count_ = 0;

public:
    static constexpr std::size_t options = 8, record = 20;
    /// Octets with IPv6 and Hop-by-Hop headers, at most.
    static constexpr std::size_t max_size = ipv6_header::size + options + icmpv6_header::size + max_groups * record;
    static constexpr ipv6_address destination{0xff02'0000'0000'0000u, 0x16}; ///< section 5.2.14

    constexpr bool empty() const noexcept { return count_ == 0; }

    /// Groups past the eighth are left out.
    constexpr void add(const ipv6_address& group) noexcept {
        const auto end = groups_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (count_ < max_groups && std::find(groups_.begin(), end, group) == end)
            groups_[count_++] = group;
    }

    /// Writes the packet, IPv6 header first, to `room` of max_size octets; returns how many it is.
    constexpr std::size_t emit(mutable_octets room, const ipv6_address& source) const noexcept {
        check(room.size() >= max_size, "mld_report: no room");
        const std::size_t message = icmpv6_header::size + count_ * record;
        ipv6_header{.source = source, .destination = destination, .next = next_header::hop_by_hop, .hop_limit = 1,
                    .payload_length = static_cast<std::uint16_t>(options + message)}
            .emit(room);
        auto* p = room.data() + ipv6_header::size;
        store<std::uint64_t>(p, 0x3a00'0502'0000'0100u); // a router alert for MLD (RFC 2711), and padding
        const mutable_octets text = room.subspan(ipv6_header::size + options, message);
        p = text.data() + icmpv6_header::size;
        for (std::size_t i = 0; i < count_; ++i, p += record) {
            store<std::uint32_t>(p, 0x04000000u); // CHANGE_TO_EXCLUDE_MODE, no sources: section 5.2.12
            field<ipv6_address, 4>::store(p, groups_[i]);
        }
        const auto pseudo = pseudo_header_sum(source, destination, 58, static_cast<std::uint32_t>(message));
        icmpv6_header{icmpv6_type::listener_report, 0, static_cast<std::uint32_t>(count_)}.emit(
            text, sum(text.subspan(icmpv6_header::size), pseudo));
        return ipv6_header::size + options + message;
    }
};

} // namespace mirage::wire
