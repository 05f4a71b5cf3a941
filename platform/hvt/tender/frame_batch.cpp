// SPDX-License-Identifier: MIT
#include "frame_batch.hpp"
#include <cerrno>

namespace mirage::tender {

void frame_batch::open() {
    auto ring = std::unique_ptr<io_uring>{new io_uring{}};
    if (::io_uring_queue_init(most, ring.get(), IORING_SETUP_R_DISABLED) != 0)
        return;
    ring_.reset(ring.release());
    // Whoever has got hold of this process gets nothing by this queue that the sandbox denies: it can write, and
    // nothing can be registered. The devices' descriptors are not, either: the kernel would keep an interface busy
    // for a while after our end.
    io_uring_restriction only_writes{};
    only_writes.opcode = IORING_RESTRICTION_SQE_OP;
    only_writes.sqe_op = IORING_OP_WRITE;
    if (::io_uring_register_restrictions(ring_.get(), &only_writes, 1) != 0
        || ::io_uring_enable_rings(ring_.get()) != 0)
        ring_.reset();
}

bool frame_batch::submit_all() noexcept {
    for (unsigned i = 0; i < count_; ++i) {
        io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get()); // there are `most`, and all are free
        const net_device& device = *devices_[pending_[i].handle].net;
        const auto frame = device.sending(pending_[i].frame);
        ::io_uring_prep_write(entry, device.descriptor(), frame.data(), static_cast<unsigned>(frame.size()),
                              static_cast<__u64>(-1));
        ::io_uring_sqe_set_data64(entry, i);
    }
    unsigned answered = 0;
    for (int error = 0; answered < count_;) {
        error = ::io_uring_submit_and_wait(ring_.get(), count_ - answered);
        if (error < 0 && error != -EINTR)
            return false;
        io_uring_cqe* completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(ring_.get(), head, completion) {
            devices_[pending_[completion->user_data].handle].net->sent(completion->res);
            ++seen;
        }
        ::io_uring_cq_advance(ring_.get(), seen);
        answered += seen;
    }
    return true;
}

void frame_batch::send() noexcept {
    if (count_ > 1 && ring_) {
        if (!submit_all())
            die("the kernel's queue for frames failed");
    } else {
        for (unsigned i = 0; i < count_; ++i)
            devices_[pending_[i].handle].net->write(pending_[i].frame);
    }
    count_ = 0;
}

} // namespace mirage::tender
