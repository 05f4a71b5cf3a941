// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/event.hpp"
#include "mirage/xen/blkfront/shared_pages.hpp"
#include "mirage/xen/blkfront/sizes.hpp"
#include "mirage/xen/blkfront/transfer.hpp"
#include "mirage/xen/front_ring.hpp"
#include <bit>
#include <chrono>
#include <span>
#include <utility>

namespace mirage::xen {

/// The ring of one disk and its event channel: blkfront while a backend serves it, without the store. Operations wait
/// here for a backend, and for room in its ring; a backend that goes leaves them to the next.
///
/// What the backend may touch is the ring, pages of ours through which data is copied, and, while a request is under way,
/// whole pages of the caller's that the request fills or empties: never an octet beside what is transferred. A backend
/// that keeps pages mapped sees only the copies.
template <class Domain>
class blkfront_data_path {
    static constexpr std::size_t page_size = 4096, unit = 512; ///< octets: sectors in requests are of 512
    static constexpr std::size_t direct_segments = BLKIF_MAX_SEGMENTS_PER_REQUEST;
    static constexpr auto patience = std::chrono::seconds{30};
    using ring_type = front_ring<blkif_sring, blkfront_sizes::most_ring_pages>;
    using pages = shared_pages<Domain>;
    using page_number = typename pages::number;
    static constexpr std::uint16_t no_slot = 0xffff;

public:
    using transfer = block_transfer<blkfront_data_path>;

private:
    struct segment {
        grant_ref_t ref = 0;              ///< of the caller's page, or
        page_number page = pages::none;   ///< of ours
    };
    /// A request that the backend has not answered.
    struct slot {
        transfer* owner = nullptr;        ///< nullptr: given up
        std::uint64_t at = 0, count = 0;  ///< sectors of the operation
        std::uint16_t segments = 0, next_free = no_slot;
        page_number indirect = pages::none;
        bool in_use = false, direct = false; ///< direct: some segment is the caller's page
    };

    Domain& home_;
    event& changed_;
    event doorbell_;
    blkfront_sizes sizes_;
    disk_properties disk_{};
    ring_type ring_;
    pages ring_pages_, data_, indirect_;
    std::unique_ptr<slot[]> slots_;
    std::unique_ptr<segment[]> segments_; ///< most_segments for each slot
    std::uint16_t free_ = no_slot;
    intrusive_list<operation> waiting_;
    struct starter : operation {
        blkfront_data_path& path;
        explicit starter(blkfront_data_path& p) noexcept
            : operation{[](operation& self) noexcept { static_cast<starter&>(self).path.start(); }}, path{p} {}
    } starter_{*this};
    domid_t peer_ = 0;
    std::uint16_t handle_ = 0;
    evtchn_port_t port_ = 0;
    bool has_port_ = false, serving_ = false, broken_ = false, gone_ = false;
    std::uint64_t requests_ = 0, indirect_requests_ = 0, granted_ = 0, copied_ = 0;

public:
    /// `changed` is set when the backend must not go on.
    blkfront_data_path(Domain& home, event& changed, const blkfront_sizes& sizes) noexcept
        : home_{home}, changed_{changed}, doorbell_{home.loop()}, sizes_{sizes}, ring_pages_{home, sizes.ring_pages},
          data_{home, sizes.data_pages}, indirect_{home, sizes.indirect_pages},
          slots_{new (std::nothrow) slot[slot_count()]},
          segments_{new (std::nothrow) segment[slot_count() * blkfront_sizes::most_segments]} {}
    ~blkfront_data_path() { (void)close(); }

    Domain& home() noexcept { return home_; }
    event& doorbell() noexcept { return doorbell_; }
    const disk_properties& disk() const noexcept { return disk_; }
    std::uint32_t depth() const noexcept { return ring_type::size_of(sizes_.ring_pages); }
    std::uint32_t ring_pages() const noexcept { return sizes_.ring_pages; }
    grant_ref_t ring_ref(std::uint32_t page) const noexcept { return ring_pages_.ref(static_cast<page_number>(page)); }
    evtchn_port_t port() const noexcept { return port_; }
    bool serving() const noexcept { return serving_; }
    bool broken() const noexcept { return broken_; }
    std::uint32_t outstanding() const noexcept { return ring_.outstanding(); }
    std::uint64_t requests() const noexcept { return requests_; }            ///< put into the ring
    std::uint64_t indirect_requests() const noexcept { return indirect_requests_; }
    std::uint64_t granted() const noexcept { return granted_; } ///< octets that moved without a copy
    std::uint64_t copied() const noexcept { return copied_; }   ///< and those that did not

