// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include "mirage/hvt/ring.hpp"
#include "mirage/runtime/heap.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

namespace mirage::hvt {

/// What a network device counts.
struct ethernet_statistics {
    std::uint64_t dropped = 0;

    static constexpr auto table() noexcept {
        return statistics_table{"net_receive_",
                                statistic{&ethernet_statistics::dropped, "dropped", "Frames for which no page was left."}};
    }
};

/// One network device of the tender, whatever its name.
///
/// Receiving: up to `window_` READ entries are outstanding, each with a page of the pool as its buffer; the tender
/// reads straight into it, and the page becomes the slice that receive() hands up. A READ of an empty interface
/// comes back empty-handed and its page waits for the next one. Transmitting: one gather into memory of our own,
/// which is ours again when the tender has passed the entry. Without a ring, both are hypercalls.
///
/// A tender that understands ring_offload (ours, over a TAP interface) completes checksums and cuts TCP segments; with
/// memory enough for pages of 64 KiB, what arrives comes joined.
class ethernet {
    friend class network;

    static constexpr std::uint32_t slots = 128, least_depth = 32;
    static constexpr std::uint32_t least_window = 2;
    static constexpr std::uint32_t most_tx = 256;
    static constexpr std::size_t header = 14;
    static constexpr std::size_t largest_joined = 65535 + header;
    /// Pages of that size without which frames come as they are: a page is held as long as any of its octets are, and
    /// on a bad link many connections hold one segment each.
    static constexpr std::size_t least_large_pages = 512;

    ring_port<>& ring_;
    event readable_;
    std::uint32_t handle_ = 0;
    std::uint16_t mtu_ = 0;
    mac_address mac_{};
    std::optional<buffer_pool> pool_;

    // The receive queue: slots of READs, in order: handed up < taken_ <= committed_ <= posted_ <= taken_ + depth_.
    std::array<page, slots> page_;
    std::array<abi::ring_commit, slots> answer_{};  ///< of length 0: came back empty
    std::uint32_t taken_ = 0, committed_ = 0, posted_ = 0;
    std::uint32_t depth_ = least_depth;             ///< most READs outstanding or not yet handed up
    std::uint32_t window_ = least_window;
    bool hungry_ = false;                           ///< the interface is believed to hold more

    // The transmit queue: frames one behind the other in tx_memory_, in the order of their entries.
    std::byte* tx_memory_ = nullptr;
    std::size_t tx_size_ = 0;                       ///< octets of it
    std::size_t tx_head_ = 0, tx_tail_ = 0;         ///< where the next frame may begin, where the oldest one does
    std::uint32_t tx_next_ = 0, tx_in_flight_ = 0;  ///< in these two:
    std::array<std::uint32_t, most_tx> tx_position_{}, tx_end_{};

    std::byte* scratch_ = nullptr;                  ///< takes frames for which no page is left
    offload offloads_{};
    ethernet_statistics statistics_{};

public:
    static constexpr offload capabilities{true, true, 65535, true};

    ethernet(ring_port<>& ring, scheduler& loop) noexcept : ring_{ring}, readable_{loop} {}
    ethernet(const ethernet&) = delete;
    ethernet& operator=(const ethernet&) = delete;

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return mtu_; }
    offload offloads() const noexcept { return offloads_; }
    event& readable() noexcept { return readable_; }
    const buffer_pool& receive_pool() const noexcept { return *pool_; }
    /// The device's bit in what platform::wait() returns: its handle.
    unsigned ready_bit() const noexcept { return handle_; }
    /// Frames that came in when no page was left for them.
    std::uint64_t dropped() const noexcept { return statistics_.dropped; }
    const ethernet_statistics& statistics() const noexcept { return statistics_; }

    std::size_t receive(std::span<received_frame> burst) noexcept {
        return ring_.offered() ? receive_from_ring(burst) : receive_by_call(burst);
    }

