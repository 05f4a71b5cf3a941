// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/wire/igmp.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::net {

/// The groups that every multicast router and host of the link hears.
inline constexpr ipv4_address all_hosts_group{224, 0, 0, 1}, all_routers_group{224, 0, 0, 2},
    igmp_v3_group{224, 0, 0, 22}; // RFC 3376 section 4.2.14

/// Which multicast groups a host is a member of, and when it tells the routers: the host's part of RFC 3376, with the
/// older versions where an older router is (section 7.2). Pure.
///
/// Members hear every source: records are "exclude nothing" and "include nothing". What a query asks about certain
/// sources is answered for the whole group, which says more than was asked.
class group_membership {
public:
    static constexpr std::size_t max_groups = 16;
    static constexpr duration report_interval = std::chrono::seconds{1}; ///< RFC 3376 section 8.11
    static constexpr duration usual_query_interval = std::chrono::seconds{125}; ///< RFC 3376 section 8.2
    static constexpr unsigned usual_robustness = 2;                             ///< RFC 3376 section 8.1

    /// A message to send.
    struct message {
        ipv4_address destination{};
        std::size_t size = 0; ///< octets of `text`
        std::array<std::byte, wire::igmp_report::header + max_groups * wire::igmp_report::record> text{};

        octets view() const noexcept { return octets{text}.first(size); }
    };

    /// One more user of `group`. errc::invalid_argument: not a multicast group; errc::no_buffers: max_groups already.
    result<> join(ipv4_address group, instant now) noexcept {
        if (!group.is_multicast())
            return std::unexpected(errc::invalid_argument);
        if (group == all_hosts_group) // RFC 3376 section 6: every host is a member, nobody reports it
            return {};
        entry* e = find(group);
        if (e == nullptr)
            e = find({});
        if (e == nullptr)
            return std::unexpected(errc::no_buffers);
        e->group = group;
        if (e->users++ == 0)
            changed(*e, now);
        return {};
    }

    /// One user less.
    void leave(ipv4_address group, instant now) noexcept {
        entry* const e = group.is_unspecified() ? nullptr : find(group);
        if (e != nullptr && e->users != 0 && --e->users == 0)
            changed(*e, now);
    }

    bool is_member(ipv4_address group) const noexcept {
        return group == all_hosts_group || std::ranges::any_of(entries_, [&](const entry& e) {
                   return e.users != 0 && e.group == group;
               });
    }

    /// A message that came to `destination`.
    template <random_source Random>
    void receive(const wire::igmp_view& m, ipv4_address destination, instant now, Random& random) noexcept {
        switch (m.type()) {
        case wire::igmp_type::query: on_query(m, destination, now, random); break;
        case wire::igmp_type::report_v1:
        case wire::igmp_type::report_v2: // RFC 2236 section 3: one answer is enough for an older router
            if (entry* const e = find(m.group()); e != nullptr && version(now) < 3)
                e->answer_at = never;
            break;
        default: break;
        }
    }

    /// What is due now. To be called at next_deadline() or later, until next_deadline() is later than `now`.
    template <random_source Random>
    std::optional<message> on_time(instant now, Random& random) noexcept {
        message out;
        return (version(now) == 3 ? report(out, now, random) : report_older(out, now, random)) ? std::optional{out}
                                                                                                : std::nullopt;
    }

    instant next_deadline() const noexcept {
        instant due = general_at_;
        for (const entry& e : entries_)
            due = std::min({due, e.change_at, e.answer_at});
        return due;
    }

    /// Which version the routers understand. RFC 3376 section 7.2.1
    unsigned version(instant now) const noexcept { return now < v1_until_ ? 1 : now < v2_until_ ? 2 : 3; }

private:
    struct entry {
        ipv4_address group{}; // unspecified: free
        unsigned users = 0;   // none: has left, and says so
        unsigned changes_left = 0;
        instant change_at = never, answer_at = never;
    };

    std::array<entry, max_groups> entries_{};
    instant general_at_ = never; // when a general query is answered
    instant v1_until_ = instant::min(), v2_until_ = instant::min();
    unsigned robustness_ = usual_robustness;
    duration query_interval_ = usual_query_interval;

