// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/intrusive_list.hpp"
#include "mirage/core/time.hpp"
#include <array>
#include <bit>
#include <cstdint>

namespace mirage {

/// Something to be done at a point in time. Dies disarmed. Owned by whoever embeds it.
class timer : public list_hook {
    friend class timer_wheel;
    instant deadline_ = never;
    void (*expired_)(timer&) noexcept;

public:
    /// `expired` is called once per arming, from timer_wheel::expire(), with the timer already disarmed: it may
    /// arm it again, or destroy it.
    explicit constexpr timer(void (*expired)(timer&) noexcept) noexcept : expired_{expired} {}

    bool armed() const noexcept { return linked(); }
    /// When it will fire; meaningful while armed().
    instant deadline() const noexcept { return deadline_; }
    void disarm() noexcept { unlink(); }
};

/// A hierarchical timing wheel: arming and disarming are O(1), and a timer never fires early. It fires at most
/// one tick (2^16 ns, 66 us) late as far as the wheel is concerned. (Varghese and Lauck, "Hashed and
/// Hierarchical Timing Wheels", SOSP 1987, scheme 7.)
class timer_wheel {
    static constexpr unsigned tick_bits = 16, slot_bits = 6, levels = 6;
    static constexpr std::uint64_t slots = std::uint64_t{1} << slot_bits;
    /// Timers further away than this wait in the last slot and are placed anew when it comes (51 days). One slot
    /// short of a full turn: the slot that the wheel stands in would mean "now".
    static constexpr std::uint64_t horizon = (slots - 1) << (slot_bits * (levels - 1));

    std::array<std::array<intrusive_list<timer>, slots>, levels> slot_{};
    std::array<std::uint64_t, levels> occupied_{};
    std::uint64_t tick_ = 0; ///< everything before it has been expired

    /// The first tick at which `t` has passed.
    static constexpr std::uint64_t tick_at_or_after(instant t) noexcept {
        const auto ns = t.time_since_epoch().count();
        return ns <= 0 ? 0 : (static_cast<std::uint64_t>(ns) + ((1u << tick_bits) - 1)) >> tick_bits;
    }
    static constexpr std::uint64_t tick_before(instant t) noexcept {
        const auto ns = t.time_since_epoch().count();
        return ns <= 0 ? 0 : static_cast<std::uint64_t>(ns) >> tick_bits;
    }

    void place(timer& t) noexcept {
        std::uint64_t due = tick_at_or_after(t.deadline_);
        due = due < tick_ ? tick_ : due;
        due = due - tick_ > horizon ? tick_ + horizon : due;
        const std::uint64_t differs = (due ^ tick_) | 1;
        unsigned level = (63u - static_cast<unsigned>(std::countl_zero(differs))) / slot_bits;
        level = level < levels ? level : levels - 1;
        const std::uint64_t slot = (due >> (level * slot_bits)) % slots;
        slot_[level][slot].push_back(t);
        occupied_[level] |= std::uint64_t{1} << slot;
    }

    /// The next tick at which something is due or must move down a level; ~0 when the wheel is empty. Slots whose
    /// timers were all disarmed are noticed, and forgotten, here.
    std::uint64_t next_tick() noexcept {
        std::uint64_t earliest = ~std::uint64_t{0};
        for (unsigned level = 0; level < levels; ++level) {
            const unsigned shift = level * slot_bits;
            const std::uint64_t here = tick_ >> shift;
            while (occupied_[level] != 0) {
                const auto rotated = std::rotr(occupied_[level], static_cast<int>(here % slots));
                const auto ahead = static_cast<std::uint64_t>(std::countr_zero(rotated));
                const std::uint64_t slot = (here + ahead) % slots;
                if (slot_[level][slot].empty()) {
                    occupied_[level] &= ~(std::uint64_t{1} << slot);
                    continue;
                }
                const std::uint64_t at = (here + ahead) << shift;
                earliest = at < earliest ? at : earliest;
                break;
            }
        }
        return earliest < tick_ ? tick_ : earliest;
    }

    /// Fires or moves down whatever the slots that begin at `tick_` hold.
    void turn() noexcept {
        for (unsigned level = levels; level-- > 0;) {
            const unsigned shift = level * slot_bits;
            if ((tick_ & ((std::uint64_t{1} << shift) - 1)) != 0)
                continue;
            const std::uint64_t slot = (tick_ >> shift) % slots;
            if ((occupied_[level] >> slot & 1) == 0)
                continue;
            occupied_[level] &= ~(std::uint64_t{1} << slot);
            intrusive_list<timer> due;
            due.splice_back(slot_[level][slot]);
            while (timer* const t = due.pop_front()) {
                if (level > 0 && tick_at_or_after(t->deadline_) > tick_)
                    place(*t);
                else if (level > 0)
                    slot_[0][tick_ % slots].push_back(*t), occupied_[0] |= std::uint64_t{1} << tick_ % slots;
                else
                    t->expired_(*t);
            }
        }
    }

public:
    /// Arms `t`, again if it is armed. A deadline in the past fires at the next expire().
    void arm(timer& t, instant deadline) noexcept {
        t.deadline_ = deadline;
        place(t);
    }

    /// Fires every timer whose deadline is not after `now`, in the order of their ticks.
    void expire(instant now) noexcept {
        const std::uint64_t until = tick_before(now);
        for (;;) {
            const std::uint64_t next = next_tick();
            if (next > until)
                break;
            tick_ = next;
            turn();
            // A timer armed by a callback for a past deadline lands on tick_ itself: look again before moving on.
        }
        tick_ = tick_ < until ? until : tick_;
    }

    /// When expire() should next be called; `never` when nothing is armed. Never later than the first deadline
    /// rounded up to a tick; sometimes earlier, when far timers have to be sorted in.
    instant next_deadline() noexcept {
        const std::uint64_t next = next_tick();
        if (next == ~std::uint64_t{0})
            return never;
        return instant{duration{static_cast<std::int64_t>(next << tick_bits)}};
    }
};

} // namespace mirage
