// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/time.hpp"
#include "mirage/net/holes.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/ipv6_extensions.hpp"
#include <algorithm>
#include <array>
#include <utility>

namespace mirage::net {

/// How IPv4 cuts datagrams into pieces: what `reassembly` knows of the family. RFC 791 section 3.2
struct ipv4_fragments {
    static constexpr std::string_view statistics_prefix = "ipv4_reassembly_";
    using piece = wire::ipv4_view;

    /// What tells the fragments of one datagram from others.
    struct key {
        ipv4_address source{}, destination{};
        std::uint16_t identification = 0;
        wire::ip_protocol protocol{};
        friend constexpr bool operator==(const key&, const key&) noexcept = default;
    };
    static key id(const piece& p) noexcept {
        return {p.source(), p.destination(), p.identification(), p.protocol()};
    }
    /// The octets of the header, a copy of the first piece's.
    static void keep_first(const piece&, mutable_octets) noexcept {}
    /// Makes the header say that this was never in pieces; `total` octets with it.
    static void mend(mutable_octets header, std::size_t total) noexcept {
        auto* const p = header.data();
        wire::ipv4_at::total_length::store(p, static_cast<std::uint16_t>(total));
        wire::ipv4_at::fragment::store(p, 0);
        wire::ipv4_at::checksum::store(p, 0);
        wire::ipv4_at::checksum::store(p, wire::checksum(header));
    }
};

/// The same of IPv6. RFC 8200 section 4.5
struct ipv6_fragments {
    static constexpr std::string_view statistics_prefix = "ipv6_reassembly_";
    using piece = wire::ipv6_piece;
    using key = piece::key;

    static key id(const piece& p) noexcept { return p.id(); }
    static void keep_first(const piece& p, mutable_octets header) noexcept { p.unlink(header); }
    static void mend(mutable_octets header, std::size_t total) noexcept {
        wire::ipv6_at::payload_length::store(header.data(),
                                             static_cast<std::uint16_t>(total - wire::ipv6_view::header_length));
    }
};

/// Puts fragmented datagrams together again. RFC 791 section 3.2, RFC 815, RFC 1122 section 3.3.2, RFC 8200 section 4.5
///
/// Each datagram in progress has one page of a pool, and a fragment is copied into its place as it arrives:
/// this is the one copy of received payload in the stack. In return no fragment pins a buffer of the device,
/// and the memory is bounded by `Datagrams` pages whatever a peer sends. The page's size bounds a datagram;
/// RFC 1122 section 3.3.2 wants at least 576 octets.
///
/// Strict where leniency only helps attackers: fragments that overlap with different octets spoil their
/// datagram and those of it still to come (as RFC 5722 section 4 rules for IPv6), so that no two readings of
/// one datagram exist. Exact duplicates are ignored (RFC 8200 section 4.5).
template <std::size_t Datagrams = 8, class Family = ipv4_fragments>
class reassembly {
    using piece = typename Family::piece;
    using key = typename Family::key;

public:
    /// RFC 1122 section 3.3.2 says 60 to 120 s; but at today's rates the 16-bit identification comes round in
    /// far less, and fragments of different datagrams would be mixed (RFC 4963 section 3).
    static constexpr duration timeout = std::chrono::seconds{30};
    /// Octets of each page that hold the IP header, and so are not payload.
    static constexpr std::size_t header_room = piece::max_header;

    struct counters {
        std::uint64_t fragments = 0;   ///< given to add()
        std::uint64_t reassembled = 0; ///< datagrams completed
        std::uint64_t malformed = 0;   ///< datagrams spoilt by overlaps or contradictions
        std::uint64_t too_large = 0;   ///< datagrams that do not fit a page
        std::uint64_t timed_out = 0;
        std::uint64_t displaced = 0;  ///< unfinished datagrams that gave way to newer ones
        std::uint64_t no_buffers = 0; ///< fragments dropped because the pool was dry

        static constexpr auto table() noexcept {
            using s = counters;
            return statistics_table{
                Family::statistics_prefix,
                statistic{&s::fragments, "fragments", "Fragments taken."},
                statistic{&s::reassembled, "datagrams", "Datagrams completed."},
                statistic{&s::malformed, "malformed", "Datagrams spoilt by overlaps or contradictions."},
                statistic{&s::too_large, "too_large", "Datagrams larger than a page."},
                statistic{&s::timed_out, "timed_out", "Datagrams whose rest never came."},
                statistic{&s::displaced, "displaced", "Datagrams that gave way to newer ones."},
                statistic{&s::no_buffers, "no_buffers", "Fragments without memory."}};
        }
    };

    /// Takes pages of `pool`, which must live longer.
    explicit reassembly(buffer_pool& pool) noexcept : pool_{pool} {}

