// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/xen/front_ring.hpp"
#include "mirage/xen/netfront/readable_pool.hpp"
#include <array>
#include <cstring>
#include <limits>

namespace mirage::xen {

/// What the transmit half counts.
struct transmitter_statistics {
    std::uint64_t failed = 0;   ///< slots that the backend refused
    std::uint64_t gathered = 0; ///< octets of payload that were copied

    static constexpr auto table() noexcept {
        using s = transmitter_statistics;
        return statistics_table{"net_transmit_", statistic{&s::failed, "failed", "Slots that the backend refused."},
                                statistic{&s::gathered, "copied_octets", "Sent octets that were copied."}};
    }
};

/// What the backend takes from us, as its directory in the store says.
struct transmit_features {
    bool scatter = false;       ///< feature-sg: a frame may have several slots
    bool checksum = true;       ///< completes the transport's checksum over IPv4
    bool checksum_ipv6 = false; ///< and over IPv6
    bool gso_ipv4 = false;      ///< feature-gso-tcpv4
    bool gso_ipv6 = false;      ///< feature-gso-tcpv6
    bool trusted = true;        ///< false: only pages made for it are shown to the backend
};

/// The transmit half of netfront (xen/io/netif.h, "Guest transmit").
///
/// The headers of a frame go through a page of ours that the backend may read anyway; so does a payload that fits
/// beside them. What is longer is not copied: the pages in which its slices lie are granted, read-only, until the
/// backend has answered. The backend sees those 4096-octet pages whole. A frame has `most_slots` slots; where more
/// would be needed, the smallest pieces are gathered.
template <class Domain>
class transmitter {
    using shared = netif_tx_sring;
    using ring_type = front_ring<shared>;
    using id_type = std::uint16_t;

    static constexpr std::size_t page_size = 4096;
    static constexpr std::size_t most_slots = XEN_NETIF_NR_SLOTS_MIN;
    static constexpr std::size_t header_room = 256; ///< transmit_frame::headers has no more
    static constexpr grant_ref_t none = 0;
    static constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

    /// A request that the backend has not answered.
    struct request {
        slice memory{};         ///< what its page must be kept for
        grant_ref_t ref = none; ///< to be ended with it; none: its page is readable anyway
        bool in_use = false;
        id_type next_free = 0;
    };
    /// One frame's requests, before the backend sees any.
    struct draft {
        std::array<netif_tx_request, most_slots> requests;
        std::size_t count = 0;
        std::byte* headers = nullptr; ///< the copy of them that the first refers to
    };

    Domain& home_;
    readable_pool<Domain> headers_; ///< for the first slot of each frame
    readable_pool<Domain> copies_;  ///< for what is gathered
    std::unique_ptr<request[]> requests_;
    void* ring_page_ = nullptr;
    grant_ref_t ring_ref_ = none;
    ring_type ring_;
    domid_t peer_ = 0;
    transmit_features features_{};
    id_type free_ = 0, free_count_ = 0;
    std::size_t extras_ = 0; ///< slots in the ring without a request of their own
    transmitter_statistics statistics_{};

public:
    /// The largest frame that a slot's size field can tell, less a VLAN tag that the backend may add.
    static constexpr std::size_t largest = XEN_NETIF_MAX_TX_SIZE - 4;

    /// `slots` requests may be outstanding, a multiple of 16 and at most 256; `copies` pages are for gathering.
    transmitter(Domain& home, std::size_t slots, std::size_t copies) noexcept
        : home_{home}, headers_{home, slots, header_room}, copies_{home, copies, page_size},
          requests_{new (std::nothrow) request[slots]},
          ring_page_{::operator new(page_size, std::align_val_t{page_size}, std::nothrow)} {
        if (requests_ == nullptr)
            return;
        for (id_type id = static_cast<id_type>(slots); id-- > 0;)
            put_back(id);
    }
    transmitter(const transmitter&) = delete;
    transmitter& operator=(const transmitter&) = delete;
    ~transmitter() { ::operator delete(ring_page_, std::align_val_t{page_size}); }

    /// Whether there was memory for it.
    bool ready() const noexcept {
        return headers_.ready() && copies_.ready() && requests_ != nullptr && ring_page_ != nullptr;
    }
    grant_ref_t ring_ref() const noexcept { return ring_ref_; } ///< what the backend maps the ring by