    /// Whether there was memory for it.
    bool ready() const noexcept {
        return ring_pages_.size() != 0 && data_.size() != 0 && (indirect_.size() != 0 || sizes_.indirect_pages == 0)
               && slots_ != nullptr && segments_ != nullptr;
    }

    /// Makes a ring of up to `ring_pages` and a channel for `peer`, which does not know of them yet. After an error:
    /// close().
    result<> open(domid_t peer, std::uint16_t handle, std::uint32_t ring_pages) noexcept {
        broken_ = false;
        peer_ = peer;
        handle_ = handle;
        sizes_.ring_pages = std::min<std::uint32_t>(std::bit_floor(ring_pages), static_cast<std::uint32_t>(ring_pages_.size()));
        const auto port = home_.events().allocate(peer);
        if (!port)
            return std::unexpected(port.error());
        port_ = *port;
        has_port_ = true;
        if (const auto r = home_.events().attach(port_, doorbell_); !r)
            return r;
        free_ = no_slot;
        for (std::size_t i = slot_count(); i-- > 0;)
            put_back(static_cast<std::uint16_t>(i));
        ring_.open(ring_pages_.at(0), sizes_.ring_pages);
        for (const auto& r : {ring_pages_.open(peer, sizes_.ring_pages), data_.open(peer), indirect_.open(peer)})
            if (!r)
                return r;
        return {};
    }

    /// The backend is connected, and this is its disk: what waits begins.
    void serve(const disk_properties& disk) noexcept {
        disk_ = disk;
        disk_.segments = std::min(disk.segments, blkfront_sizes::most_segments);
        serving_ = true;
        gone_ = false;
        start();
    }
    /// The disk has another size now.
    void resize(std::uint64_t sectors) noexcept { disk_.sectors = sectors; }
    /// The disk was taken away: what waits fails, and so does all that is asked for, until the next serve().
    void depart() noexcept {
        gone_ = true;
        while (auto* const op = waiting_.pop_front()) {
            auto& t = static_cast<transfer&>(*op);
            t.finish(errc::closed, t.request_->sector + t.next_);
        }
    }

    /// Takes everything back; what was under way waits again. False: the backend has pages mapped still; ask again, and
    /// do not open() before.
    bool close() noexcept {
        serving_ = false;
        if (has_port_)
            home_.events().close(port_);
        has_port_ = false;
        bool all = true;
        for (std::size_t i = 0; slots_ != nullptr && i < slot_count(); ++i)
            if (slots_[i].in_use && !lose(i))
                all = false;
        const bool ring = ring_pages_.close(), data = data_.close(), indirect = indirect_.close();
        return all && ring && data && indirect;
    }

    /// Grants and channel are gone without our doing: the domain was resumed elsewhere.
    void forget() noexcept {
        serving_ = has_port_ = false;
        for (std::size_t i = 0; i < slot_count(); ++i) {
            for (segment& s : segments_of(i))
                s.ref = 0;
            if (slots_[i].in_use)
                (void)lose(i);
        }
        ring_pages_.forget();
        data_.forget();
        indirect_.forget();
    }

    /// Lets an operation take its turn, when there is room for it.
    void wait_for_turn(transfer& t) noexcept {
        if (gone_) {
            t.finish(errc::closed, t.request_->sector + t.next_);
            return;
        }
        if (!t.linked())
            waiting_.push_back(t);
        if (!starter_.linked())
            home_.loop().post(starter_);
    }

    /// Nobody waits for the operation any more. Its memory is free when this returns: where the backend may use it itself,
    /// that is when it has answered.
    void give_up(transfer& t) noexcept {
        t.given_up_ = true;
        t.unlink();
        for (const instant end = home_.now() + patience; t.granted_ > 0;) {
            turn();
            if (!serving_)
                end_grants_of(t);
            if (t.granted_ == 0)
                break;
            check(home_.now() < end, "xen: the backend of a disk keeps memory that is needed elsewhere");
            home_.wait(std::min(end, home_.now() + std::chrono::milliseconds{10}));
        }
        for (std::size_t i = 0; i < slot_count(); ++i)
            if (slots_[i].owner == &t)
                slots_[i].owner = nullptr;
    }

    /// Looks for answers, and asks for what waits. Call it when the doorbell has rung.
    void turn() noexcept {
        if (!serving_)
            return;
        if (answer())
            start();
        else {
            broken_ = true;
            serving_ = false;
            changed_.set();
        }
    }

private:
    std::size_t slot_count() const noexcept { return ring_type::size_of(ring_pages_.size()); }
    std::span<segment> segments_of(std::size_t i) noexcept {
        return {&segments_[i * blkfront_sizes::most_segments], blkfront_sizes::most_segments};
    }
    void put_back(std::uint16_t i) noexcept {
        slots_[i] = {};
        slots_[i].next_free = free_;
        free_ = i;
    }

