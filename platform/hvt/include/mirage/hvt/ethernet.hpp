// SPDX-License-Identifier: MIT
#pragma once
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

/// One network device of the tender, whatever its name.
///
/// Receiving: up to `window_` READ entries are outstanding, each with a page of the pool as its buffer; the tender
/// reads straight into it, and the page becomes the slice that receive() hands up. A READ of an empty interface
/// comes back empty-handed and its page waits for the next one. Transmitting: one gather into a buffer of our own,
/// which is ours again when the tender has passed the entry. Without a ring, both are hypercalls.
class ethernet {
    friend class network;

    static constexpr std::uint32_t depth = 32;      ///< most READs outstanding or not yet handed up
    static constexpr std::uint32_t least_window = 2;
    static constexpr std::uint32_t most_tx = 256;
    static constexpr std::size_t header = 14;

    ring_port<>& ring_;
    event readable_;
    std::uint32_t handle_ = 0;
    std::uint16_t mtu_ = 0;
    mac_address mac_{};
    std::optional<buffer_pool> pool_;

    // The receive queue: slots of READs, in order: handed up < taken_ <= committed_ <= posted_ <= taken_ + depth.
    std::array<page, depth> page_;
    std::array<std::uint32_t, depth> length_{};     ///< 0: came back empty
    std::uint32_t taken_ = 0, committed_ = 0, posted_ = 0;
    std::uint32_t window_ = least_window;
    bool hungry_ = false;                           ///< the interface is believed to hold more

    // The transmit queue: buffers in the order of their entries.
    std::byte* tx_memory_ = nullptr;
    std::size_t tx_size_ = 0;                       ///< octets per buffer
    std::uint32_t tx_count_ = 0, tx_next_ = 0, tx_in_flight_ = 0;
    std::array<std::uint32_t, most_tx> tx_position_{};

    std::byte* scratch_ = nullptr;                  ///< takes frames for which no page is left
    std::uint64_t dropped_ = 0;

public:
    static constexpr offload capabilities{};

    ethernet(ring_port<>& ring, scheduler& loop) noexcept : ring_{ring}, readable_{loop} {}
    ethernet(const ethernet&) = delete;
    ethernet& operator=(const ethernet&) = delete;

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return mtu_; }
    static offload offloads() noexcept { return {}; }
    event& readable() noexcept { return readable_; }
    const buffer_pool& receive_pool() const noexcept { return *pool_; }
    /// The device's bit in what platform::wait() returns: its handle.
    unsigned ready_bit() const noexcept { return handle_; }
    /// Frames that came in when no page was left for them.
    std::uint64_t dropped() const noexcept { return dropped_; }

    std::size_t receive(std::span<received_frame> burst) noexcept {
        return ring_.offered() ? receive_from_ring(burst) : receive_by_call(burst);
    }

    result<> transmit(const transmit_frame& frame) noexcept {
        const std::size_t size = frame.size();
        if (size > mtu_ + header)
            return std::unexpected(errc::too_large);
        if (!ring_.offered()) {
            gather(frame, tx_memory_);
            abi::net_transfer call{.handle = handle_, .data = address_of(tx_memory_), .len = size};
            hypercall<PORT_NET_WRITE>(call);
            return call.ret == abi::status::ok ? result<>{} : std::unexpected(errc::io);
        }
        reclaim();
        if (tx_in_flight_ == tx_count_ || ring_.room() == 0) {
            wait_for_room();
            if (tx_in_flight_ == tx_count_ || ring_.room() == 0)
                return std::unexpected(errc::would_block);
        }
        std::byte* const buffer = tx_memory_ + tx_next_ * tx_size_;
        gather(frame, buffer);
        tx_position_[tx_next_] = ring_.submit({.op = abi::ring_op::net_write,
                                               .handle = handle_,
                                               .data = address_of(buffer),
                                               .len = static_cast<std::uint32_t>(size)});
        tx_next_ = tx_next_ + 1 == tx_count_ ? 0 : tx_next_ + 1;
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
        const std::size_t frame = (mtu_ + header + 63) / 64 * 64, rx_size = std::max<std::size_t>(frame, 2048);
        pool_.emplace(std::clamp<std::size_t>(left / 8 / rx_size, depth, 1024), rx_size);
        tx_size_ = frame;
        tx_count_ = static_cast<std::uint32_t>(std::clamp<std::size_t>(left / 16 / frame, 16, most_tx));
        tx_memory_ = static_cast<std::byte*>(
            ::operator new(tx_count_ * tx_size_ + rx_size, std::align_val_t{4096}, std::nothrow));
        if (pool_->size() == 0 || tx_memory_ == nullptr)
            return std::unexpected(errc::no_buffers);
        scratch_ = tx_memory_ + tx_count_ * tx_size_;
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

    void reclaim() noexcept {
        while (tx_in_flight_ > 0) {
            const std::uint32_t oldest =
                tx_next_ >= tx_in_flight_ ? tx_next_ - tx_in_flight_ : tx_next_ + tx_count_ - tx_in_flight_;
            if (!ring_.passed(tx_position_[oldest]))
                return;
            --tx_in_flight_;
        }
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
        } while (tx_in_flight_ > tx_count_ / 2 && this_machine.now() < until);
    }

    // ---- the ring ----

    std::uint32_t outstanding() const noexcept { return posted_ - committed_; }
    bool has_arrived() noexcept {
        skip_empty();
        return taken_ != committed_;
    }

    /// READs that came back empty hand nothing up; their pages stay in their slots.
    void skip_empty() noexcept {
        while (taken_ != committed_ && length_[taken_ % depth] == 0)
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
        while (outstanding() < count && posted_ - taken_ < depth && ring_.room() > 0) {
            page& room = page_[posted_ % depth];
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
        ++dropped_;
        return false;
    }

    /// The answer to the oldest READ outstanding; anything else is the tender's mistake and is left out.
    void commit(const abi::ring_commit& answer) noexcept {
        if (outstanding() == 0 || (answer.id & 0xffff) != (committed_ & 0xffff))
            return;
        const std::uint32_t slot = committed_ % depth;
        const bool got = answer.ret == abi::status::ok;
        length_[slot] = got && keeps(page_[slot], answer.len) ? answer.len : 0;
        ++committed_;
        hungry_ = got;
        // As many READs as come back full, and one more to learn that there is nothing left.
        if (got)
            window_ = std::min(window_ + 1, depth);
        else
            window_ = std::max(window_ - window_ / 4, least_window);
    }

    std::size_t receive_from_ring(std::span<received_frame> burst) noexcept {
        std::size_t n = 0;
        for (; n < burst.size() && has_arrived(); ++taken_) {
            const std::uint32_t slot = taken_ % depth;
            burst[n++] = {.data = std::move(page_[slot]).freeze(0, length_[slot])};
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
