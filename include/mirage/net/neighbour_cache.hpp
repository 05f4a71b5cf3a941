// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/time.hpp"
#include "mirage/net/queue_pool.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <utility>

namespace mirage::net {

/// What the cache knows about an address.
enum class neighbour_state : std::uint8_t {
    unknown,    ///< no entry
    incomplete, ///< asked by broadcast, no answer yet; packets wait
    reachable,  ///< confirmed within reachable_time
    stale,      ///< confirmed once; usable, and probed when it is next used
    delay,      ///< usable, used, and probed soon unless it is confirmed before (RFC 4861 section 7.3.2)
    probe,      ///< usable; a unicast poll is on its way (RFC 1122 section 2.3.2.1 mechanism 2)
};

/// Which link-layer addresses the neighbours on one interface have: what ARP and Neighbour Discovery share.
///
/// Bounded: `Entries` neighbours and Entries / 2 waiting packets of type `Pending`, which is only moved. When
/// it is full, what traffic uses stays: a scan of the subnet displaces at most an eighth of the entries in
/// use, and requests of strangers displace only entries that no packet was ever sent to. What loses its place
/// is dropped and counted, as a router on the way would. next_deadline() may become earlier in every call
/// that takes an output.
///
/// `Derived` has the protocol's times as constants, its `statistics_prefix`, `reachable()`, `hash(address)`, and `ask_for(out, address, to)`,
/// which asks by a packet to `to`, broadcast() meaning whoever may know.
template <class Derived, class Address, std::move_constructible Pending, std::size_t Entries>
    requires(Entries >= 8 && Entries < 0x8000)
class neighbour_cache {
public:
    static constexpr std::size_t max_pending = 4; ///< waiting packets per address; the latest stays

    struct counters {
        std::uint64_t requests = 0; ///< requests and polls sent
        std::uint64_t replies = 0;  ///< requests answered
        std::uint64_t evicted = 0;  ///< entries displaced by others
        std::uint64_t refused = 0;  ///< packets for which there was no entry to wait at
        std::uint64_t overflow = 0; ///< waiting packets displaced by later ones

        static constexpr auto table() noexcept {
            using s = counters;
            return statistics_table{
                Derived::statistics_prefix,
                statistic{&s::requests, "requests", "Requests and polls sent."},
                statistic{&s::replies, "replies", "Requests answered."},
                statistic{&s::evicted, "evicted", "Neighbours displaced by others."},
                statistic{&s::refused, "refused", "Packets without an entry to wait at."},
                statistic{&s::overflow, "overflow", "Waiting packets displaced by later ones."}};
        }
    };

    /// The MAC address to send to, or nullptr: give the packet to resolve(). Valid until the next call. The
    /// hot path: one comparison when it is the same neighbour as last time.
    template <class Out>
    const mac_address* find(Address address, instant now, Out& out) noexcept {
        if (entries_[last_].address != address) [[unlikely]] {
            const index at = search(address);
            if (at == none)
                return nullptr;
            last_ = at;
        }
        entry& e = entries_[last_];
        if (e.state == neighbour_state::incomplete)
            return nullptr;
        if (now >= e.fresh_until) [[unlikely]]
            return find_stale(e, now, out);
        mark_used(e, now);
        return &e.mac;
    }

    /// Sends `packet` on at once when the address is known, else keeps it and asks.
    template <class Out>
    void resolve(Address address, Pending packet, instant now, Out& out) noexcept {
        if (const mac_address* known = find(address, now, out)) {
            out.resolved(std::move(packet), mac_address{*known});
            return;
        }
        entry* const e = make_incomplete(address, now);
        if (e == nullptr)
            return;
        enqueue(*e, std::move(packet));
        if (e->attempts == 0)
            ask(*e, mac_address::broadcast(), now, out);
    }

    /// Asks for an address on behalf of a packet that cannot wait, so that the next one need not.
    template <class Out>
    void solicit(Address address, instant now, Out& out) noexcept {
        if (find(address, now, out) != nullptr)
            return;
        if (entry* const e = make_incomplete(address, now); e != nullptr && e->attempts == 0)
            ask(*e, mac_address::broadcast(), now, out);
    }

    /// Higher-layer advice that `address` has just answered (RFC 1122 section 2.3.2.1 mechanism 4): saves a
    /// poll.
    void confirm(Address address, instant now) noexcept {
        const index at = entries_[last_].address == address ? last_ : search(address);
        if (at == none || entries_[at].state == neighbour_state::incomplete)
            return;
        entries_[at].state = neighbour_state::reachable;
        entries_[at].fresh_until = now + self().reachable();
    }

