// SPDX-License-Identifier: MIT
#include "net_ring.hpp"
#include <algorithm>
#include <array>
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
    reads_.reserve(abi::ring_slots);
    frames_.open();
    kick_ = hosted::unique_fd{::eventfd(0, EFD_CLOEXEC)};
    pthread_t id;
    if (!kick_ || ::pthread_create(&id, nullptr, thread, this) != 0)
        return failure(std::string{"the network thread cannot be started: "} + std::strerror(errno));
    (void)::pthread_detach(id);
    return {};
}

/// What the guest says that it takes as it comes. Nothing at first: it knows, then, what it is given.
void net_ring::heed_wishes() noexcept {
    const std::uint64_t unfinished = __atomic_load_n(&shared().takes_unfinished, __ATOMIC_RELAXED),
                        joined = __atomic_load_n(&shared().takes_joined, __ATOMIC_RELAXED);
    if (unfinished == unfinished_ && joined == joined_)
        return;
    unfinished_ = unfinished;
    joined_ = joined;
    for (std::size_t i = 0; i < devices_.size(); ++i)
        if (devices_[i].net)
            devices_[i].net->take((unfinished >> i & 1) != 0, (joined >> i & 1) != 0);
}

/// Takes a frame to be sent; its memory is the guest's again when the ring's head has passed it.
void net_ring::take_write(const abi::ring_entry& e) {
    const auto frame = memory_.readable(e.data, e.len);
    if (frame.empty() && e.len != 0)
        die("the guest put a frame outside of its memory on the network ring");
    if (e.handle < devices_.size() && devices_[e.handle].net && !devices_[e.handle].net->gone())
        frames_.add(e.handle, {frame, e.offload});
}

void net_ring::commit(const abi::ring_commit& answer) noexcept {
    // A guest that never empties its commits overwrites its own: nobody else's memory is concerned.
    std::memcpy(&shared().commit[com_tail_ % abi::ring_slots], &answer, sizeof answer);
    store(shared().com_tail, ++com_tail_);
}

/// Keeps a read for answer_reads().
void net_ring::take_read(const abi::ring_entry& e) {
    const auto room = memory_.writable(e.data, e.len);
    if (room.empty() && e.len != 0)
        die("the guest put a buffer that it cannot write to on the network ring");
    if (reads_.size() < abi::ring_slots)
        reads_.push_back({e.id, e.handle, room});
    else // more than a guest can have that keeps count
        commit({.id = e.id, .ret = abi::status::again});
}

/// Receives for the `run` reads from `first` on, all of one device. How many have a frame now, in frames_in_.
std::size_t net_ring::receive(std::size_t first, std::size_t run) {
    net_device& from = *devices_[reads_[first].handle].net;
    std::array<std::span<std::byte>, frame_batch::most> rooms;
    for (std::size_t i = 0; i < run; ++i)
        rooms[i] = reads_[first + i].room;
    return from.gone() ? 0 : frames_.receive(from, std::span{rooms}.first(run), frames_in_);
}

/// Answers the reads in order, as far as their devices have frames. Bit h: device h had one.
std::uint64_t net_ring::answer_reads(read_policy empty) {
    std::uint64_t received = 0, exhausted = 0;
    std::size_t kept = 0;
    std::ranges::fill(came_, 0);
    for (std::size_t i = 0, run = 1; i < reads_.size(); i += run, run = 1) {
        const std::uint32_t handle = reads_[i].handle;
        if (handle >= devices_.size() || !devices_[handle].net) {
            commit({.id = reads_[i].id, .ret = abi::status::invalid});
            continue;
        }
        // As many at once as came the last time, and one more to learn that there are no others; if there are, as many
        // again as have come so far.
        const std::uint64_t bit = std::uint64_t{1} << handle;
        std::size_t& came = came_[handle];
        const std::size_t most = std::min<std::size_t>(came == 0 ? usual_[handle] + 1 : came, frame_batch::most);
        while (run < most && i + run < reads_.size() && reads_[i + run].handle == handle)
            ++run;
        const std::size_t got = (exhausted & bit) != 0 ? 0 : receive(i, run);
        came += got;
        if (got != 0)
            received |= bit;
        if (got != run)
            exhausted |= bit;
        for (std::size_t j = 0; j < got; ++j)
            commit({.id = reads_[i + j].id,
                    .ret = abi::status::ok,
                    .len = static_cast<std::uint32_t>(frames_in_[j].length),
                    .flags = frames_in_[j].flags,
                    .segment_size = frames_in_[j].segment_size});
        for (std::size_t j = got; j < run; ++j)
            if (empty == read_policy::complete)
                commit({.id = reads_[i + j].id, .ret = abi::status::again});
            else
                reads_[kept++] = reads_[i + j];
    }
    reads_.resize(kept);
    for (std::size_t i = 0; i < devices_.size(); ++i)
        if (came_[i] != 0)
            usual_[i] = came_[i];
    return received;
}

std::uint64_t net_ring::serve(read_policy empty) {
    const std::lock_guard lock{serving_};
    heed_wishes();
    const std::uint32_t tail = load(shared().ent_tail);
    if (tail - ent_head_ > abi::ring_slots) // a lie: there are not that many slots
        die("the guest's index on the network ring is out of bounds");
    for (; ent_head_ != tail; ++ent_head_) {
        abi::ring_entry e; // a copy: the guest may change its own while we look
        std::memcpy(&e, &shared().entry[ent_head_ % abi::ring_slots], sizeof e);
        if (e.op == abi::ring_op::net_write)
            take_write(e);
        else if (e.op == abi::ring_op::net_read)
            take_read(e);
    }
    // What is sent first may bring what is read then.
    frames_.send();
    store(shared().ent_head, ent_head_);
    return answer_reads(empty);
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
        (void)self.serve(read_policy::complete);
    }
}

} // namespace mirage::tender
