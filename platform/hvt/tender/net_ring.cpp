// SPDX-License-Identifier: MIT
#include "net_ring.hpp"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mirage::tender {

namespace abi = hvt::abi;

namespace {

std::uint32_t load(const std::uint32_t& shared) noexcept {
    return __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
}
void store(std::uint32_t& shared, std::uint32_t value) noexcept {
    __atomic_store_n(&shared, value, __ATOMIC_RELEASE);
}

} // namespace

outcome<> net_ring::start() {
    writes_.open();
    kick_ = hosted::unique_fd{::eventfd(0, EFD_CLOEXEC)};
    pthread_t id;
    if (!kick_ || ::pthread_create(&id, nullptr, thread, this) != 0)
        return failure(std::string{"the network thread cannot be started: "} + std::strerror(errno));
    (void)::pthread_detach(id);
    return {};
}

/// Takes a frame to be sent. Its entry is the guest's again after give_back_writes().
void net_ring::serve_write(const abi::ring_entry& e) {
    const auto frame = memory_.readable(e.data, e.len);
    if (frame.empty() && e.len != 0)
        die("the guest put a frame outside of its memory on the network ring");
    if (e.handle < devices_.size() && devices_[e.handle].net && !devices_[e.handle].net->gone())
        writes_.add(e.handle, frame);
}

/// Sends what serve_write() has taken, and gives the entries before ent_head_ back.
void net_ring::give_back_writes() noexcept {
    writes_.send();
    store(shared().ent_head, ent_head_);
}

/// False: nothing was there, and the entry was left where it is.
bool net_ring::serve_read(const abi::ring_entry& e, read_policy empty, std::uint64_t& received) {
    const auto room = memory_.writable(e.data, e.len);
    if (room.empty() && e.len != 0)
        die("the guest put a buffer that it cannot write to on the network ring");
    abi::ring_commit c{.id = e.id, .ret = abi::status::invalid};
    if (e.handle < devices_.size() && devices_[e.handle].net) {
        // A device that was empty a moment ago is not asked again for each of the guest's reads.
        const std::uint64_t bit = std::uint64_t{1} << e.handle;
        const std::int64_t n = (empty_ & bit) != 0 ? -1 : devices_[e.handle].net->read(room);
        empty_ |= n < 0 ? bit : 0;
        if (n < 0 && empty == read_policy::hold && !others_behind(ent_head_))
            return false;
        c.ret = n < 0 ? abi::status::again : abi::status::ok;
        c.len = n < 0 ? 0 : static_cast<std::uint32_t>(n);
        received |= n < 0 ? 0 : bit;
    }
    // A guest that never empties its commits overwrites its own: nobody else's memory is concerned.
    std::memcpy(&shared().commit[com_tail_ % abi::ring_slots], &c, sizeof c);
    store(shared().com_tail, ++com_tail_);
    return true;
}

/// Whether an entry behind `position` is for a device that is not known to be empty: it must not wait for one
/// that is.
bool net_ring::others_behind(std::uint32_t position) const noexcept {
    for (const std::uint32_t tail = load(shared().ent_tail); ++position != tail;) {
        const std::uint32_t handle = shared().entry[position % abi::ring_slots].handle;
        if (handle >= devices_.size() || (empty_ >> handle & 1) == 0)
            return true;
        if (position - ent_head_ > abi::ring_slots) // the guest moves its index while we look
            return true;
    }
    return false;
}

std::uint64_t net_ring::serve(bool hold_last_reads) {
    const std::lock_guard lock{serving_};
    std::uint64_t received = 0;
    empty_ = 0;
    const std::uint32_t tail = load(shared().ent_tail);
    if (tail - ent_head_ > abi::ring_slots) // a lie: there are not that many slots
        die("the guest's index on the network ring is out of bounds");
    std::uint32_t first_held = tail; // reads from here on have no write behind them
    if (hold_last_reads)
        while (first_held != ent_head_
               && shared().entry[(first_held - 1) % abi::ring_slots].op == abi::ring_op::net_read)
            --first_held;
    bool sending = false;
    for (; ent_head_ != tail; ++ent_head_) {
        abi::ring_entry e; // a copy: the guest may change its own while we look
        std::memcpy(&e, &shared().entry[ent_head_ % abi::ring_slots], sizeof e);
        if (e.op == abi::ring_op::net_write) {
            serve_write(e);
            sending = true;
            continue;
        }
        if (sending)
            give_back_writes(); // what is read next may be the answer
        sending = false;
        if (e.op != abi::ring_op::net_read)
            continue;
        const bool last = hold_last_reads && static_cast<std::int32_t>(ent_head_ - first_held) >= 0;
        if (!serve_read(e, last ? read_policy::hold : read_policy::complete, received))
            break;
    }
    give_back_writes();
    return received;
}

/// How often the thread looks once more before it sleeps: some 20 us, about what a kick and a wake-up cost.
constexpr int spins = 500;

void* net_ring::thread(void* argument) {
    auto& self = *static_cast<net_ring*>(argument);
    abi::net_ring& ring = self.shared();
    const auto waiting = [&] {
        const std::lock_guard lock{self.serving_};
        return load(ring.ent_tail) != self.ent_head_;
    };
    for (;;) {
        bool more = false;
        for (int i = 0; i < spins && !(more = waiting()); ++i)
            __builtin_ia32_pause();
        if (!more) {
            // The guest looks at needs_kick after its store of ent_tail, we look at ent_tail after our store
            // of needs_kick, each behind a full barrier: one of us sees the other's.
            store(ring.needs_kick, 1);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if (!waiting()) {
                std::uint64_t count;
                while (::read(self.kick_.get(), &count, sizeof count) < 0 && errno == EINTR) {
                }
            }
            store(ring.needs_kick, 0);
        }
        (void)self.serve(false);
    }
}

} // namespace mirage::tender
