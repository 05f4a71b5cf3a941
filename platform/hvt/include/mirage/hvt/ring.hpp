// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/abi.hpp"
#include <atomic>
#include <cstdint>
#include <optional>

namespace mirage::hvt {

/// Wakes the tender's thread: an OUT that the kernel turns into an event without leaving for the tender.
struct port_kick {
    void operator()() const noexcept { asm volatile("outl %0, %w1" : : "a"(0), "d"(PORT_RING_KICK) : "memory"); }
};

/// The guest's end of the shared network ring: one producer of entries, one consumer of commits.
///
/// The tender is trusted with this machine's memory anyway; what it writes is range-checked all the same, so that
/// its defect does not become ours.
template <class Kick = port_kick>
class ring_port {
    abi::net_ring* ring_ = nullptr;
    std::uint32_t tail_ = 0;         ///< entries written, all published
    std::uint32_t announced_ = 0;    ///< of them, those for which needs_kick has been looked at
    std::uint32_t kicked_until_ = 0; ///< the tail at the last kick
    bool served_by_poll_ = false;
    bool kicked_ = false;            ///< and the tender has not passed it, as far as we know
    std::uint32_t com_head_ = 0;
    [[no_unique_address]] Kick kick_;

    static std::uint32_t load(std::uint32_t& shared) noexcept {
        return std::atomic_ref{shared}.load(std::memory_order_acquire);
    }
    static void store(std::uint32_t& shared, std::uint32_t value) noexcept {
        std::atomic_ref{shared}.store(value, std::memory_order_release);
    }

public:
    constexpr ring_port() noexcept = default;
    constexpr explicit ring_port(Kick kick) noexcept : kick_{kick} {}

    /// Takes a zeroed ring.
    /// `served_by_poll`: the tender looks at it in every POLL, and need not be woken.
    void open(abi::net_ring& ring, bool served_by_poll = false) noexcept {
        ring_ = &ring;
        served_by_poll_ = served_by_poll;
    }
    bool served_by_poll() const noexcept { return served_by_poll_; }
    bool offered() const noexcept { return ring_ != nullptr; }

    /// Entries that may still be submitted: one slot stays empty.
    std::uint32_t room() const noexcept { return abi::ring_slots - 1 - (tail_ - load(ring_->ent_head)); }

    /// Whether the tender is done with every entry before `position`, and with their buffers.
    bool passed(std::uint32_t position) const noexcept {
        return static_cast<std::int32_t>(load(ring_->ent_head) - position) >= 0;
    }

    /// Tells the tender that frames of this device may come with their checksum unfinished; `joined`: and TCP segments
    /// joined. Takes effect before the next read is served.
    void take(std::uint32_t handle, bool joined) noexcept {
        const std::uint64_t bit = std::uint64_t{1} << handle;
        ring_->takes_unfinished |= bit;
        ring_->takes_joined |= joined ? bit : 0;
    }

    /// Publishes an entry; there must be room(). The position behind it, for passed(). A tender that is awake may
    /// act on it at once; one that sleeps does after announce().
    std::uint32_t submit(const abi::ring_entry& entry) noexcept {
        ring_->entry[tail_ % abi::ring_slots] = entry;
        store(ring_->ent_tail, ++tail_);
        return tail_;
    }

    /// Makes sure that the tender sees, or is woken for, everything submitted. Costs a fence, and a kick only when
    /// the tender sleeps and no kick is under way: one that has been kicked but is not past that kick's entries
    /// will look at the tail again before it sleeps.
    void announce() noexcept {
        if (served_by_poll_ || announced_ == tail_)
            return;
        announced_ = tail_;
        // Store of the tail before load of needs_kick, against the tender's store of that before load of the tail.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        kicked_ = kicked_ && !passed(kicked_until_);
        if (kicked_ || load(ring_->needs_kick) == 0)
            return;
        kicked_ = true;
        kicked_until_ = tail_;
        kick_();
    }

    /// The next answer to a net_read, if there is one.
    std::optional<abi::ring_commit> next_commit() noexcept {
        if (com_head_ == load(ring_->com_tail))
            return std::nullopt;
        const abi::ring_commit commit = ring_->commit[com_head_ % abi::ring_slots];
        store(ring_->com_head, ++com_head_);
        return commit;
    }
};

} // namespace mirage::hvt