    /// Makes a ring for `peer`, which has been granted nothing so far. errc::no_buffers: too few grants are left; close()
    /// ends those that were made.
    result<> open(domid_t peer, const transmit_features& features) noexcept {
        peer_ = peer;
        features_ = features;
        extras_ = 0;
        ring_.open(ring_page_);
        const auto ring = home_.grants().grant(peer, ring_page_, access::read_write);
        if (!ring)
            return std::unexpected(ring.error());
        ring_ref_ = *ring;
        if (const auto r = headers_.grant(peer); !r)
            return r;
        return copies_.grant(peer);
    }
    const transmit_features& features() const noexcept { return features_; }

    /// Ends every grant; frames under way are lost. False: the backend has pages mapped still; ask again, and do not
    /// open() before.
    bool close() noexcept {
        bool all = ring_ref_ == none || home_.grants().end(ring_ref_);
        if (all)
            ring_ref_ = none;
        all = headers_.end() && all;
        all = copies_.end() && all;
        for (id_type id = 0; id < static_cast<id_type>(headers_.buffers().size()); ++id)
            if (requests_[id].in_use && !finish(id))
                all = false;
        return all;
    }

    /// All grants are gone without our doing.
    void forget() noexcept {
        ring_ref_ = none;
        headers_.forget();
        copies_.forget();
        for (id_type id = 0; id < static_cast<id_type>(headers_.buffers().size()); ++id)
            if (requests_[id].in_use) {
                requests_[id].ref = none;
                (void)finish(id);
            }
    }

    /// See netif::transmit. push() makes the backend see it.
    result<> transmit(const transmit_frame& frame) noexcept {
        const std::size_t size = frame.size();
        if (size > largest || frame.headers.size() > header_room || frame.payload.size() > frame.max_fragments)
            return std::unexpected(errc::too_large);
        if (frame.headers.size() < 14)
            return std::unexpected(errc::invalid_argument);
        if (frame.checksum_start != 0 && frame.checksum_start + frame.checksum_offset + 2u > frame.headers.size())
            return std::unexpected(errc::invalid_argument);
        const bool ipv6 = frame.headers[12] == std::byte{0x86} && frame.headers[13] == std::byte{0xdd};
        const bool leaves_sum = frame.checksum_start != 0 && (ipv6 ? features_.checksum_ipv6 : features_.checksum);
        const bool has_extra = frame.gso_size != 0;
        if (has_extra && !(leaves_sum && (ipv6 ? features_.gso_ipv6 : features_.gso_ipv4)))
            return std::unexpected(errc::unsupported);
        if (ring_.room() < most_slots + 1 || free_count_ < most_slots)
            return std::unexpected(errc::would_block);

        draft d;
        if (const auto r = compose(frame, size, d); !r) {
            for (std::size_t i = 0; i < d.count; ++i)
                (void)finish(d.requests[i].id); // one that cannot be ended stays out of use until close()
            return r;
        }
        if (frame.checksum_start != 0 && !leaves_sum)
            complete_checksum(frame, d);
        netif_tx_request& first = d.requests[0];
        first.size = static_cast<std::uint16_t>(size);
        for (std::size_t i = 0; i + 1 < d.count; ++i)
            d.requests[i].flags = NETTXF_more_data;
        if (leaves_sum)
            first.flags |= NETTXF_csum_blank | NETTXF_data_validated;
        if (has_extra)
            first.flags |= NETTXF_extra_info;
        ring_.put(first);
        if (has_extra)
            put_extra({.type = XEN_NETIF_EXTRA_TYPE_GSO,
                       .flags = 0,
                       .u = {.gso = {.size = frame.gso_size,
                                     .type = ipv6 ? std::uint8_t{XEN_NETIF_GSO_TYPE_TCPV6}
                                                  : std::uint8_t{XEN_NETIF_GSO_TYPE_TCPV4},
                                     .pad = 0,
                                     .features = 0}}});
        for (std::size_t i = 1; i < d.count; ++i)
            ring_.put(d.requests[i]);
        return {};
    }

    /// Adds `group` to the multicast addresses that the backend lets through, or removes it.
    result<> filter(mac_address group, bool add) noexcept {
        if (ring_.room() < 2 || free_count_ == 0)
            return std::unexpected(errc::would_block);
        netif_extra_info extra{};
        extra.type = add ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
        std::memcpy(extra.u.mcast.addr, group.octet.data(), sizeof extra.u.mcast.addr);
        const id_type id = take_id();
        ring_.put(netif_tx_request{.gref = none, .offset = 0, .flags = NETTXF_extra_info, .id = id, .size = 0});
        put_extra(extra);
        return {};
    }

    /// Makes the backend see what was transmitted. Whether it wants to be notified.
    [[nodiscard]] bool push() noexcept { return ring_.push(); }

