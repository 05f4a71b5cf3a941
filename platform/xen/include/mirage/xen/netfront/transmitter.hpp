// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/netif.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/xen/front_ring.hpp"
#include "mirage/xen/netfront/readable_pool.hpp"
#include <array>
#include <cstring>
#include <limits>

namespace mirage::xen {

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
/// would be needed, the smallest slices are gathered.
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
    std::uint64_t failed_ = 0, gathered_ = 0;

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
        for (id_type id = 0; id < headers_.buffers().size(); ++id)
            if (requests_[id].in_use && !finish(id))
                all = false;
        return all;
    }

    /// All grants are gone without our doing.
    void forget() noexcept {
        ring_ref_ = none;
        headers_.forget();
        copies_.forget();
        for (id_type id = 0; id < headers_.buffers().size(); ++id)
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

    /// Lets go of what the backend has answered, and asks for a notification when most of the rest is. False: the backend
    /// broke the protocol.
    [[nodiscard]] bool reclaim() noexcept {
        do {
            if (!ring_.look())
                return false;
            if (ring_.waiting() == 0)
                return true;
            while (ring_.waiting() > 0)
                if (!answered(ring_.take()))
                    return false;
            // One notification for most of what is outstanding: memory comes back soon, but not frame by frame.
            const auto outstanding = ring_.outstanding();
            ring_.notify_after(outstanding - outstanding / 4 + (outstanding == 0 ? 1 : 0));
        } while (true);
    }

    std::uint32_t outstanding() const noexcept { return ring_.outstanding(); } ///< slots without an answer
    std::uint64_t failed() const noexcept { return failed_; }                  ///< slots that the backend refused
    std::uint64_t gathered() const noexcept { return gathered_; }              ///< octets of payload that were copied

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
            ++failed_;
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

    /// Slots for the payload when every slice below `limit` octets is gathered, neighbours into one piece. A piece begins
    /// where the one before ended, so that it may cross one page more.
    static std::size_t payload_slots(std::span<const slice> payload, std::size_t limit) noexcept {
        std::size_t slots = 0, copied = 0;
        bool in_piece = false;
        for (const slice& s : payload) {
            if (s.empty())
                continue;
            if (s.size() >= limit) {
                slots += pages(offset_in_page(s.data()), s.size());
                in_piece = false;
                continue;
            }
            const std::size_t offset = copied % page_size;
            slots += pages(offset, s.size());
            if (in_piece && offset != 0)
                --slots; // where the piece goes on
            in_piece = true;
            copied += s.size();
        }
        return slots;
    }

    /// The least size of a slice that is granted, so that the frame fits its slots.
    std::size_t granting_limit(std::span<const slice> payload) const noexcept {
        if (!features_.trusted)
            return everything;
        for (const std::size_t limit : {std::size_t{0}, std::size_t{256}, std::size_t{1024}, page_size, 4 * page_size})
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
        gathered_ += s.size();
    }

    result<> grant_all(std::span<const slice> payload, draft& d) noexcept {
        for (const slice& s : payload)
            if (const auto r = grant(s, d); !r)
                return r;
        return {};
    }

    result<> grant(const slice& s, draft& d) noexcept {
        for (std::size_t done = 0; done < s.size();) {
            const std::byte* const from = s.data() + done;
            const std::size_t offset = offset_in_page(from), n = std::min(page_size - offset, s.size() - done);
            if (d.count == most_slots)
                return std::unexpected(errc::too_large);
            const auto ref = home_.grants().grant(peer_, from - offset, access::read_only);
            if (!ref)
                return std::unexpected(errc::would_block);
            (void)add(d, *ref, offset, n, s.share(done, n), true);
            done += n;
        }
        return {};
    }

    /// Slices below `limit` octets go through pages of copies_, one behind the other.
    [[gnu::cold, gnu::noinline]] result<> gather_some(std::span<const slice> payload, std::size_t size,
                                                      std::size_t limit, draft& d) noexcept {
        if (copies_.buffers().available() < pages(0, size))
            return std::unexpected(errc::would_block);
        page room;
        std::size_t begin = 0, end = 0; // in `room`: what no slot refers to yet
        const auto slot = [&]() noexcept {
            const std::byte* const at = room ? room.room().data() : nullptr;
            const bool good = begin == end
                              || add(d, copies_.ref_of(at), begin, end - begin, room.freeze_part(begin, end - begin), false);
            begin = end;
            return good;
        };
        for (const slice& s : payload) {
            if (s.size() >= limit) {
                if (!slot())
                    return std::unexpected(errc::too_large);
                if (const auto r = grant(s, d); !r)
                    return r;
                continue;
            }
            for (std::size_t done = 0; done < s.size();) {
                if (!room || end == page_size) {
                    if (!slot())
                        return std::unexpected(errc::too_large);
                    room = copies_.buffers().take();
                    begin = end = 0;
                }
                const std::size_t n = std::min(page_size - end, s.size() - done);
                std::memcpy(room.room().data() + end, s.data() + done, n);
                end += n;
                done += n;
                gathered_ += n;
            }
        }
        return slot() ? result<>{} : std::unexpected(errc::too_large);
    }
};

} // namespace mirage::xen
