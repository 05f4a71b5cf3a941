// SPDX-License-Identifier: MIT
#pragma once
#include "devices.hpp"
#include "frame_batch.hpp"
#include "memory.hpp"
#include <array>
#include <mutex>
#include <vector>

namespace mirage::tender {

/// The tender's end of the network ring. Two threads serve it: its own, which a guest wakes by a kick, and
/// the vCPU's whenever the guest waits in POLL, so that a guest which batches and then waits never needs a
/// kick. What the guest writes into the ring is copied, checked, and only then used.
class net_ring {
    const guest_memory& memory_;
    std::span<device> devices_;
    frame_batch frames_;
    hosted::unique_fd kick_;
    std::mutex serving_;
    std::uint32_t ent_head_ = 0, com_tail_ = 0; ///< ours: the copies in the ring are only shown

    hvt::abi::net_ring& shared() const noexcept { return memory_.ring(); }
    std::uint64_t unfinished_ = 0, joined_ = 0; ///< the guest's wishes, as they were heeded

    struct posted_read {
        std::uint32_t id = 0, handle = 0;
        std::span<std::byte> room{};
    };
    std::vector<posted_read> reads_;    ///< taken from the ring, not yet answered; in order
    std::vector<std::size_t> usual_;    ///< by device: frames that came together the last time
    std::vector<std::size_t> came_;     ///< by device: frames that came this time
    std::array<incoming_frame, frame_batch::most> frames_in_{};

    enum class read_policy : bool { complete, hold }; ///< what becomes of a read that finds nothing

    void heed_wishes() noexcept;
    void take_write(const hvt::abi::ring_entry& e);
    void take_read(const hvt::abi::ring_entry& e);
    void commit(const hvt::abi::ring_commit& answer) noexcept;
    std::size_t receive(std::size_t first, std::size_t run);
    std::uint64_t answer_reads(read_policy empty);
    std::uint64_t serve(read_policy empty);
    static void* thread(void* self);

public:
    net_ring(const guest_memory& memory, std::span<device> devices) noexcept
        : memory_{memory}, devices_{devices}, frames_{devices}, usual_(devices.size()), came_(devices.size()) {}

    /// The descriptor that KVM signals when the guest kicks, and the thread that waits for it.
    outcome<> start();
    int kick_descriptor() const noexcept { return kick_.get(); }

    /// The guest waits: serves all that it has posted. Reads stay here while their device is empty. Bit h: a frame
    /// of device h was committed.
    std::uint64_t serve_in_poll() { return serve(read_policy::hold); }
};

} // namespace mirage::tender