    /// Repeats requests and gives up on those who do not answer. To be called at next_deadline() or later.
    template <class Out>
    void on_time(instant now, Out& out) noexcept {
        deadline_ = never;
        for (std::size_t i = 0; i < Entries; ++i) {
            entry& e = entries_[i];
            const bool delayed = Derived::delay_time > duration{} && e.state == neighbour_state::delay;
            if (e.state != neighbour_state::incomplete && e.state != neighbour_state::probe && !delayed)
                continue;
            const bool incomplete = e.state == neighbour_state::incomplete;
            if (e.deadline > now)
                deadline_ = std::min(deadline_, e.deadline);
            else if (delayed)
                start_poll(e, now, out);
            else if (e.attempts < (incomplete ? Derived::max_requests : Derived::max_polls))
                ask(e, incomplete ? mac_address::broadcast() : e.mac, now, out);
            else
                give_up(e, out);
        }
    }

    /// When on_time() has something to do; `never` when it has not.
    instant next_deadline() const noexcept { return deadline_; }

    neighbour_state state(Address address, instant now) const noexcept {
        const index at = search(address);
        if (at == none
            || (entries_[at].state != neighbour_state::incomplete
                && now >= entries_[at].fresh_until + Derived::forget_time))
            return neighbour_state::unknown;
        const entry& e = entries_[at];
        return e.state == neighbour_state::reachable && now >= e.fresh_until ? neighbour_state::stale
                                                                             : e.state;
    }
    std::size_t size() const noexcept { return size_; }              ///< entries
    std::size_t incomplete() const noexcept { return incomplete_; }  ///< entries that wait for an answer
    std::size_t waiting() const noexcept { return pending_.used(); } ///< packets that wait
    const counters& count() const noexcept { return counters_; }

protected:
    using index = std::uint16_t;
    static constexpr index none = 0xffff;
    static constexpr std::size_t buckets = std::bit_ceil(Entries);
    static constexpr std::size_t max_incomplete = Entries / 2;
    using pool = queue_pool<Pending, max_incomplete>; // so that every one of them can keep a packet

    struct entry {
        Address address{}; // unspecified: free
        mac_address mac{};
        neighbour_state state = neighbour_state::unknown;
        std::uint8_t attempts = 0;
        std::uint8_t uses = 0; // packets sent to it: 0, 1, or 2 for more
        index next = none;     // in the bucket
        typename pool::queue waiting{};
        instant fresh_until = instant::min();
        instant used_at{};
        instant deadline = never;
    };

    std::array<entry, Entries> entries_{};
    std::array<index, buckets> heads_{};
    pool pending_{};
    index last_ = 0; // the last one found
    std::size_t size_ = 0, incomplete_ = 0;
    instant deadline_ = never;
    counters counters_{};

    neighbour_cache() noexcept { heads_.fill(none); }

    /// Forgets everybody, and drops what waits.
    void forget_all() noexcept {
        for (std::size_t i = 0; i < Entries; ++i)
            if (!entries_[i].address.is_unspecified())
                release(entries_[i]);
        deadline_ = never;
    }

    Derived& self() noexcept { return static_cast<Derived&>(*this); }
    const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }

    // Chains are bounded by Entries: a keyed hash would buy nothing.
    static constexpr std::size_t bucket_of(Address a) noexcept {
        return (Derived::hash(a) * 0x9e3779b1u) >> (32 - std::countr_zero(buckets));
    }
    index search(Address address) const noexcept {
        index at = heads_[bucket_of(address)];
        while (at != none && entries_[at].address != address)
            at = entries_[at].next;
        return at;
    }
    static void mark_used(entry& e, instant now) noexcept {
        e.used_at = now;
        e.uses = static_cast<std::uint8_t>(e.uses < 2 ? e.uses + 1 : 2);
    }

    template <class Out>
    const mac_address* find_stale(entry& e, instant now, Out& out) noexcept {
        if (now >= e.fresh_until + Derived::forget_time)
            return nullptr;
        mark_used(e, now);
        if (e.state == neighbour_state::reachable || e.state == neighbour_state::stale) {
            e.attempts = 0;
            if constexpr (Derived::delay_time > duration{}) {
                e.state = neighbour_state::delay;
                e.deadline = now + Derived::delay_time;
                deadline_ = std::min(deadline_, e.deadline);
            } else {
                start_poll(e, now, out);
            }
        }
        return &e.mac;
    }