    /// Lets go of what the backend has answered. Called in every turn of the loop, it asks for a notification only when
    /// answers to half of what can be outstanding have come meanwhile: a frame's answer alone is worth no wake-up. False:
    /// the backend broke the protocol.
    [[nodiscard]] bool reclaim() noexcept {
        if (!ring_.look())
            return false;
        if (ring_.waiting() == 0)
            return true;
        while (ring_.waiting() > 0)
            if (!answered(ring_.take()))
                return false;
        ring_.notify_after(static_cast<std::uint32_t>(headers_.buffers().size()) / 2);
        return true;
    }

    std::uint32_t outstanding() const noexcept { return ring_.outstanding(); } ///< slots without an answer
    const transmitter_statistics& statistics() const noexcept { return statistics_; }

private:
    id_type take_id() noexcept {
        const id_type id = free_;
        free_ = requests_[id].next_free;
        --free_count_;
        requests_[id].in_use = true;
        return id;
    }
    void put_back(id_type id) noexcept {
        requests_[id].in_use = false;
        requests_[id].next_free = free_;
        free_ = id;
        ++free_count_;
    }

    /// Releases what a request kept. False: its page is mapped still, and the request stays in use.
    bool finish(id_type id) noexcept {
        request& r = requests_[id];
        if (r.ref != none && !home_.grants().end(r.ref))
            return false;
        r.ref = none;
        r.memory.reset();
        put_back(id);
        return true;
    }

    bool answered(netif_tx_response response) noexcept {
        if (response.status == NETIF_RSP_NULL) { // the place of an extra: it has no id
            if (extras_ == 0)
                return false;
            --extras_;
            return true;
        }
        if (response.id >= headers_.buffers().size() || !requests_[response.id].in_use)
            return false;
        if (response.status != NETIF_RSP_OKAY)
            ++statistics_.failed;
        return finish(response.id);
    }

    void put_extra(const netif_extra_info& extra) noexcept {
        ring_.put(extra);
        ++extras_;
    }

    /// What the backend does not do, here: it has another one's features than the frame was made for.
    [[gnu::cold, gnu::noinline]] void complete_checksum(const transmit_frame& frame, const draft& d) noexcept {
        wire::running_sum sum;
        sum.add(frame.headers.subspan(frame.checksum_start));
        for (const slice& s : frame.payload)
            sum.add(s.view());
        constexpr std::size_t udp = 6; // where UDP has its checksum; zero means "none" there (RFC 768)
        const std::uint16_t done = sum.finish() == 0 && frame.checksum_offset == udp ? std::uint16_t{0xffff} : sum.finish();
        wire::store<std::uint16_t>(d.headers + frame.checksum_start + frame.checksum_offset, done);
    }

    static std::size_t offset_in_page(const std::byte* octet) noexcept {
        return reinterpret_cast<std::uintptr_t>(octet) % page_size;
    }
    static constexpr std::size_t pages(std::size_t offset, std::size_t size) noexcept {
        return (offset + size + page_size - 1) / page_size;
    }

    /// Calls `f(slice, from, octets)` for each part of the payload that lies in one page, until that is false.
    template <class F>
    static bool for_each_piece(std::span<const slice> payload, F f) noexcept {
        for (const slice& s : payload)
            for (std::size_t done = 0; done < s.size();) {
                const std::size_t n = std::min(page_size - offset_in_page(s.data() + done), s.size() - done);
                if (!f(s, done, n))
                    return false;
                done += n;
            }
        return true;
    }

    /// Slots for the payload when every piece below `limit` octets is gathered: neighbours one behind the other, so that
    /// they share slots; others where they do not cross a page.
    static std::size_t payload_slots(std::span<const slice> payload, std::size_t limit) noexcept {
        std::size_t slots = 0, offset = page_size;
        bool goes_on = false; // the slot of the piece before
        (void)for_each_piece(payload, [&](const slice&, std::size_t, std::size_t n) noexcept {
            if (n >= limit) {
                ++slots;
                goes_on = false;
                return true;
            }
            if (offset == page_size || (!goes_on && offset + n > page_size)) {
                offset = 0;
                goes_on = false;
            }
            slots += pages(offset, n) - (goes_on ? 1 : 0);
            goes_on = true;
            offset += n;
            offset -= offset > page_size ? page_size : 0;
            return true;
        });
        return slots;
    }

    /// The least size of a piece that is granted, so that the frame fits its slots.
    std::size_t granting_limit(std::span<const slice> payload) const noexcept {
        if (!features_.trusted)
            return everything;
        for (const std::size_t limit : {0u, 128u, 512u, 1024u, 2048u, 4096u})
            if (1 + payload_slots(payload, limit) <= most_slots)
                return limit;
        return everything;
    }