    result<> transmit(const transmit_frame& frame) noexcept {
        const std::size_t size = frame.size();
        if (size > (frame.gso_size != 0 ? offloads_.tso_size : mtu_) + header)
            return std::unexpected(errc::too_large);
        if (!ring_.offered()) {
            gather(frame, tx_memory_);
            abi::net_transfer call{.handle = handle_, .data = address_of(tx_memory_), .len = size};
            hypercall<PORT_NET_WRITE>(call);
            return call.ret == abi::status::ok ? result<>{} : std::unexpected(errc::io);
        }
        reclaim();
        std::byte* buffer = place_for_sending(size);
        if (buffer == nullptr) {
            wait_for_room();
            buffer = place_for_sending(size);
            if (buffer == nullptr)
                return std::unexpected(errc::would_block);
        }
        gather(frame, buffer);
        abi::ring_offload offload{};
        if (frame.checksum_start != 0)
            offload = {.flags = abi::ring_offload::needs_checksum,
                       .segmentation = frame.gso_size != 0 ? abi::ring_offload::tcp_ipv4 : abi::ring_offload::no_segments,
                       .segment_size = frame.gso_size,
                       .checksum_start = frame.checksum_start,
                       .checksum_offset = frame.checksum_offset};
        tx_position_[tx_next_] = ring_.submit({.op = abi::ring_op::net_write,
                                               .handle = handle_,
                                               .data = address_of(buffer),
                                               .len = static_cast<std::uint32_t>(size),
                                               .offload = offload});
        tx_head_ = static_cast<std::size_t>(buffer - tx_memory_) + rounded(size);
        tx_end_[tx_next_] = static_cast<std::uint32_t>(tx_head_);
        tx_next_ = (tx_next_ + 1) % most_tx;
        ++tx_in_flight_;
        return {};
    }

    void flush() noexcept {
        if (!ring_.offered())
            return;
        reclaim();
        ring_.announce();
    }

protected:
    /// Finds the device in the manifest and reserves its memory. errc::not_found, errc::no_buffers.
    result<> set_up(std::string_view name) noexcept {
        const auto manifest = this_machine.manifest();
        const auto found = std::ranges::find_if(manifest, [&](const abi::manifest_entry& e) {
            return e.type == abi::device_type::net && e.attached && name == e.name;
        });
        if (found == manifest.end())
            return std::unexpected(errc::not_found);
        handle_ = static_cast<std::uint32_t>(found - manifest.begin());
        std::ranges::copy(found->net.mac, mac_.octet.begin());
        mtu_ = found->net.mtu;

        // An eighth of the memory that is left for what arrives, a sixteenth for what leaves.
        const std::size_t left = runtime::memory.capacity() - runtime::memory.used();
        const std::size_t frame = rounded(mtu_ + header), rx_size = std::max<std::size_t>(frame, 2048);
        const bool offloads = ring_.offered() && found->offloads;
        const bool joined = offloads && left / 8 / rounded(largest_joined) >= least_large_pages;
        const std::size_t room = joined ? std::max(rx_size, rounded(largest_joined)) : rx_size;
        pool_.emplace(std::clamp<std::size_t>(left / 8 / room, least_depth, joined ? 512 : 1024), room);
        depth_ = static_cast<std::uint32_t>(std::clamp<std::size_t>(pool_->size() / 4, least_depth, slots));
        tx_size_ = std::clamp<std::size_t>(left / 16 / 64 * 64, 16 * frame, 1 << 20);
        tx_memory_ = static_cast<std::byte*>(
            ::operator new(tx_size_ + room, std::align_val_t{4096}, std::nothrow));
        if (pool_->size() == 0 || tx_memory_ == nullptr)
            return std::unexpected(errc::no_buffers);
        scratch_ = tx_memory_ + tx_size_;
        if (offloads) {
            offloads_ = {true, true, static_cast<std::uint32_t>(std::min<std::size_t>(65535, tx_size_ / 4)), joined};
            ring_.take(handle_, joined);
        }
        return {};
    }

private:
    static void gather(const transmit_frame& frame, std::byte* to) noexcept {
        std::memcpy(to, frame.headers.data(), frame.headers.size());
        to += frame.headers.size();
        for (const slice& part : frame.payload) {
            std::memcpy(to, part.data(), part.size());
            to += part.size();
        }
    }

    static constexpr std::size_t rounded(std::size_t size) noexcept { return (size + 63) / 64 * 64; }

    void reclaim() noexcept {
        while (tx_in_flight_ > 0) {
            const std::uint32_t oldest = (tx_next_ - tx_in_flight_) % most_tx;
            if (!ring_.passed(tx_position_[oldest]))
                return;
            tx_tail_ = tx_end_[oldest];
            --tx_in_flight_;
        }
    }

    /// Where a frame of `size` octets can be put together; nullptr while too much is in flight.
    std::byte* place_for_sending(std::size_t size) noexcept {
        if (tx_in_flight_ == 0)
            tx_head_ = tx_tail_ = 0;
        else if (tx_in_flight_ == most_tx || ring_.room() == 0)
            return nullptr;
        size = rounded(size);
        const bool wrapped = tx_in_flight_ != 0 && tx_head_ <= tx_tail_; // the free octets lie between the two
        if (tx_head_ + size <= (wrapped ? tx_tail_ : tx_size_))
            return tx_memory_ + tx_head_;
        return !wrapped && size <= tx_tail_ ? tx_memory_ : nullptr;
    }

