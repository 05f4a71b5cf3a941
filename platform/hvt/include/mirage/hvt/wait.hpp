// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/hvt/console.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include <algorithm>
#include <cstdint>

namespace mirage::hvt {

/// Sleeps in the tender until a network device has input or `deadline` has passed; at once when it has already.
inline std::uint64_t sleep_until(instant deadline) noexcept {
    const auto left = deadline == never ? duration::max() : deadline - this_machine.now();
    return poll(static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0)));
}

/// How the platform waits. Without a network device that is a sleep; the first one that opens replaces it by what
/// knows about the ring, so that an image without network holds none of that.
class wait_point {
    std::uint64_t (*wait_)(void*, instant) noexcept = nullptr;
    void* self_ = nullptr;

public:
    template <class Waiter>
    void enrol(Waiter& waiter) noexcept {
        self_ = &waiter;
        wait_ = [](void* self, instant deadline) noexcept { return static_cast<Waiter*>(self)->wait(deadline); };
    }

    std::uint64_t wait(instant deadline) noexcept {
        this_console.flush();
        if (wait_ != nullptr)
            return wait_(self_, deadline);
        if (deadline > this_machine.now())
            (void)sleep_until(deadline);
        return 0;
    }
};

} // namespace mirage::hvt
