// SPDX-License-Identifier: MIT
#include "mirage/host/io_queue.hpp"
#include "mirage/core/check.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

namespace mirage::host {

namespace {

constexpr std::uint64_t most_in_a_call = 1 << 30;
constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

void describe(io_uring_sqe* entry, file_call& call) noexcept {
    const auto size = static_cast<unsigned>(std::min(call.size, most_in_a_call));
    switch (call.what) {
    case file_call::action::read: ::io_uring_prep_read(entry, call.file, call.data, size, call.offset); break;
    case file_call::action::write: ::io_uring_prep_write(entry, call.file, call.data, size, call.offset); break;
    case file_call::action::flush: ::io_uring_prep_fsync(entry, call.file, IORING_FSYNC_DATASYNC); break;
    case file_call::action::punch:
        ::io_uring_prep_fallocate(entry, call.file, punch, static_cast<off_t>(call.offset),
                                  static_cast<off_t>(call.size));
        break;
    }
    ::io_uring_sqe_set_data(entry, &call);
}

} // namespace

void file_call::make(std::size_t most) noexcept {
    const std::size_t n = std::min<std::uint64_t>(size, most);
    const auto at = static_cast<off_t>(offset);
    switch (what) {
    case action::read: outcome = ::pread(file, data, n, at); break;
    case action::write: outcome = ::pwrite(file, data, n, at); break;
    case action::flush: outcome = ::fdatasync(file); break;
    case action::punch: outcome = ::fallocate(file, punch, at, static_cast<off_t>(size)); break;
    }
    if (outcome < 0)
        outcome = -errno;
}

void io_queue::ring_end::operator()(io_uring* ring) const noexcept {
    ::io_uring_queue_exit(ring);
    delete ring;
}

io_queue::~io_queue() = default;

bool io_queue::open() noexcept {
    auto memory = std::make_unique<io_uring>();
    if (::io_uring_queue_init(depth, memory.get(), 0) != 0)
        return false;
    std::unique_ptr<io_uring, ring_end> ring{memory.release()};
    io_uring_probe* const probe = ::io_uring_get_probe_ring(ring.get());
    bool all = probe != nullptr;
    for (const int code :
         {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_ASYNC_CANCEL})
        all = all && ::io_uring_opcode_supported(probe, code) != 0;
    ::io_uring_free_probe(probe);
    if (!all)
        return false;
    descriptor = ring->ring_fd;
    ring_ = std::move(ring);
    (void)home_.watch(*this);
    return true;
}

void io_queue::begin(file_call& call) noexcept {
    call.stage_ = file_call::stage::waiting;
    waiting_.push_back(call);
    if (!submission_.linked())
        home_.loop().post(submission_);
}

void io_queue::submit() noexcept {
    bool any = false;
    while (!waiting_.empty() && under_way_ < depth) {
        io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get());
        if (entry == nullptr)
            break;
        auto& call = static_cast<file_call&>(*waiting_.pop_front());
        describe(entry, call);
        call.stage_ = file_call::stage::under_way;
        ++under_way_;
        any = true;
    }
    if (any || ::io_uring_sq_ready(ring_.get()) != 0) {
        const int r = ::io_uring_submit(ring_.get());
        check(r >= 0 || r == -EAGAIN || r == -EBUSY || r == -EINTR, "host: io_uring takes no calls any more");
        if (r < 0)
            home_.loop().post(submission_);
    }
    (void)reap(); // what was in the page cache is done already
}

/// Takes what is done. Whether there was any.
bool io_queue::reap() noexcept {
    unsigned head, count = 0;
    io_uring_cqe* completion;
    io_uring_for_each_cqe(ring_.get(), head, completion) {
        ++count;
        auto* const call = static_cast<file_call*>(::io_uring_cqe_get_data(completion));
        if (call == nullptr)
            continue; // a cancellation
        call->outcome = completion->res;
        call->stage_ = file_call::stage::idle;
        --under_way_;
        home_.loop().post(*call);
    }
    ::io_uring_cq_advance(ring_.get(), count);
    if (count != 0 && !waiting_.empty() && !submission_.linked())
        home_.loop().post(submission_);
    return count != 0;
}

void io_queue::withdraw(file_call& call) noexcept {
    if (call.stage_ == file_call::stage::under_way) {
        if (io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get()); entry != nullptr) {
            ::io_uring_prep_cancel(entry, &call, 0);
            ::io_uring_sqe_set_data(entry, nullptr);
        }
        do
            (void)::io_uring_submit_and_wait(ring_.get(), 1);
        while (!reap() || call.stage_ == file_call::stage::under_way);
    }
    call.stage_ = file_call::stage::idle;
    call.unlink();
}

} // namespace mirage::host
