// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/time.hpp"
#include "mirage/net/dns/answer.hpp"
#include <algorithm>
#include <memory>
#include <new>

namespace mirage::net {

/// What a lookup came to in the end.
struct dns_outcome {
    errc failed{};            ///< errc{}: it did not
    dns_record_set records{};
};

/// What is known of names, for a while: answers, and that there are none (RFC 2308 section 5). A fixed number of
/// entries; the one that was not asked for longest makes room.
class dns_cache {
public:
    /// What is known of a name, and until when.
    struct known {
        dns_outcome outcome{};
        instant expires = instant::min();
    };

private:
    struct entry : known {
        wire::dns_name name{};
        wire::dns_type type{}; ///< `any`: there is no such name, of whatever type
        instant used = instant::min();
    };
    std::size_t size_ = 0;
    entry* entries_ = nullptr;

    std::span<entry> entries() noexcept { return {entries_, size_}; }

public:
    /// Servers may say more, and are believed for this long. RFC 8767 section 4, RFC 2308 section 5
    static constexpr std::uint32_t longest = 24 * 3600, longest_negative = 3 * 3600; // seconds

    /// Reserves the memory of `count` entries; with less memory there is no cache.
    explicit dns_cache(std::size_t count) noexcept
        : size_{count}, entries_{static_cast<entry*>(::operator new(count * sizeof(entry), std::nothrow))} {
        size_ = entries_ == nullptr ? 0 : count;
        std::uninitialized_default_construct_n(entries_, size_);
    }
    dns_cache(const dns_cache&) = delete;
    dns_cache& operator=(const dns_cache&) = delete;
    ~dns_cache() {
        std::destroy_n(entries_, size_);
        ::operator delete(entries_);
    }

    /// What is known of `name` at `now`; nullptr: nothing. Good until the next call of keep().
    const known* find(const wire::dns_name& name, wire::dns_type type, instant now) noexcept {
        for (entry& e : entries())
            if (now < e.expires && (e.type == type || e.type == wire::dns_type::any) && e.name == name) {
                e.used = now;
                return &e;
            }
        return nullptr;
    }

    /// Keeps `outcome` for `lifetime`. In the place of what was known of the name and type.
    void keep(const wire::dns_name& name, wire::dns_type type, const dns_outcome& outcome, duration lifetime,
              instant now) noexcept {
        if (lifetime <= duration{} || size_ == 0)
            return;
        const auto rank = [&](const entry& e) {
            const bool same = e.name == name && (e.type == type || type == wire::dns_type::any);
            return same || e.expires <= now ? instant::min() : e.used;
        };
        entry* place = &entries()[0];
        for (entry& e : entries()) {
            if (e.type == type && e.name == name) {
                place = &e;
                break;
            }
            if (rank(e) < rank(*place))
                place = &e;
        }
        place->name = name;
        place->type = type;
        place->expires = now + lifetime;
        place->used = now;
        place->outcome = outcome;
    }

    void clear() noexcept {
        for (entry& e : entries())
            e.expires = instant::min();
    }
};

} // namespace mirage::net
