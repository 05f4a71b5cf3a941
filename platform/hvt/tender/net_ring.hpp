// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"
#include "frame_batch.hpp"
#include "memory.hpp"
#include <mutex>
#include <optional>

namespace mirage::tender {

/// The tender's end of the network ring. Two threads serve it: its own, which a guest wakes by a kick, and
/// the vCPU's whenever the guest waits in POLL, so that a guest which batches and then waits never needs a
/// kick. What the guest writes into the ring is copied, checked, and only then used.
class net_ring {
    const guest_memory& memory_;
    std::span<device> devices_;
    frame_batch writes_;
    hosted::unique_fd kick_;
    std::mutex serving_;
    std::uint32_t ent_head_ = 0, com_tail_ = 0; ///< ours: the copies in the ring are only shown

    hvt::abi::net_ring& shared() const noexcept { return memory_.ring(); }
    std::uint64_t empty_ = 0; ///< devices that had no frame in this round

    bool others_behind(std::uint32_t position) const noexcept;
    enum class read_policy : bool { complete, hold };
    void serve_write(const hvt::abi::ring_entry& e);
    bool serve_read(const hvt::abi::ring_entry& e, read_policy empty, std::uint64_t& received);
    void give_back_writes() noexcept;
    std::uint64_t serve(bool hold_last_reads);
    static void* thread(void* self);

public:
    net_ring(const guest_memory& memory, std::span<device> devices) noexcept
        : memory_{memory}, devices_{devices}, writes_{devices} {}

    /// The descriptor that KVM signals when the guest kicks, and the thread that waits for it.
    outcome<> start();
    int kick_descriptor() const noexcept { return kick_.get(); }

    /// The guest waits: serves all that it has posted. Reads that nothing stands behind stay posted while
    /// their device is empty. Bit h: a frame of device h was committed.
    std::uint64_t serve_in_poll() { return serve(true); }
};

} // namespace mirage::tender
