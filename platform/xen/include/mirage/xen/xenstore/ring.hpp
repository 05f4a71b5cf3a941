// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/public.hpp"
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace mirage::xen {

/// The domain's end of the page that it shares with the store (xen/io/xs_wire.h): a stream of octets in each direction.
///
/// The store is believed nothing: the two indices that are ours to write are kept here and never read back, the two that
/// are the store's are looked at once and checked. Octets are copied out before anybody interprets them.
class store_ring {
    using index = XENSTORE_RING_IDX;
    static constexpr index size = XENSTORE_RING_SIZE;

    xenstore_domain_interface* page_ = nullptr;
    index written_ = 0; ///< req_prod
    index taken_ = 0;   ///< rsp_cons
    index arrived_ = 0; ///< rsp_prod, at the last look

    static std::atomic_ref<std::uint32_t> shared(std::uint32_t& word) noexcept { return std::atomic_ref{word}; }

    /// Copies between the stream at `from` in one half of the page and a piece of memory.
    template <class Copy>
    static void both_parts(index from, std::size_t count, Copy copy) noexcept {
        const index at = MASK_XENSTORE_IDX(from);
        const std::size_t first = std::min<std::size_t>(count, size - at);
        copy(at, std::size_t{0}, first);
        copy(index{0}, first, count - first);
    }

public:
    static constexpr std::size_t capacity = size;

    /// Goes on in `page` where its indices are: something else may have used it before us.
    void open(xenstore_domain_interface* page) noexcept {
        page_ = page;
        synchronise();
    }
    /// After the store has started the ring again.
    void synchronise() noexcept {
        written_ = shared(page_->req_prod).load(std::memory_order_relaxed);
        taken_ = arrived_ = shared(page_->rsp_cons).load(std::memory_order_relaxed);
    }
    bool is_open() const noexcept { return page_ != nullptr; }

    /// Whether both ends use the ring; the store may be about to start it again.
    bool connected() const noexcept {
        return shared(page_->connection).load(std::memory_order_acquire) == XENSTORE_CONNECTED;
    }
    /// Whether the store starts the ring again when it is asked to.
    bool can_reconnect() const noexcept {
        return (shared(page_->server_features).load(std::memory_order_relaxed) & XENSTORE_SERVER_FEATURE_RECONNECTION)
               != 0;
    }
    /// Asks for an empty ring. It is, and all watches and transactions are gone, when connected() is true again; then
    /// synchronise(). Until then nothing in the page may be used.
    void ask_to_reconnect() noexcept {
        shared(page_->connection).store(XENSTORE_RECONNECT, std::memory_order_release);
    }

    /// How many octets write() takes now. None: the store's index is not one that can be.
    std::optional<std::size_t> room() const noexcept {
        const index pending = written_ - shared(page_->req_cons).load(std::memory_order_acquire);
        if (pending > size)
            return std::nullopt;
        return size - pending;
    }
    /// Appends up to room() octets; send() shows them to the store.
    void write(const char* octets, std::size_t count) noexcept {
        both_parts(written_, count, [&](index at, std::size_t done, std::size_t n) {
            if (n != 0)
                std::memcpy(page_->req + at, octets + done, n);
        });
        written_ += static_cast<index>(count);
    }
    void send() noexcept { shared(page_->req_prod).store(written_, std::memory_order_release); }

    /// Looks for octets from the store. False: its index is not one that can be.
    [[nodiscard]] bool look() noexcept {
        const index there = shared(page_->rsp_prod).load(std::memory_order_acquire);
        if (there - taken_ > size || there - taken_ < arrived_ - taken_)
            return false;
        arrived_ = there;
        return true;
    }
    /// Octets that are there as of look().
    std::size_t available() const noexcept { return arrived_ - taken_; }
    /// Takes up to available() octets; nowhere, when `octets` is null. release() gives their room back to the store.
    void read(char* octets, std::size_t count) noexcept {
        if (octets != nullptr)
            both_parts(taken_, count, [&](index at, std::size_t done, std::size_t n) {
                if (n != 0)
                    std::memcpy(octets + done, page_->rsp + at, n);
            });
        taken_ += static_cast<index>(count);
    }
    void release() noexcept { shared(page_->rsp_cons).store(taken_, std::memory_order_release); }
};

} // namespace mirage::xen
