// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/page_run.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/xen/front_ring.hpp"
#include "mirage/xen/grants.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>

namespace mirage::xen {

/// What the receive half counts.
struct receiver_statistics {
    std::uint64_t dropped = 0; ///< frames that came damaged, or when memory was short
    std::uint64_t copied = 0;  ///< octets of frames that came in several pages

    static constexpr auto table() noexcept {
        using s = receiver_statistics;
        return statistics_table{"net_receive_",
                                statistic{&s::dropped, "dropped", "Frames that came damaged, or when memory was short."},
                                statistic{&s::copied, "copied_octets", "Received octets that were copied."}};
    }
};

/// The receive half of netfront (xen/io/netif.h, "Guest receive").
///
/// Every request lends the backend one page of the pool to write to. With the response the grant ends, and only then is
/// the page looked at: it goes up as a slice, and a fresh page takes its place.
///
/// A frame that the backend has joined out of many segments comes in several pages, in the order in which they were lent.
/// They are lent in the order of their addresses, so that nearly always they are neighbours and go up as one slice, too.
/// Only the first has to move up: the description of the segments has taken the place, and so the page, behind it. Where
/// the pages are not neighbours, the frame is put together by one copy.
template <class Domain>
class receiver {
    using ring_type = front_ring<netif_rx_sring>;

    static constexpr std::size_t page_size = 4096;
    static constexpr std::size_t most_pages = XEN_NETIF_NR_SLOTS_MIN + 2; ///< of one frame
    static constexpr std::size_t largest = 65535 + 14 + 4;                ///< octets of one frame
    static constexpr grant_ref_t none = 0;

    /// A page that the backend may write to: the request at this place of the ring.
    struct lent {
        page room{};
        grant_ref_t ref = none;
    };

    Domain& home_;
    buffer_pool pool_;
    buffer_pool joined_;           ///< for frames of several pages
    std::unique_ptr<lent[]> lent_; ///< by place in the ring
    void* ring_page_;
    grant_ref_t ring_ref_ = none;
    ring_type ring_;
    domid_t peer_ = 0;
    std::uint32_t most_lent_;

    // The frame that is coming in.
    struct extent {
        std::uint16_t offset = 0, size = 0;
    };
    std::array<page, most_pages> pieces_{};
    std::array<extent, most_pages> extents_{}; ///< of the frame in each
    std::size_t piece_count_ = 0, size_ = 0;
    page extra_place_{}; ///< the page behind the first piece, when there is an extra instead of octets
    bool gaps_ = false;  ///< the pieces are not neighbours, or not full
    std::uint16_t gso_size_ = 0;
    bool begun_ = false, verified_ = false, spoilt_ = false;
    bool extra_follows_ = false, data_follows_ = false;

    std::unique_ptr<page_run[]> runs_; ///< frames of several pages that are kept above
    std::size_t run_count_ = 0, most_runs_ = 0; ///< most_runs_: 0 when no such frame is expected
    std::unique_ptr<page[]> free_; ///< by place in the pool's memory; for lend_neighbours()
    const std::byte* base_ = nullptr;
    std::size_t next_to_lend_ = 0;

    receiver_statistics statistics_{};

public:
    /// `pages` for what comes in, of which up to `most_lent` are lent at a time; `joined` frames can be kept that came in
    /// several pages (0: none is expected).
    receiver(Domain& home, std::size_t pages, std::uint32_t most_lent, std::size_t joined) noexcept
        : home_{home}, pool_{pages, page_size}, joined_{joined, largest},
          lent_{new (std::nothrow) lent[ring_type::size]},
          ring_page_{::operator new(page_size, std::align_val_t{page_size}, std::nothrow)},
          most_lent_{std::min(most_lent, ring_type::size)},
          runs_{joined > 0 ? new (std::nothrow) page_run[pages / 2] : nullptr},
          free_{joined > 0 ? new (std::nothrow) page[pages] : nullptr} {
        if (pool_.size() > 0)
            base_ = pool_.take().room().data(); // the first on the list is the first in memory
        if (runs_ != nullptr && free_ != nullptr)
            most_runs_ = pages / 2;
    }
    receiver(const receiver&) = delete;
    receiver& operator=(const receiver&) = delete;
    ~receiver() {
        reclaim_runs();
        ::operator delete(ring_page_, std::align_val_t{page_size});
    }

    /// Whether there was memory for it.
    bool ready() const noexcept { return pool_.size() > 0 && lent_ != nullptr && ring_page_ != nullptr; }
    grant_ref_t ring_ref() const noexcept { return ring_ref_; } ///< what the backend maps the ring by
    const buffer_pool& pool() const noexcept { return pool_; }