    /// Asks for as much of what waits as there is room for; in turns, so that one large transfer does not keep the others
    /// waiting.
    void start() noexcept {
        if (!serving_)
            return;
        while (!waiting_.empty()) {
            auto& t = static_cast<transfer&>(waiting_.front());
            if (t.wants_more() && !issue(t))
                break;
            if (t.wants_more()) {
                waiting_.push_back(t);
                continue;
            }
            t.unlink();
            if (t.under_way_ == 0)
                t.settle(); // there was nothing to ask for
        }
        if (ring_.push())
            home_.events().notify(port_);
    }

    /// Puts one request. False: there is no room now.
    bool issue(transfer& t) noexcept {
        if (ring_.room() == 0 || free_ == no_slot)
            return false;
        const block_request& r = *t.request_;
        if (r.action == block_action::flush && !disk_.flushes && !disk_.barriers) {
            t.begun_ = true; // the backend keeps nothing back
            return true;
        }
        const std::uint16_t i = free_;
        slot& s = slots_[i];
        const bool put = r.transfers() ? put_transfer(t, i) : put_other(t, i);
        if (!put)
            return false;
        free_ = s.next_free;
        s.in_use = true;
        s.owner = &t;
        ++t.under_way_;
        t.granted_ += s.direct ? 1 : 0;
        ++requests_;
        return true;
    }

    std::uint64_t unit_sector(std::uint64_t sector) const noexcept { return sector * (disk_.sector_size / unit); }

    bool put_other(transfer& t, std::uint16_t i) noexcept {
        const block_request& r = *t.request_;
        t.begun_ = true;
        if (r.action == block_action::discard) {
            blkif_request_discard request{};
            request.operation = BLKIF_OP_DISCARD;
            request.handle = handle_;
            request.id = i;
            request.sector_number = unit_sector(r.sector);
            request.nr_sectors = unit_sector(r.count);
            ring_.put(request);
        } else {
            blkif_request request{};
            request.operation = disk_.flushes ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;
            request.handle = handle_;
            request.id = i;
            ring_.put(request);
        }
        slots_[i].at = 0;
        slots_[i].count = 1;
        return true;
    }

    bool put_transfer(transfer& t, std::uint16_t i) noexcept {
        const block_request& r = *t.request_;
        slot& s = slots_[i];
        std::byte* const data = r.data + t.next_ * disk_.sector_size;
        const std::uint64_t left = std::min(r.count - t.next_, t.most_) * disk_.sector_size;
        s.segments = 0;
        s.direct = false;
        s.indirect = disk_.segments > direct_segments && left > direct_segments * page_size ? indirect_.take() : pages::none;
        const std::size_t most = s.indirect == pages::none ? direct_segments : disk_.segments;
        std::uint64_t size = 0;
        while (size < left && s.segments < most && add_segment(i, r.action, data + size, left - size))
            size += std::min<std::uint64_t>(left - size, page_size);
        // Whole sectors, when pages ran out.
        while (size % disk_.sector_size != 0) {
            size -= size % page_size == 0 ? page_size : size % page_size;
            (void)release_segment(i, s.segments - 1u);
            --s.segments;
        }
        s.direct = std::ranges::any_of(segments_of(i).first(s.segments), [](const segment& g) { return g.ref != 0; });
        if (size == 0) {
            if (s.indirect != pages::none)
                indirect_.give_back(std::exchange(s.indirect, pages::none));
            return false;
        }
        s.at = t.next_;
        s.count = size / disk_.sector_size;
        t.next_ += s.count;
        put_ring_entry(i, r, size);
        return true;
    }

    /// One more segment for up to a page from `data` on: the caller's page, when all of it is transferred, or one of ours.
    bool add_segment(std::uint16_t i, block_action action, std::byte* data, std::uint64_t left) noexcept {
        segment& g = segments_of(i)[slots_[i].segments];
        g = {};
        const bool whole = left >= page_size && reinterpret_cast<std::uintptr_t>(data) % page_size == 0;
        if (whole && !disk_.persistent) {
            const auto ref = home_.grants().grant(
                peer_, data, action == block_action::write ? access::read_only : access::read_write);
            if (ref) {
                g.ref = *ref;
                granted_ += page_size;
                ++slots_[i].segments;
                return true;
            }
        }
        g.page = data_.take();
        if (g.page == pages::none)
            return false;
        const std::size_t n = std::min<std::uint64_t>(left, page_size);
        if (action == block_action::write)
            std::memcpy(data_.at(g.page), data, n);
        copied_ += n;
        ++slots_[i].segments;
        return true;
    }

