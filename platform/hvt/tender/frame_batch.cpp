// SPDX-License-Identifier: MIT
#include "frame_batch.hpp"
#include <cerrno>
#include <cstring>
#include <linux/fs.h>
#include <sys/uio.h>

namespace mirage::tender {

void frame_batch::open() {
    auto ring = std::unique_ptr<io_uring>{new io_uring{}};
    if (::io_uring_queue_init(most, ring.get(), IORING_SETUP_R_DISABLED) != 0)
        return;
    ring_.reset(ring.release());
    // Whoever has got hold of this process gets nothing by this queue that the sandbox denies: it can read and write,
    // and nothing can be registered. The devices' descriptors are not, either: the kernel would keep an interface busy
    // for a while after our end.
    io_uring_restriction only[2]{};
    only[0].opcode = only[1].opcode = IORING_RESTRICTION_SQE_OP;
    only[0].sqe_op = IORING_OP_READV;
    only[1].sqe_op = IORING_OP_WRITEV;
    if (::io_uring_register_restrictions(ring_.get(), only, 2) != 0 || ::io_uring_enable_rings(ring_.get()) != 0)
        ring_.reset();
}

/// Lets the kernel do `count` reads or writes of parts_, in order, and waits for all of them: none of them blocks, so
/// that this is within the call. Their results are in outcome_.
template <class Descriptor>
void frame_batch::run(std::uint8_t operation, unsigned count, Descriptor descriptor) noexcept {
    for (unsigned i = 0; i < count; ++i) {
        io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get()); // there are `most`, and all are free
        ::io_uring_prep_rw(operation, entry, descriptor(i), parts_[i].part, parts_[i].count, static_cast<__u64>(-1));
        entry->rw_flags = RWF_NOWAIT; // what a non-blocking descriptor means elsewhere; here it would wait its turn
        ::io_uring_sqe_set_data64(entry, i);
    }
    bool understood = true;
    for (unsigned answered = 0; answered < count;) {
        const int error = ::io_uring_submit_and_wait(ring_.get(), count - answered);
        if (error < 0 && error != -EINTR)
            die(std::string{"the kernel's queue for frames failed: "} + std::strerror(-error));
        io_uring_cqe* completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(ring_.get(), head, completion) {
            outcome_[completion->user_data] = completion->res;
            understood &= completion->res != -EOPNOTSUPP;
            ++seen;
        }
        ::io_uring_cq_advance(ring_.get(), seen);
        answered += seen;
    }
    if (understood)
        return;
    // An older kernel, which has not taught its TAP interfaces to be asked like this: none of it was done.
    ring_.reset();
    for (unsigned i = 0; i < count; ++i) {
        const auto n = (operation == IORING_OP_READV ? ::readv : ::writev)(descriptor(i), parts_[i].part,
                                                                           static_cast<int>(parts_[i].count));
        outcome_[i] = n < 0 ? -errno : n;
    }
}

void frame_batch::send() noexcept {
    if (count_ > 1 && ring_) {
        for (unsigned i = 0; i < count_; ++i)
            devices_[outgoing_[i].handle].net->prepare(outgoing_[i].frame, parts_[i]);
        run(IORING_OP_WRITEV, count_, [this](unsigned i) { return devices_[outgoing_[i].handle].net->descriptor(); });
        for (unsigned i = 0; i < count_; ++i)
            devices_[outgoing_[i].handle].net->sent(outcome_[i]);
    } else {
        for (unsigned i = 0; i < count_; ++i)
            devices_[outgoing_[i].handle].net->write(outgoing_[i].frame);
    }
    count_ = 0;
}

unsigned frame_batch::receive(net_device& from, std::span<const std::span<std::byte>> rooms,
                              std::span<incoming_frame> frames) noexcept {
    unsigned n = 0;
    if (rooms.size() == 1 || !ring_) {
        while (n < rooms.size() && (frames[n] = from.read(rooms[n])).length >= 0)
            ++n;
        return n;
    }
    const auto count = static_cast<unsigned>(rooms.size());
    for (unsigned i = 0; i < count; ++i)
        from.prepare(rooms[i], parts_[i]);
    run(IORING_OP_READV, count, [&](unsigned) { return from.descriptor(); });
    for (unsigned i = 0; i < count; ++i) {
        const incoming_frame frame = from.received(parts_[i], outcome_[i]);
        if (frame.length < 0)
            continue;
        // One came just behind a read that had found nothing.
        const auto size = static_cast<std::size_t>(frame.length);
        if (n != i && size <= rooms[n].size())
            std::memmove(rooms[n].data(), rooms[i].data(), size);
        if (n == i || size <= rooms[n].size())
            frames[n++] = frame;
    }
    return n;
}

} // namespace mirage::tender