    /// Makes a ring for `peer`, to which nothing is lent so far, with pages lent already. errc::no_buffers: no grant is left.
    result<> open(domid_t peer) noexcept {
        peer_ = peer;
        ring_.open(ring_page_);
        abandon();
        const auto ring = home_.grants().grant(peer, ring_page_, access::read_write);
        if (!ring)
            return std::unexpected(ring.error());
        ring_ref_ = *ring;
        lend();
        return {};
    }

    /// Takes back what is lent. False: the backend has pages mapped still; ask again, and do not open() before.
    bool close() noexcept {
        abandon();
        bool all = ring_ref_ == none || home_.grants().end(ring_ref_);
        if (all)
            ring_ref_ = none;
        for (std::uint32_t i = 0; i < ring_type::size; ++i)
            if (lent_[i].ref != none && !take_back(lent_[i]))
                all = false;
        return all;
    }

    /// All grants are gone without our doing.
    void forget() noexcept {
        abandon();
        ring_ref_ = none;
        for (std::uint32_t i = 0; i < ring_type::size; ++i) {
            lent_[i].ref = none;
            lent_[i].room = page{};
        }
    }

    /// Fills `burst` with what has come; `count` becomes how many. False: the backend broke the protocol.
    [[nodiscard]] bool receive(std::span<received_frame> burst, std::size_t& count) noexcept {
        count = 0;
        while (count < burst.size()) {
            if (ring_.waiting() == 0) {
                if (!ring_.look())
                    return false;
                if (ring_.waiting() == 0) {
                    ring_.notify_after(1);
                    if (!ring_.look())
                        return false;
                    if (ring_.waiting() == 0)
                        return true;
                }
            }
            if (!take_response())
                return false;
            if (begun_ && !extra_follows_ && !data_follows_ && finish_frame(burst[count]))
                ++count;
        }
        return true;
    }

    /// Lends pages in the place of those that were filled. push() makes the backend see them.
    void lend() noexcept {
        reclaim_runs();
        // Not page by page: the backend is told of many together.
        if (ring_.outstanding() + least_batch() > most_lent_)
            return;
        if (joins())
            lend_neighbours();
        else
            while (ring_.outstanding() < most_lent_ && pool_.available() > 0 && lend(pool_.take())) {
            }
    }

    /// Makes the backend see what was lent. Whether it wants to be notified.
    [[nodiscard]] bool push() noexcept { return ring_.push(); }

    std::uint32_t lent_pages() const noexcept { return ring_.outstanding(); }
    const receiver_statistics& statistics() const noexcept { return statistics_; }

private:
    std::uint32_t least_batch() const noexcept { return std::max(most_lent_ / 4, std::uint32_t{1}); }

    bool joins() const noexcept { return most_runs_ != 0; }
    std::size_t index_of(const std::byte* octets) const noexcept {
        return static_cast<std::size_t>(octets - base_) / page_size;
    }

    /// Lends free pages in the order of their addresses, beginning behind the one that was lent last. The pool gives them
    /// in the order in which they came back: all are taken, sorted by their places, and what is left is put back. That
    /// costs about as much as copying 100 octets of each page that is lent.
    void lend_neighbours() noexcept {
        while (pool_.available() > 0) {
            page p = pool_.take();
            const std::size_t i = index_of(p.room().data());
            free_[i] = std::move(p);
        }
        const std::size_t count = pool_.size();
        for (std::size_t n = 0; n < count && ring_.outstanding() < most_lent_; ++n) {
            next_to_lend_ = next_to_lend_ == count ? 0 : next_to_lend_;
            page& p = free_[next_to_lend_];
            if (p && !lend(std::move(p)))
                break;
            ++next_to_lend_;
        }
        for (std::size_t i = count; i-- > 0;)
            free_[i] = page{};
    }

    /// False: there are no more grants; the page is back in the pool.
    bool lend(page room) noexcept {
        const auto ref = home_.grants().grant(peer_, room.room().data(), access::read_write);
        if (!ref)
            return false;
        const auto id = static_cast<std::uint16_t>(ring_.next_request() % ring_type::size);
        lent_[id].room = std::move(room);
        lent_[id].ref = *ref;
        ring_.put(netif_rx_request{.id = id, .pad = 0, .gref = *ref});
        return true;
    }

