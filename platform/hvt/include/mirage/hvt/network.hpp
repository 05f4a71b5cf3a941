// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/ethernet.hpp"
#include "mirage/hvt/wait.hpp"
#include <array>
#include <cstdint>

namespace mirage::hvt {

/// What all network devices of the machine share: the one ring, and the waiting.
///
/// The tender's POLL is level-triggered over the interfaces, and it costs an exit. A READ that is outstanding while
/// the machine sleeps in POLL could take the frame that POLL would have reported, so there is one rule: sleep with
/// no READ outstanding. Then no wake-up is ever lost. While there is traffic, the machine does not sleep at all
/// but asks the ring again for a short time: an answer through the ring costs a fraction of an exit.
///
/// Our own tender serves the ring inside POLL (HOST_FEATURE_POLL_SERVES_RING) and keeps READs there: then one exit
/// per burst does everything.
class network {
    static constexpr duration spin_time = std::chrono::microseconds{40};
    static constexpr duration patience = std::chrono::microseconds{100};
    static constexpr duration nap = std::chrono::microseconds{200};

    ring_port<> ring_;
    std::array<ethernet*, abi::manifest_max_entries> devices_{};
    std::uint32_t count_ = 0;
    instant last_traffic_{};
    instant last_look_{};

    std::uint32_t outstanding() const noexcept {
        std::uint32_t sum = 0;
        for (std::uint32_t i = 0; i < count_; ++i)
            sum += devices_[i]->outstanding();
        return sum;
    }

    /// Hands the ring's answers to their devices. The ready set.
    std::uint64_t collect() noexcept {
        while (const auto answer = ring_.next_commit())
            if (const std::uint32_t index = answer->id >> 16; index < count_)
                devices_[index]->commit(*answer);
        std::uint64_t ready = 0;
        for (std::uint32_t i = 0; i < count_; ++i)
            if (devices_[i]->has_arrived())
                ready |= std::uint64_t{1} << devices_[i]->ready_bit();
        return ready;
    }

    void post(std::uint32_t index, bool probe) noexcept {
        ethernet& device = *devices_[index];
        if (device.hungry_)
            device.post(device.window_, index);
        else if (probe)
            device.post(1, index);
    }
    void post_all(bool probe) noexcept {
        for (std::uint32_t i = 0; i < count_; ++i)
            post(i, probe);
        ring_.announce();
    }

    void mark(std::uint64_t ready) noexcept {
        for (std::uint32_t i = 0; i < count_; ++i)
            devices_[i]->hungry_ |= (ready >> devices_[i]->ready_bit() & 1) != 0;
    }

    std::uint64_t wait_on_ring(instant deadline) noexcept {
        const instant entered = this_machine.now();
        instant now = entered;
        for (;; pause(), now = this_machine.now()) {
            if (const std::uint64_t ready = collect(); ready != 0) {
                last_traffic_ = now;
                post_all(false); // what is still there is read while the application works on this
                return ready;
            }
            if (outstanding() > 0) {
                // A matter of a microsecond, unless the tender's thread does not run: then let it.
                if (now - entered > patience)
                    (void)poll(static_cast<std::uint64_t>(nap.count()));
                else if (deadline <= entered)
                    return 0;
                continue;
            }
            if (deadline <= entered) {
                // Only looking: READs go out, and the next look sees what they brought.
                if (now - last_look_ > std::chrono::microseconds{2}) {
                    last_look_ = now;
                    post_all(true);
                }
                return 0;
            }
            if (now >= deadline)
                return 0;
            if (now - last_traffic_ < spin_time) {
                post_all(true);
                continue;
            }
            ring_.announce();
            if (const std::uint64_t ready = sleep_until(deadline); ready != 0) {
                last_traffic_ = this_machine.now();
                mark(ready);
                post_all(false);
            }
        }
    }

    /// With a tender whose POLL serves the ring: everything that was submitted since goes with the exit that POLL is
    /// anyway, and comes back with frames in the READs that stay outstanding. No kick, no thread, no second exit.
    std::uint64_t wait_in_service(instant deadline) noexcept {
        if (const std::uint64_t ready = collect(); ready != 0)
            return ready;
        const instant now = this_machine.now();
        if (deadline <= now && now - last_look_ < std::chrono::microseconds{50})
            return 0;
        last_look_ = now;
        for (std::uint32_t i = 0; i < count_; ++i)
            devices_[i]->post(devices_[i]->depth_, i);
        const std::uint64_t ready = sleep_until(deadline);
        return collect() | ready;
    }

    std::uint64_t wait_by_calls(instant deadline) noexcept {
        const instant now = this_machine.now();
        if (deadline <= now && now - last_look_ < std::chrono::microseconds{100})
            return 0;
        last_look_ = now;
        const std::uint64_t ready = sleep_until(deadline);
        mark(ready);
        return ready;
    }

public:
    ring_port<>& ring() noexcept { return ring_; }

    /// Takes the ring, if the tender offers one: before the first device is set up.
    void open() noexcept {
        if (auto* const ring = this_machine.net_ring(); ring != nullptr && count_ == 0)
            ring_.open(*ring, this_machine.poll_serves_ring());
    }

    /// Takes a device that has been set up, for the rest of the machine's life.
    void add(ethernet& device) noexcept { devices_[count_++] = &device; }

    /// See platform::wait().
    std::uint64_t wait(instant deadline) noexcept {
        if (!ring_.offered())
            return wait_by_calls(deadline);
        return ring_.served_by_poll() ? wait_in_service(deadline) : wait_on_ring(deadline);
    }
};

/// In an image only when a network device is.
inline constinit network this_network;

} // namespace mirage::hvt