    /// Takes a fragment. Gives the whole datagram, its IP header first and mended to look as if it had never
    /// been fragmented, when this was the last piece; errc::would_block when pieces are missing,
    /// errc::malformed, errc::too_large and errc::no_buffers when the fragment was dropped. Not for packets
    /// that are no fragments.
    result<slice> add(const piece& fragment, instant now) noexcept {
        ++counters_.fragments;
        const std::size_t begin = fragment.fragment_offset(), end = begin + fragment.payload().size();
        const bool last = !fragment.more_fragments();
        // RFC 791 section 3.2: all but the last end at a multiple of 8 octets.
        if (begin == end || (!last && end % 8 != 0) || !fragment.is_fragment())
            return std::unexpected(errc::malformed);
        datagram* const d = find_or_start(fragment, now);
        if (d == nullptr) {
            ++counters_.no_buffers;
            return std::unexpected(errc::no_buffers);
        }
        if (d->spoilt)
            return std::unexpected(errc::malformed);
        const std::size_t header = begin == 0 ? fragment.header_length() : d->header;
        if (end > d->memory.room().size() - header_room || end + std::max<std::size_t>(header, 20) > 0xffff) {
            ++counters_.too_large;
            return spoil(*d, errc::too_large);
        }
        return place(*d, fragment, begin, end, last);
    }

    /// Drops what has waited too long. `expired(octets)` is called with the IP header and what is there of
    /// the payload for each datagram whose first fragment had come: an ICMP Time Exceeded quotes it (RFC 1122
    /// section 3.3.2). To be called at next_deadline() or later.
    template <std::invocable<octets> Expired>
    void on_time(instant now, Expired&& expired) noexcept {
        for (datagram& d : datagrams_)
            if (d.used && d.deadline <= now) {
                counters_.timed_out += d.spoilt ? 0 : 1;
                if (d.header != 0) {
                    const page memory = std::move(d.memory);
                    const auto quote =
                        octets{memory.room()}.subspan(header_room - d.header, d.header + d.first_end);
                    release(d);
                    expired(quote);
                } else {
                    release(d);
                }
            }
    }

    /// When on_time() has something to do; `never` when nothing is in progress.
    instant next_deadline() const noexcept {
        instant next = never;
        for (const datagram& d : datagrams_)
            if (d.used)
                next = std::min(next, d.deadline);
        return next;
    }

    std::size_t in_progress() const noexcept {
        return static_cast<std::size_t>(std::ranges::count_if(datagrams_, &datagram::used));
    }
    const counters& count() const noexcept { return counters_; }

private:
    struct datagram {
        bool used = false;
        bool spoilt = false;         // without a page: remembered so that later fragments are dropped, too
        std::uint8_t header = 0;     // octets of the IP header; 0: the first fragment has not come
        std::uint32_t first_end = 0; // octets of payload in the first fragment
        key id{};
        instant deadline{};
        holes missing{};
        page memory{};
    };

    buffer_pool& pool_;
    std::array<datagram, Datagrams> datagrams_{};
    counters counters_{};

    static void release(datagram& d) noexcept { d = datagram{}; }

    result<slice> spoil(datagram& d, errc why) noexcept {
        d.spoilt = true;
        d.header = 0; // an error about it would tell an attacker more than the sender
        d.memory = page{};
        d.missing = holes{};
        return std::unexpected(why);
    }

    datagram* find_or_start(const piece& fragment, instant now) noexcept {
        const key id = Family::id(fragment);
        datagram* free = nullptr;
        datagram* oldest = nullptr;
        for (datagram& d : datagrams_) {
            if (!d.used) {
                free = &d;
                continue;
            }
            if (d.id == id)
                return &d;
            if (oldest == nullptr || d.deadline < oldest->deadline)
                oldest = &d;
        }
        page memory = free == nullptr ? page{} : pool_.take();
        if (!memory && oldest != nullptr) {
            counters_.displaced += oldest->spoilt ? 0 : 1;
            release(*oldest);
            free = oldest;
            memory = pool_.take();
        }
        if (!memory || memory.room().size() <= header_room)
            return nullptr;
        *free = datagram{.used = true, .id = id, .deadline = now + timeout, .memory = std::move(memory)};
        return free;
    }

    result<slice> place(datagram& d, const piece& fragment, std::size_t begin, std::size_t end,
                        bool last) noexcept {
        const auto room = d.memory.room();
        const auto target = room.subspan(header_room + begin, end - begin);
        switch (d.missing.fill(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), last)) {
        case holes::outcome::filled: break;
        case holes::outcome::present:
            if (std::ranges::equal(octets{target}, fragment.payload()))
                return std::unexpected(errc::would_block);
            [[fallthrough]];
        case holes::outcome::contradiction: ++counters_.malformed; return spoil(d, errc::malformed);
        }
        std::ranges::copy(fragment.payload(), target.begin());
        if (begin == 0) { // its header stands for all (RFC 791 section 3.2)
            d.header = static_cast<std::uint8_t>(fragment.header_length());
            d.first_end = static_cast<std::uint32_t>(end);
            std::ranges::copy(fragment.header(), room.subspan(header_room - d.header).begin());
            Family::keep_first(fragment, room.subspan(header_room - d.header, d.header));
        }
        if (!d.missing.none())
            return std::unexpected(errc::would_block);
        return finish(d);
    }

    result<slice> finish(datagram& d) noexcept {
        const std::size_t header = d.header, total = header + d.missing.total();
        if (total > 0xffff) { // only with options in a first fragment that came after the last
            ++counters_.too_large;
            return spoil(d, errc::too_large);
        }
        Family::mend(d.memory.room().subspan(header_room - header, header), total);
        slice whole = std::move(d.memory).freeze(header_room - header, total);
        release(d);
        ++counters_.reassembled;
        return whole;
    }
};

} // namespace mirage::net
