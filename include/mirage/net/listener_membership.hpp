// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/wire/mld.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::net {

/// Which IPv6 groups the applications of a host listen to, and when it tells the routers: the host's part of RFC 3810,
/// with version 1 where a router knows no other (section 8). The groups that Neighbour Discovery needs are not among them.
/// Pure; the IPv6 sibling of group_membership.
///
/// Listeners hear every source: records are "exclude nothing" and "include nothing". What a query asks about certain
/// sources is answered for the whole group, which says more than was asked.
class listener_membership {
public:
    static constexpr std::size_t max_groups = 16;
    static constexpr duration report_interval = std::chrono::seconds{1};        ///< RFC 3810 section 9.11
    static constexpr duration usual_query_interval = std::chrono::seconds{125}; ///< RFC 3810 section 9.2
    static constexpr unsigned usual_robustness = 2;                             ///< RFC 3810 section 9.1

    /// An ICMPv6 message to send, without its checksum.
    struct message {
        ipv6_address destination{};
        std::size_t size = 0; ///< octets of `text`
        std::array<std::byte, wire::mld_report_writer::header + max_groups * wire::mld_report_writer::record> text{};

        octets view() const noexcept { return octets{text}.first(size); }
    };

    /// One more user of `group`. errc::invalid_argument: not a multicast group; errc::no_buffers: max_groups already.
    result<> join(const ipv6_address& group, instant now) noexcept {
        if (!group.is_multicast())
            return std::unexpected(errc::invalid_argument);
        if (group == ipv6_address::all_nodes()) // every host listens to it, nobody reports it
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
    void leave(const ipv6_address& group, instant now) noexcept {
        entry* const e = group.is_unspecified() ? nullptr : find(group);
        if (e != nullptr && e->users != 0 && --e->users == 0)
            changed(*e, now);
    }

    bool is_listener(const ipv6_address& group) const noexcept {
        return group == ipv6_address::all_nodes() || std::ranges::any_of(entries_, [&](const entry& e) {
                   return e.users != 0 && e.group == group;
               });
    }

    /// The routers may not have heard what was said: says it again. RFC 3810 section 5.2.13, RFC 3590 section 4
    void repeat(instant now) noexcept {
        for (entry& e : entries_)
            if (e.users != 0)
                changed(e, now);
    }

    /// A query, and what its sender says of itself.
    template <random_source Random>
    void queried(const wire::mld_query& q, const wire::mld_querier& by, instant now, Random& random) noexcept {
        if (by.robustness != 0)
            robustness_ = by.robustness;
        if (by.interval != duration{})
            query_interval_ = by.interval;
        const bool before = first_version(now);
        const duration response = std::chrono::milliseconds{q.max_response};
        if (q.first_version) // RFC 3810 section 9.12: the older version querier present timeout
            first_version_until_ = now + robustness_ * query_interval_ + response;
        if (first_version(now) != before) { // RFC 3810 section 8.2.1: forget what is pending in the other form
            general_at_ = never;
            for (entry& e : entries_) {
                e.answer_at = e.change_at = never;
                e.changes_left = 0;
                if (e.users == 0)
                    e = entry{};
            }
        }
        // RFC 3810 section 6.2
        if (q.group.is_unspecified() && !first_version(now)) {
            general_at_ = std::min(general_at_, now + up_to(response, random));
            return;
        }
        for (entry& e : entries_)
            if (e.reported() && e.users != 0 && (q.group.is_unspecified() || e.group == q.group))
                e.answer_at = std::min(e.answer_at, now + up_to(response, random));
    }

    /// What is due now. To be called at next_deadline() or later, until next_deadline() is later than `now`.
    template <random_source Random>
    std::optional<message> on_time(instant now, Random& random) noexcept {
        message out;
        return (first_version(now) ? report_older(out, now, random) : report(out, now, random)) ? std::optional{out}
                                                                                                 : std::nullopt;
    }

    instant next_deadline() const noexcept {
        instant due = general_at_;
        for (const entry& e : entries_)
            due = std::min({due, e.change_at, e.answer_at});
        return due;
    }

    /// Whether a router of the link knows version 1 alone. RFC 3810 section 8.2.1
    bool first_version(instant now) const noexcept { return now < first_version_until_; }

private:
    struct entry {
        ipv6_address group{}; // unspecified: free
        unsigned users = 0;   // none: has left, and says so
        unsigned changes_left = 0;
        instant change_at = never, answer_at = never;

        /// RFC 3810 section 6: nothing is said of the groups of scopes 0 and 1, which do not leave the host.
        bool reported() const noexcept { return group.scope() > 1; }
    };

    std::array<entry, max_groups> entries_{};
    instant general_at_ = never; // when a general query is answered
    instant first_version_until_ = instant::min();
    unsigned robustness_ = usual_robustness;
    duration query_interval_ = usual_query_interval;

    entry* find(const ipv6_address& group) noexcept {
        const auto at = std::ranges::find(entries_, group, &entry::group);
        return at == entries_.end() ? nullptr : &*at;
    }
    template <random_source Random>
    static duration up_to(duration most, Random& random) noexcept {
        return most / 0x10000 * (random_integer<std::uint32_t>(random) & 0xffff);
    }

    /// RFC 3810 section 6.1: said at once, and again as often as messages may be lost.
    void changed(entry& e, instant now) noexcept {
        e.answer_at = never;
        if (!e.reported()) {
            if (e.users == 0)
                e = entry{};
            return;
        }
        e.changes_left = robustness_;
        e.change_at = now;
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
    bool report(message& out, instant now, Random& random) noexcept {
        using wire::mld_record;
        wire::mld_report_writer text{out.text};
        const bool all = general_at_ <= now;
        if (all)
            general_at_ = never;
        for (entry& e : entries_) {
            const bool listens = e.users != 0;
            if (e.change_at <= now) {
                text.add(listens ? mld_record::to_exclude : mld_record::to_include, e.group);
                e.answer_at = never;
                said(e, now, random);
            } else if (listens && e.reported() && (all || e.answer_at <= now)) {
                text.add(mld_record::is_exclude, e.group);
                e.answer_at = never;
            }
        }
        if (text.empty())
            return false;
        out.destination = wire::mld_report::destination;
        out.size = text.finish();
        return true;
    }

    /// One message for a router of version 1. RFC 3810 section 8.2.1, RFC 2710 section 4
    template <random_source Random>
    bool report_older(message& out, instant now, Random& random) noexcept {
        general_at_ = never; // asked in the other form, before the older router came
        for (entry& e : entries_) {
            if (e.change_at > now && e.answer_at > now)
                continue;
            using type = wire::icmpv6_type;
            const bool listens = e.users != 0;
            const wire::mld_v1_message text{listens ? type::listener_report_v1 : type::listener_done, e.group};
            e.answer_at = never;
            if (!listens)
                e.changes_left = 0; // RFC 2710 section 4: Done once
            said(e, now, random);
            out.destination = text.destination();
            out.size = text.text_size;
            text.emit_text(out.text);
            return true;
        }
        return false;
    }
};

} // namespace mirage::net