    bool add(draft& d, grant_ref_t ref, std::size_t offset, std::size_t size, slice&& memory, bool ends) noexcept {
        if (d.count == most_slots)
            return false;
        const id_type id = take_id();
        requests_[id].memory = std::move(memory);
        requests_[id].ref = ends ? ref : none;
        d.requests[d.count++] = {.gref = ref, .offset = static_cast<std::uint16_t>(offset), .flags = 0, .id = id,
                                 .size = static_cast<std::uint16_t>(size)};
        return true;
    }

    result<> compose(const transmit_frame& frame, std::size_t size, draft& d) noexcept {
        const std::size_t payload = size - frame.headers.size();
        const bool beside = size <= header_room;
        readable_pool<Domain>& pool = beside || features_.scatter ? headers_ : copies_;
        page first = pool.buffers().take();
        if (!first)
            return std::unexpected(errc::would_block);
        std::byte* const room = d.headers = first.room().data();
        std::memcpy(room, frame.headers.data(), frame.headers.size());
        std::size_t used = frame.headers.size();
        if (beside || !features_.scatter) { // all of it in this slot
            if (size > first.room().size())
                return std::unexpected(errc::too_large);
            for (const slice& s : frame.payload)
                copy(s, room, used);
        }
        const bool complete = used == size;
        (void)add(d, pool.ref_of(room), offset_in_page(room), used, std::move(first).freeze(0, used), false);
        if (complete)
            return {};
        const std::size_t limit = granting_limit(frame.payload);
        return limit == 0 ? grant_all(frame.payload, d) : gather_some(frame.payload, payload, limit, d);
    }

    void copy(const slice& s, std::byte* to, std::size_t& at) noexcept {
        if (!s.empty())
            std::memcpy(to + at, s.data(), s.size());
        at += s.size();
        statistics_.gathered += s.size();
    }

    /// errc::would_block: no grant is left now. errc::too_large: no slot is.
    errc grant(const slice& s, std::size_t from, std::size_t n, draft& d) noexcept {
        if (d.count == most_slots)
            return errc::too_large;
        const std::size_t offset = offset_in_page(s.data() + from);
        const auto ref = home_.grants().grant(peer_, s.data() + from - offset, access::read_only);
        if (!ref)
            return errc::would_block;
        (void)add(d, *ref, offset, n, s.share(from, n), true);
        return {};
    }

    result<> grant_all(std::span<const slice> payload, draft& d) noexcept {
        errc failure{};
        const bool done = for_each_piece(payload, [&](const slice& s, std::size_t from, std::size_t n) noexcept {
            failure = grant(s, from, n, d);
            return failure == errc{};
        });
        return done ? result<>{} : std::unexpected(failure);
    }

    /// Pieces below `limit` octets go through pages of copies_, one behind the other.
    [[gnu::cold, gnu::noinline]] result<> gather_some(std::span<const slice> payload, std::size_t size,
                                                      std::size_t limit, draft& d) noexcept {
        if (copies_.buffers().available() < pages(0, size))
            return std::unexpected(errc::would_block);
        page room;
        std::size_t begin = page_size, end = page_size; // in `room`: what no slot refers to yet
        const auto slot = [&]() noexcept {
            const bool good = begin == end
                              || add(d, copies_.ref_of(room.room().data()), begin, end - begin,
                                     room.freeze_part(begin, end - begin), false);
            begin = end;
            return good;
        };
        errc failure = errc::too_large;
        const bool done = for_each_piece(payload, [&](const slice& s, std::size_t from, std::size_t n) noexcept {
            if (n >= limit) {
                if (!slot())
                    return false;
                failure = grant(s, from, n, d);
                return failure == errc{};
            }
            statistics_.gathered += n;
            bool fits = begin != end || end + n <= page_size; // what goes on may cross into the next page
            for (const std::size_t until = from + n; from < until;) {
                if (end == page_size || !fits) {
                    if (!slot())
                        return false;
                    room = copies_.buffers().take();
                    if (!room) {
                        failure = errc::would_block;
                        return false;
                    }
                    begin = end = 0;
                    fits = true;
                }
                const std::size_t now = std::min(page_size - end, until - from);
                std::memcpy(room.room().data() + end, s.data() + from, now);
                end += now;
                from += now;
            }
            return true;
        });
        if (!done)
            return std::unexpected(failure == errc{} ? errc::too_large : failure);
        return slot() ? result<>{} : std::unexpected(errc::too_large);
    }
};

} // namespace mirage::xen