    void reclaim_runs() noexcept {
        for (std::size_t i = 0; i < run_count_;) {
            if (runs_[i].reclaim())
                runs_[i] = std::move(runs_[--run_count_]);
            else
                ++i;
        }
    }

    /// False: the page is mapped still, and stays lent.
    bool take_back(lent& l) noexcept {
        if (!home_.grants().end(l.ref))
            return false;
        l.ref = none;
        l.room = page{};
        return true;
    }

    void abandon() noexcept {
        while (piece_count_ > 0)
            pieces_[--piece_count_] = page{};
        extra_place_ = page{};
        size_ = 0;
        gso_size_ = 0;
        gaps_ = begun_ = verified_ = spoilt_ = extra_follows_ = data_follows_ = false;
    }

    /// Takes one response, which ends one grant. False: it answers nothing that was asked, or the page is mapped still.
    bool take_response() noexcept {
        // Responses are in the places of their requests: extras, which have no id, leave no other way to tell.
        const std::uint32_t place = ring_.next_response() % ring_type::size;
        const netif_rx_response response = ring_.take();
        lent& l = lent_[place];
        if (l.ref == none || !home_.grants().end(l.ref))
            return false;
        l.ref = none;
        page room = std::exchange(l.room, page{});
        if (extra_follows_) {
            take_extra(std::bit_cast<netif_extra_info>(response));
            extra_place_ = std::move(room);
            return true;
        }
        if (response.id != place)
            return false;
        if (!begun_) {
            begun_ = true;
            verified_ = (response.flags & (NETRXF_data_validated | NETRXF_csum_blank)) != 0;
            extra_follows_ = (response.flags & NETRXF_extra_info) != 0;
        }
        data_follows_ = (response.flags & NETRXF_more_data) != 0;
        const std::size_t size = response.status > 0 ? static_cast<std::size_t>(response.status) : 0;
        if (size == 0 || response.offset + size > page_size || piece_count_ == most_pages || size_ + size > largest) {
            spoilt_ = true;
            return true;
        }
        if (piece_count_ > 0) {
            const bool moves = piece_count_ == 1 && extra_place_;
            const extent& before = extents_[piece_count_ - 1];
            gaps_ |= response.offset != 0 || (!moves && before.offset + before.size != page_size)
                     || !page_run::neighbours(moves ? extra_place_ : pieces_[piece_count_ - 1], room);
        }
        size_ += size;
        extents_[piece_count_] = {response.offset, static_cast<std::uint16_t>(size)};
        pieces_[piece_count_++] = std::move(room);
        return true;
    }

    void take_extra(const netif_extra_info& extra) noexcept {
        extra_follows_ = (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
        if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO
            && (extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4 || extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6)
            && extra.u.gso.size != 0)
            gso_size_ = extra.u.gso.size;
        else
            spoilt_ = true; // nothing else was asked for
    }

    /// The frame is complete: hands it up, or drops it.
    bool finish_frame(received_frame& into) noexcept {
        const bool good = !spoilt_ && size_ >= 14 && (piece_count_ == 1 ? take_page(into) : join(into));
        if (good) {
            into.checksum_verified = verified_;
            into.gso_size = gso_size_;
        } else {
            ++statistics_.dropped;
        }
        abandon();
        return good;
    }

    bool take_page(received_frame& into) noexcept {
        into.data = std::move(pieces_[0]).freeze(extents_[0].offset, size_);
        return true;
    }

    /// Moves the first piece to the end of the page before the second.
    void move_up() noexcept {
        extent& first = extents_[0];
        const auto to = static_cast<std::uint16_t>(page_size - first.size);
        std::memcpy(extra_place_.room().data() + to, pieces_[0].room().data() + first.offset, first.size);
        statistics_.copied += first.size;
        first.offset = to;
        pieces_[0] = std::move(extra_place_);
    }

    bool join(received_frame& into) noexcept {
        if (!gaps_ && run_count_ < most_runs_) {
            if (extra_place_)
                move_up();
            into.data = runs_[run_count_++].join(std::span{pieces_}.first(piece_count_), extents_[0].offset, size_);
            return true;
        }
        page room = joined_.take();
        if (!room)
            return false;
        std::byte* to = room.room().data();
        for (std::size_t i = 0; i < piece_count_; ++i) {
            std::memcpy(to, pieces_[i].room().data() + extents_[i].offset, extents_[i].size);
            to += extents_[i].size;
        }
        statistics_.copied += size_;
        into.data = std::move(room).freeze(0, size_);
        return true;
    }
};

} // namespace mirage::xen
