// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/ipv6_addresses.hpp"
#include <algorithm>
#include <array>
#include <utility>

namespace mirage::net {

struct ipv6;

/// The layer that gives a stack temporary addresses beside the stable ones of the prefixes that routers advertise, and
/// speaks to others from them (RFC 8981, RFC 6724 section 5 rule 7): whom it speaks to does not know it again after a day.
/// Servers are reached at the stable addresses as ever.
struct temporary_addresses {
    template <class Stack>
    class state;
};

template <class Stack>
class temporary_addresses::state {
    static_assert(Stack::template has<ipv6>, "stack: net::temporary_addresses needs mirage::net::ipv6 in the list");

public:
    // RFC 8981 section 3.8
    static constexpr duration usual_valid = std::chrono::hours{48}, usual_preferred = std::chrono::hours{24};
    static constexpr unsigned max_tries = 3;                           ///< TEMP_IDGEN_RETRIES
    static constexpr duration regeneration = std::chrono::seconds{5};  ///< REGEN_ADVANCE: 2 + retries * 1 probe * 1 s
    static constexpr std::size_t max = 5; ///< more than one prefix needs in its addresses' lifetimes: section 3.6

private:
    struct entry {
        ipv6_address address{}; // unspecified: free
        instant preferred_limit{}, valid_limit{};
        instant regenerate_at = never; // never: has a successor
        unsigned tries = 0;            // of its like that somebody else had
    };

    Stack& stack_;
    std::array<entry, max> entries_{};
    duration valid_ = usual_valid, preferred_ = usual_preferred;
    bool given_up_ = false;

    static const own_address* find(const auto& host, const ipv6_address& address) noexcept {
        for (const own_address& o : host.addresses())
            if (o.used() && o.address == address)
                return &o;
        return nullptr;
    }

    /// RFC 8981 section 3.3.1: a random interface identifier, none that is reserved (RFC 5453) or ours.
    ipv6_address invent(const auto& host, std::uint64_t prefix) noexcept {
        for (;;) {
            const auto id = random_integer<std::uint64_t>(stack_.random());
            const ipv6_address candidate{prefix, id};
            if (id != 0 && id >> 7 != 0xfdff'ffff'ffff'ff80u >> 7 && id >> 24 != 0x0200'5eff'feu
                && find(host, candidate) == nullptr)
                return candidate;
        }
    }

    /// Where the next one goes: a free place, or that of the one that would end first, which ends now.
    entry& make_room(auto& host) noexcept {
        entry* first = nullptr;
        for (entry& e : entries_) {
            const own_address* const o = find(host, e.address);
            if (o == nullptr)
                return e = {};
            if (first == nullptr || o->valid_until < find(host, first->address)->valid_until)
                first = &e;
        }
        host.withdraw(first->address);
        return *first = {};
    }

    /// RFC 8981 section 3.4 steps 3 to 6. `preferred` and `valid` are those of the prefix.
    void create(auto& host, std::uint64_t prefix, instant preferred, instant valid, unsigned tries) noexcept {
        const instant now = stack_.now();
        const duration desynchronise = preferred_ / 1000 * (random_integer<std::uint32_t>(stack_.random()) % 401);
        const entry made{.preferred_limit = now + preferred_ - desynchronise, .valid_limit = now + valid_, .tries = tries};
        const instant until = std::min(preferred, made.preferred_limit);
        if (given_up_ || until <= now + regeneration)
            return;
        entry& e = make_room(host) = made;
        e.address = invent(host, prefix);
        e.regenerate_at = until - regeneration;
        if (!host.assign(e.address, until, std::min(valid, made.valid_limit), 64)) // no room among all of our addresses
            e = {};
    }
    /// The next one of a prefix that is still in use.
    void succeed(auto& host, std::uint64_t prefix, unsigned tries) noexcept {
        for (const own_address& o : host.addresses())
            if (o.used() && o.automatic && o.address.high() == prefix)
                return create(host, prefix, o.preferred_until, o.valid_until, tries);
    }

public:
    state(Stack& owner, const auto&) noexcept : stack_{owner} {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// How long those that are made from now on are used for what is new, and for what has begun: TEMP_PREFERRED_LIFETIME
    /// and TEMP_VALID_LIFETIME, the first not longer than the second.
    void lifetimes(duration preferred, duration valid) noexcept {
        preferred_ = preferred;
        valid_ = valid;
    }
    bool is_temporary(const ipv6_address& address) const noexcept {
        return std::ranges::any_of(entries_, [&](const entry& e) { return e.address == address; });
    }

    // What Neighbour Discovery, `host`, tells.

    /// A router has advertised a prefix to make addresses of. RFC 8981 section 3.4 steps 1 and 2
    void advertised(auto& host, std::uint64_t prefix, instant preferred, instant valid) noexcept {
        const instant now = stack_.now(), least = now + std::chrono::hours{2};
        bool current = false;
        for (entry& e : entries_) {
            const own_address* const o = find(host, e.address);
            if (o == nullptr || e.address.high() != prefix)
                continue;
            // RFC 4862 section 5.5.3 (e), and never beyond what it was made for
            const instant until = valid > least || valid > o->valid_until ? valid : std::min(o->valid_until, least);
            const instant use = std::min(preferred, e.preferred_limit);
            (void)host.assign(e.address, use, std::min(until, e.valid_limit), 64);
            if (e.regenerate_at != never) {
                e.regenerate_at = use - regeneration;
                current = true;
            }
        }
        if (!current)
            create(host, prefix, preferred, valid, 0);
    }
    /// Somebody else has `address`. RFC 8981 section 3.4 step 7
    void duplicate(auto& host, const ipv6_address& address) noexcept {
        const auto place = std::ranges::find(entries_, address, &entry::address);
        if (address.is_unspecified() || place == entries_.end())
            return;
        const unsigned tries = std::exchange(*place, {}).tries + 1;
        given_up_ = tries >= max_tries;
        succeed(host, address.high(), tries);
    }
    /// On another link, perhaps.
    void reattached() noexcept { given_up_ = false; }

    instant next_deadline() const noexcept {
        return std::ranges::min_element(entries_, {}, &entry::regenerate_at)->regenerate_at;
    }
    /// RFC 8981 section 3.5: the next one, a little before one is deprecated.
    void on_time(auto& host) noexcept {
        const instant now = stack_.now();
        for (entry& e : entries_)
            if (e.regenerate_at <= now) {
                e.regenerate_at = never;
                succeed(host, e.address.high(), 0);
                return; // others are due at once again
            }
    }
};

} // namespace mirage::net