    /// False: the backend has the caller's page mapped still.
    bool release_segment(std::size_t i, std::size_t n) noexcept {
        segment& g = segments_of(i)[n];
        if (g.ref != 0 && !home_.grants().end(g.ref))
            return false;
        g.ref = 0;
        if (g.page != pages::none)
            data_.give_back(std::exchange(g.page, pages::none));
        return true;
    }

    void put_ring_entry(std::uint16_t i, const block_request& r, std::uint64_t size) noexcept {
        const slot& s = slots_[i];
        const std::uint8_t operation = r.action == block_action::write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
        const auto described = [&](std::size_t n) noexcept {
            const segment& g = segments_of(i)[n];
            const std::uint64_t octets = std::min<std::uint64_t>(size - n * page_size, page_size);
            return blkif_request_segment{.gref = g.ref != 0 ? g.ref : data_.ref(g.page), .first_sect = 0,
                                         .last_sect = static_cast<std::uint8_t>(octets / unit - 1)};
        };
        if (s.indirect == pages::none) {
            blkif_request request{};
            request.operation = operation;
            request.nr_segments = static_cast<std::uint8_t>(s.segments);
            request.handle = handle_;
            request.id = i;
            request.sector_number = unit_sector(r.sector + s.at);
            for (std::size_t n = 0; n < s.segments; ++n)
                request.seg[n] = described(n);
            ring_.put(request);
            return;
        }
        auto* const list = reinterpret_cast<blkif_request_segment*>(indirect_.at(s.indirect));
        for (std::size_t n = 0; n < s.segments; ++n)
            list[n] = described(n);
        blkif_request_indirect request{};
        request.operation = BLKIF_OP_INDIRECT;
        request.indirect_op = operation;
        request.nr_segments = s.segments;
        request.handle = handle_;
        request.id = i;
        request.sector_number = unit_sector(r.sector + s.at);
        request.indirect_grefs[0] = indirect_.ref(s.indirect);
        ring_.put(request);
        ++indirect_requests_;
    }

    /// Takes what the backend has answered. False: it broke the protocol.
    bool answer() noexcept {
        while (serving_) {
            if (!ring_.look())
                return false;
            if (ring_.waiting() == 0)
                break;
            while (ring_.waiting() > 0)
                if (!answered(ring_.take()))
                    return false;
            ring_.notify_after(1);
        }
        return true;
    }

    bool answered(const blkif_response& response) noexcept {
        if (response.id >= slot_count() || !slots_[response.id].in_use)
            return false;
        const auto i = static_cast<std::uint16_t>(response.id);
        slot& s = slots_[i];
        transfer* const t = s.owner;
        const bool good = response.status == BLKIF_RSP_OKAY;
        if (t != nullptr && good && t->request_->action == block_action::read)
            copy_out(*t, i);
        if (!release(i))
            return false;
        const slot was = s;
        put_back(i);
        if (t == nullptr)
            return true;
        t->granted_ -= was.direct ? 1 : 0;
        if (good)
            t->done();
        else if (response.status == BLKIF_RSP_EOPNOTSUPP && !t->request_->transfers())
            t->failed(0, 1, errc::unsupported);
        else
            t->failed(was.at, was.count, errc::io);
        return true;
    }

    void copy_out(const transfer& t, std::uint16_t i) noexcept {
        const slot& s = slots_[i];
        std::byte* const to = t.request_->data + s.at * disk_.sector_size;
        const std::size_t size = static_cast<std::size_t>(s.count) * disk_.sector_size;
        for (std::size_t n = 0; n < s.segments; ++n)
            if (const segment& g = segments_of(i)[n]; g.page != pages::none)
                std::memcpy(to + n * page_size, data_.at(g.page), std::min(size - n * page_size, page_size));
    }

    /// Gives back what a request used. False: the backend has a page of the caller's mapped still.
    bool release(std::size_t i) noexcept {
        slot& s = slots_[i];
        bool all = true;
        for (std::size_t n = 0; n < s.segments; ++n)
            all = release_segment(i, n) && all;
        if (s.indirect != pages::none)
            indirect_.give_back(std::exchange(s.indirect, pages::none));
        return all;
    }

    /// A request of a backend that is gone. False: that has a page of the caller's mapped still.
    bool lose(std::size_t i) noexcept {
        if (!release(i))
            return false;
        const slot was = slots_[i];
        put_back(static_cast<std::uint16_t>(i));
        if (was.owner != nullptr) {
            was.owner->granted_ -= was.direct ? 1 : 0;
            was.owner->lost(was.at);
        }
        return true;
    }

    void end_grants_of(transfer& t) noexcept {
        for (std::size_t i = 0; i < slot_count(); ++i)
            if (slots_[i].in_use && slots_[i].owner == &t)
                (void)lose(i);
    }
};

} // namespace mirage::xen
