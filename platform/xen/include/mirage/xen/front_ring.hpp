// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/xen/public.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mirage::xen {

/// The frontend's side of a ring of requests and responses in one shared page, or up to `MostPages` (xen/io/ring.h).
/// `Shared` is the page's type, as DEFINE_RING_TYPES makes it.
///
/// The page belongs to the backend as much as to us, so nothing in it is read twice and nothing but responses and their
/// producer index is read at all: our own indices are here, and each response is copied once, word by word.
template <class Shared, std::size_t MostPages = 1>
class front_ring {
    using entry = std::remove_cvref_t<decltype(std::declval<Shared&>().ring[0])>;

public:
    using response = decltype(entry::rsp);
    using index = std::uint32_t;
    /// Entries: as many as fit so many pages, rounded down to a power of two.
    static constexpr index size_of(std::size_t pages) noexcept {
        return static_cast<index>(std::bit_floor((pages * 4096 - offsetof(Shared, ring)) / sizeof(entry)));
    }
    /// The most entries there can be.
    static constexpr index size = size_of(MostPages);

private:
    static_assert(sizeof(response) == 4 || sizeof(response) % 8 == 0, "front_ring: a response takes whole loads");
    using word = std::conditional_t<sizeof(response) == 4, std::uint32_t, std::uint64_t>;
    using words = std::array<word, sizeof(response) / sizeof(word)>;

    Shared* shared_ = nullptr;
    index written_ = 0;  ///< requests put
    index pushed_ = 0;   ///< requests that the backend knows of
    index consumed_ = 0; ///< responses taken
    index arrived_ = 0;  ///< responses that were there at the last look
    index entries_ = size;

    index entries() const noexcept {
        if constexpr (MostPages == 1)
            return size;
        else
            return entries_;
    }
    std::byte* at(index i) const noexcept {
        return reinterpret_cast<std::byte*>(shared_) + offsetof(Shared, ring) + (i & (entries() - 1)) * sizeof(entry);
    }
    static std::atomic_ref<index> shared_index(index& i) noexcept { return std::atomic_ref{i}; }

public:
    /// Begins anew in `page`: 4096 octets, aligned to as many, which no backend sees yet; or several such, one behind the
    /// other.
    void open(void* page, std::size_t pages = 1) noexcept {
        shared_ = static_cast<Shared*>(page);
        std::memset(page, 0, pages * 4096);
        if constexpr (MostPages != 1)
            entries_ = size_of(pages);
        shared_->req_event = shared_->rsp_event = 1;
        written_ = pushed_ = consumed_ = arrived_ = 0;
    }

    index outstanding() const noexcept { return written_ - consumed_; } ///< requests without a response
    index room() const noexcept { return entries() - outstanding(); }        ///< requests that can be put now
    index next_request() const noexcept { return written_; }
    index next_response() const noexcept { return consumed_; }

    /// Writes one request, or what else takes its place. There must be room(). push() makes it known.
    template <class Request>
    void put(const Request& request) noexcept {
        static_assert(sizeof(Request) <= sizeof(entry));
        check(room() > 0, "front_ring: no room");
        std::memcpy(at(written_++), &request, sizeof request);
    }

    /// Makes known what was put. Whether the backend wants to be notified of it.
    [[nodiscard]] bool push() noexcept {
        const index before = pushed_;
        if (written_ == before)
            return false;
        pushed_ = written_;
        shared_index(shared_->req_prod).store(pushed_, std::memory_order_release);
        // The backend sees the requests before we see whether it sleeps.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const index event = shared_index(shared_->req_event).load(std::memory_order_relaxed);
        return pushed_ - event < pushed_ - before;
    }

    /// Looks for responses. False: the backend claims more than there are requests; the ring is not to be used any more.
    [[nodiscard]] bool look() noexcept {
        const index there = shared_index(shared_->rsp_prod).load(std::memory_order_acquire);
        if (there - consumed_ > pushed_ - consumed_)
            return false;
        // An index that goes back would give responses again that are already known.
        if (there - consumed_ < arrived_ - consumed_)
            return false;
        arrived_ = there;
        return true;
    }

    /// Responses that look() has found and take() has not given yet.
    index waiting() const noexcept { return arrived_ - consumed_; }

    /// The oldest of the waiting() ones.
    response take() noexcept {
        check(waiting() > 0, "front_ring: no response");
        // Each octet is loaded once, so that what is checked is what is used.
        auto* const from = reinterpret_cast<word*>(at(consumed_++));
        words copy;
        for (std::size_t i = 0; i < copy.size(); ++i)
            copy[i] = std::atomic_ref{from[i]}.load(std::memory_order_relaxed);
        return std::bit_cast<response>(copy);
    }

    /// Asks for a notification when the `n`th response from here has come. A look() has to follow: what came before the
    /// backend could see this is not notified of.
    void notify_after(index n) noexcept {
        shared_index(shared_->rsp_event).store(consumed_ + n, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
};

} // namespace mirage::xen