    entry* find(ipv4_address group) noexcept {
        const auto at = std::ranges::find(entries_, group, &entry::group);
        return at == entries_.end() ? nullptr : &*at;
    }
    template <random_source Random>
    static duration up_to(duration most, Random& random) noexcept {
        return most / 0x10000 * (random_integer<std::uint32_t>(random) & 0xffff);
    }

    /// RFC 3376 section 5.1: said at once, and again as often as messages may be lost.
    void changed(entry& e, instant now) noexcept {
        e.changes_left = robustness_;
        e.change_at = now;
        e.answer_at = never;
    }
    /// One of the changes was said.
    template <random_source Random>
    void said(entry& e, instant now, Random& random) noexcept {
        e.changes_left -= e.changes_left != 0 ? 1 : 0;
        e.change_at = e.changes_left != 0 ? now + up_to(report_interval, random) : never;
        if (e.users == 0 && e.changes_left == 0)
            e = entry{};
    }

    template <random_source Random>
    void on_query(const wire::igmp_view& m, ipv4_address destination, instant now, Random& random) noexcept {
        const ipv4_address group = m.group();
        // RFC 3376 section 9.1: what is asked of all is sent to all, or forged
        if (group.is_unspecified() ? destination != all_hosts_group : !group.is_multicast())
            return;
        if (m.robustness() != 0)
            robustness_ = m.robustness();
        if (m.query_interval() != duration{})
            query_interval_ = m.query_interval();
        const unsigned before = version(now);
        // RFC 3376 section 8.12: the older version querier present timeout
        const instant until = now + robustness_ * query_interval_ + m.response_time();
        if (m.version() == 1)
            v1_until_ = until;
        else if (m.version() == 2)
            v2_until_ = until;
        if (version(now) != before) // RFC 3376 section 7.2.1: forget what is pending in the other form
            for (entry& e : entries_) {
                e.answer_at = never;
                e.change_at = never;
                e.changes_left = 0;
                if (e.users == 0)
                    e = entry{};
            }
        if (version(now) != before)
            general_at_ = never;
        // RFC 3376 section 5.2
        if (group.is_unspecified() && version(now) == 3) {
            general_at_ = std::min(general_at_, now + up_to(m.response_time(), random));
            return;
        }
        for (entry& e : entries_)
            if (e.users != 0 && (group.is_unspecified() || e.group == group))
                e.answer_at = std::min(e.answer_at, now + up_to(m.response_time(), random));
    }

    template <random_source Random>
    bool report(message& out, instant now, Random& random) noexcept {
        wire::igmp_report text{out.text};
        const bool all = general_at_ <= now;
        if (all)
            general_at_ = never;
        for (entry& e : entries_) {
            const bool member = e.users != 0;
            if (e.change_at <= now) {
                text.add(member ? wire::igmp_record::to_exclude : wire::igmp_record::to_include, e.group);
                e.answer_at = never;
                said(e, now, random);
            } else if (member && (all || e.answer_at <= now)) {
                text.add(wire::igmp_record::is_exclude, e.group);
                e.answer_at = never;
            }
        }
        if (text.empty())
            return false;
        out.destination = igmp_v3_group;
        out.size = text.finish().size();
        return true;
    }

    /// One message for a router of version 1 or 2. RFC 3376 section 7.2.1, RFC 2236 section 3
    template <random_source Random>
    bool report_older(message& out, instant now, Random& random) noexcept {
        if (general_at_ <= now) // asked in the other form, before the older router came
            general_at_ = never;
        for (entry& e : entries_) {
            if (e.change_at > now && e.answer_at > now)
                continue;
            const bool member = e.users != 0, first = version(now) == 1;
            const wire::igmp_short text{.type = !member ? wire::igmp_type::leave
                                                : first ? wire::igmp_type::report_v1
                                                        : wire::igmp_type::report_v2,
                                        .group = e.group};
            out.destination = member ? e.group : all_routers_group;
            e.answer_at = never;
            if (!member)
                e.changes_left = 0;
            said(e, now, random);
            if (!member && first) // RFC 2236 section 4: version 1 knows no leaving
                continue;
            text.emit(out.text);
            out.size = wire::igmp_short::size;
            return true;
        }
        return false;
    }
};

} // namespace mirage::net