    /// The tender needs about a microsecond per frame: a full queue is back in the time of a few.
    void wait_for_room() noexcept {
        if (ring_.served_by_poll()) {
            (void)poll(0);
            reclaim();
            return;
        }
        ring_.announce();
        const instant until = this_machine.now() + std::chrono::microseconds{200};
        do {
            pause();
            reclaim();
        } while (tx_in_flight_ > 0 && this_machine.now() < until);
    }

    // ---- the ring ----

    std::uint32_t outstanding() const noexcept { return posted_ - committed_; }
    bool has_arrived() noexcept {
        skip_empty();
        return taken_ != committed_;
    }

    /// READs that came back empty hand nothing up; their pages stay in their slots.
    void skip_empty() noexcept {
        while (taken_ != committed_ && answer_[taken_ % slots].len == 0)
            ++taken_;
    }

    /// Where a frame can be read to: `room`, filled from the pool, or the scratch buffer when that ran dry. Frames
    /// are lost then, but the interface does not stand still.
    std::byte* place_for_frame(page& room) noexcept {
        if (!room)
            room = pool_->take();
        return room ? room.room().data() : scratch_;
    }

    /// Brings the READs outstanding up to `count`, as far as slots, pages and entries are there. One may go without a
    /// page, so that the interface does not stand still; not more, for it loses its frame even if pages are back by
    /// the time that one comes in.
    void post(std::uint32_t count, std::uint32_t index) noexcept {
        while (outstanding() < count && posted_ - taken_ < depth_ && ring_.room() > 0) {
            page& room = page_[posted_ % slots];
            std::byte* const place = place_for_frame(room);
            if (!room && outstanding() > 0)
                return;
            (void)ring_.submit({.op = abi::ring_op::net_read,
                                .handle = handle_,
                                .data = address_of(place),
                                .len = static_cast<std::uint32_t>(pool_->buffer_size()),
                                .id = index << 16 | (posted_ & 0xffff)});
            ++posted_;
        }
    }

    /// Whether a frame of `size` octets that was read for `room` can be handed up.
    bool keeps(const page& room, std::uint64_t size) noexcept {
        if (room && size <= room.room().size())
            return true;
        ++statistics_.dropped;
        return false;
    }

    /// The answer to the oldest READ outstanding; anything else is the tender's mistake and is left out.
    void commit(const abi::ring_commit& answer) noexcept {
        if (outstanding() == 0 || (answer.id & 0xffff) != (committed_ & 0xffff))
            return;
        const std::uint32_t slot = committed_ % slots;
        const bool got = answer.ret == abi::status::ok;
        answer_[slot] = answer;
        answer_[slot].len = got && keeps(page_[slot], answer.len) ? answer.len : 0;
        ++committed_;
        hungry_ = got;
        // As many READs as come back full, and one more to learn that there is nothing left.
        if (got)
            window_ = std::min(window_ + 1, depth_);
        else
            window_ = std::max(window_ - window_ / 4, least_window);
    }

    std::size_t receive_from_ring(std::span<received_frame> burst) noexcept {
        std::size_t n = 0;
        for (; n < burst.size() && has_arrived(); ++taken_) {
            const std::uint32_t slot = taken_ % slots;
            const abi::ring_commit& answer = answer_[slot];
            using abi::ring_offload;
            burst[n++] = {
                .data = std::move(page_[slot]).freeze(0, answer.len),
                .checksum_verified = (answer.flags & (ring_offload::needs_checksum | ring_offload::data_valid)) != 0,
                .gso_size = answer.segment_size};
        }
        return n;
    }

    // ---- hypercalls ----

    std::size_t receive_by_call(std::span<received_frame> burst) noexcept {
        std::size_t n = 0;
        while (hungry_ && n < burst.size()) {
            page& room = page_[0];
            abi::net_transfer call{
                .handle = handle_, .data = address_of(place_for_frame(room)), .len = pool_->buffer_size()};
            hypercall<PORT_NET_READ>(call);
            hungry_ = call.ret == abi::status::ok;
            if (hungry_ && keeps(room, call.len))
                burst[n++] = {.data = std::move(room).freeze(0, call.len)};
        }
        return n;
    }
};

} // namespace mirage::hvt