    template <class Out>
    void start_poll(entry& e, instant now, Out& out) noexcept {
        e.state = neighbour_state::probe;
        ask(e, e.mac, now, out);
    }

    /// The entry that waits for an answer from `address`, made if need be; nullptr when there is no room for it.
    entry* make_incomplete(Address address, instant now) noexcept {
        index at = search(address);
        if (at != none && entries_[at].state != neighbour_state::incomplete) {
            release(entries_[at]); // too old to be believed
            at = none;
        }
        if (at == none) {
            at = make_room(true);
            if (at == none) {
                ++counters_.refused;
                return nullptr;
            }
            insert(at, address, neighbour_state::incomplete, now);
            ++incomplete_;
        }
        mark_used(entries_[at], now);
        return &entries_[at];
    }

    template <class Out>
    void ask(entry& e, mac_address to, instant now, Out& out) noexcept {
        ++e.attempts;
        ++counters_.requests;
        e.deadline = now + Derived::request_interval;
        deadline_ = std::min(deadline_, e.deadline);
        self().ask_for(out, e.address, to);
    }

    template <class Out>
    void merge(entry& e, mac_address mac, instant now, Out& out) noexcept {
        if (e.state == neighbour_state::incomplete)
            --incomplete_;
        e.mac = mac;
        e.state = neighbour_state::reachable;
        e.fresh_until = now + self().reachable();
        for (auto waiting = std::exchange(e.waiting, {}); !waiting.empty();)
            out.resolved(pending_.pop(waiting), mac);
    }

    template <class Out>
    void give_up(entry& e, Out& out) noexcept {
        const Address address = e.address;
        auto waiting = std::exchange(e.waiting, {});
        release(e);
        while (!waiting.empty())
            out.failed(pending_.pop(waiting), address);
    }

    void insert(index at, Address address, neighbour_state state, instant now) noexcept {
        index& head = heads_[bucket_of(address)];
        entries_[at] = entry{.address = address, .state = state, .next = head, .used_at = now};
        head = at;
        ++size_;
    }
    void release(entry& e) noexcept {
        while (!e.waiting.empty())
            (void)pending_.pop(e.waiting);
        index* link = &heads_[bucket_of(e.address)];
        while (&entries_[*link] != &e)
            link = &entries_[*link].next;
        *link = e.next;
        if (e.state == neighbour_state::incomplete)
            --incomplete_;
        --size_;
        e = entry{};
    }

    /// How readily `e` is given up: the higher the sooner, 0 never. `wanted`: a packet waits for the place.
    unsigned rank(const entry& e, bool wanted) const noexcept {
        const bool too_many = wanted && incomplete_ >= max_incomplete; // then only one of these makes room
        if (e.state == neighbour_state::incomplete)
            return wanted && e.attempts > 1 ? 2 : 0; // a slot asks for at most two addresses per second
        if (too_many)
            return 0;
        if (e.address.is_unspecified())
            return 5;
        if (e.uses == 0)
            return 4;
        if (wanted && e.uses == 1)
            return 3;
        return wanted && incomplete_ < Entries / 8 ? 1 : 0;
    }

    /// A free entry, if need be by displacing the least recently used of those that are worth least.
    index make_room(bool wanted) noexcept {
        index victim = none;
        unsigned highest = 0;
        for (std::size_t i = 0; i < Entries && highest != 5; ++i) {
            const unsigned r = rank(entries_[i], wanted);
            if (r > highest || (r != 0 && r == highest && entries_[i].used_at < entries_[victim].used_at)) {
                victim = static_cast<index>(i);
                highest = r;
            }
        }
        if (victim != none && highest != 5) {
            ++counters_.evicted;
            release(entries_[victim]);
        }
        return victim;
    }

    /// RFC 1122 section 2.3.2.2: of the packets for one address at least the latest is kept.
    void enqueue(entry& e, Pending packet) noexcept {
        if (e.waiting.length >= max_pending || pending_.full()) {
            entry* longest = &e; // on a tie: an entry's last packet only gives way to its own next one
            for (entry& other : entries_)
                if (pending_.full() && other.waiting.length > longest->waiting.length)
                    longest = &other;
            ++counters_.overflow;
            (void)pending_.pop(longest->waiting);
        }
        pending_.push(e.waiting, std::move(packet));
    }
};

} // namespace mirage::net
