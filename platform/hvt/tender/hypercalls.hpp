// SPDX-License-Identifier: MIT
#pragma once
#include "call_trace.hpp"
#include "devices.hpp"
#include "memory.hpp"
#include "net_ring.hpp"
#include "poller.hpp"
#include <optional>

namespace mirage::tender {

/// How a guest ended by itself.
struct halted {
    int status = 0;
    std::uint64_t cookie = 0;
};

/// The services of the ABI. A guest that breaks the contract ends the tender, with a report by the caller.
class hypercalls {
    const guest_memory& memory_;
    std::span<device> devices_;
    poller& poller_;
    net_ring* ring_; ///< nullptr: none is offered
    std::optional<halted> halted_{};
    call_trace* trace_ = nullptr;

    outcome<> wall_time(std::uint64_t address);
    outcome<> put_text(std::uint64_t address);
    outcome<> poll(std::uint64_t address);
    outcome<> transfer_blocks(std::uint64_t address, bool write);
    outcome<> transfer_frame(std::uint64_t address, bool write);
    outcome<> end_guest(std::uint64_t address);
    std::uint64_t wait(std::uint64_t timeout);
    outcome<> dispatch(std::uint16_t port, std::uint64_t address);

public:
    hypercalls(const guest_memory& memory, std::span<device> devices, poller& poller, net_ring* ring) noexcept
        : memory_{memory}, devices_{devices}, poller_{poller}, ring_{ring} {}

    /// Serves the call that `port` stands for, with its argument at `address`. The error: what the guest did
    /// wrong.
    outcome<> serve(std::uint16_t port, std::uint64_t address);

    /// Tells `trace` about each call from now on.
    void tell(call_trace& trace) noexcept { trace_ = &trace; }

    const std::optional<halted>& end() const noexcept { return halted_; }
};

} // namespace mirage::tender
