// SPDX-License-Identifier: MIT
//
// The guest's end of the ring against a tender that sleeps as often as it can: a kick that is missing hangs the test,
// and a buffer that is reused too early changes what the tender sees.
#include "mirage/hvt/ring.hpp"
#include <array>
#include <atomic>
#include <condition_variable>
#include <doctest/doctest.h>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

using namespace mirage::hvt;

namespace {

/// An eventfd, as KVM signals it.
class doorbell {
    std::mutex mutex_;
    std::condition_variable rung_;
    std::uint64_t count_ = 0;

public:
    std::atomic<std::uint64_t> rings = 0;
    void ring() {
        const std::lock_guard lock{mutex_};
        ++count_;
        ++rings;
        rung_.notify_one();
    }
    void wait() {
        std::unique_lock lock{mutex_};
        rung_.wait(lock, [&] { return count_ != 0; });
        count_ = 0;
    }
};

struct rings {
    doorbell* bell;
    void operator()() const noexcept { bell->ring(); }
};

std::uint32_t load(std::uint32_t& field) { return std::atomic_ref{field}.load(std::memory_order_acquire); }
void store(std::uint32_t& field, std::uint32_t v) { std::atomic_ref{field}.store(v, std::memory_order_release); }

/// The tender's thread as the ABI describes it, without spinning. Ends at an entry with handle 0.
struct tender {
    abi::net_ring& ring;
    doorbell& bell;
    std::vector<std::uint64_t> seen;

    bool process() {
        while (load(ring.ent_head) != load(ring.ent_tail)) {
            const std::uint32_t head = load(ring.ent_head);
            const abi::ring_entry entry = ring.entry[head % abi::ring_slots];
            if (entry.handle == 0)
                return false;
            if (entry.op == abi::ring_op::net_write) {
                seen.push_back(*reinterpret_cast<const std::uint64_t*>(entry.data));
            } else {
                const std::uint32_t tail = load(ring.com_tail);
                ring.commit[tail % abi::ring_slots] = {.id = entry.id, .ret = abi::status::again};
                store(ring.com_tail, tail + 1);
            }
            store(ring.ent_head, head + 1);
        }
        return true;
    }

    void run() {
        while (process()) {
            store(ring.needs_kick, 1);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if (load(ring.ent_head) == load(ring.ent_tail))
                bell.wait();
            store(ring.needs_kick, 0);
        }
    }
};

} // namespace

TEST_CASE("every entry is seen once, in order, whatever the tender's sleep (hvt ABI section 8)") {
    const auto memory = std::make_unique<abi::net_ring>();
    doorbell bell;
    tender other{*memory, bell, {}};
    std::thread thread{[&] { other.run(); }};

    ring_port<rings> port{rings{&bell}};
    port.open(*memory);
    std::mt19937 rng{11};
    std::uint64_t next = 0, reads = 0, commits = 0, announcements = 0;
    constexpr std::size_t buffers = 64;
    std::array<std::uint64_t, buffers> buffer{};
    std::array<std::uint32_t, buffers> position{};
    while (next < 30'000) {
        for (auto burst = rng() % 20; burst > 0 && port.room() > 1; --burst) {
            if (rng() % 4 == 0) {
                (void)port.submit({.op = abi::ring_op::net_read, .handle = 1, .id = static_cast<std::uint32_t>(reads)});
                ++reads;
            } else if (const std::size_t i = next % buffers; next < buffers || port.passed(position[i])) {
                buffer[i] = next++;
                position[i] = port.submit({.op = abi::ring_op::net_write,
                                           .handle = 1,
                                           .data = reinterpret_cast<std::uintptr_t>(&buffer[i])});
            }
        }
        port.announce();
        ++announcements;
        while (const auto commit = port.next_commit())
            REQUIRE(commit->id == commits++);
        if (rng() % 16 == 0) // let it fall asleep
            while (load(memory->needs_kick) == 0 && load(memory->ent_head) != load(memory->ent_tail))
                std::this_thread::yield();
    }
    while (port.room() < abi::ring_slots - 1)
        std::this_thread::yield();
    (void)port.submit({.handle = 0});
    port.announce();
    thread.join();

    while (const auto commit = port.next_commit())
        CHECK(commit->id == commits++);
    CHECK(commits == reads);
    REQUIRE(other.seen.size() == next);
    for (std::uint64_t i = 0; i < next; ++i)
        REQUIRE(other.seen[i] == i);
    CHECK(bell.rings > 0);
    CHECK(bell.rings <= announcements + 1);
}

TEST_CASE("a tender that is awake is not kicked, and one that was kicked not again before it has woken") {
    const auto memory = std::make_unique<abi::net_ring>();
    doorbell bell;
    ring_port<rings> port{rings{&bell}};
    port.open(*memory);
    (void)port.submit({.handle = 1});
    port.announce();
    CHECK(bell.rings == 0);
    memory->needs_kick = 1;
    port.announce();
    CHECK_MESSAGE(bell.rings == 0, "nothing new since the last announcement");
    (void)port.submit({.handle = 1});
    port.announce();
    CHECK(bell.rings == 1);
    (void)port.submit({.handle = 1});
    port.announce();
    CHECK_MESSAGE(bell.rings == 1, "it has not passed what it was kicked for");
    memory->ent_head = 2;
    (void)port.submit({.handle = 1});
    port.announce();
    CHECK_MESSAGE(bell.rings == 2, "it has, and sleeps again");
}

TEST_CASE("one slot stays empty, and room comes back when the tender has passed") {
    const auto memory = std::make_unique<abi::net_ring>();
    doorbell bell;
    ring_port<rings> port{rings{&bell}};
    port.open(*memory);
    CHECK(port.room() == abi::ring_slots - 1);
    std::uint32_t position = 0;
    for (std::uint32_t i = 0; i < abi::ring_slots - 1; ++i)
        position = port.submit({.handle = 1});
    CHECK(port.room() == 0);
    CHECK_FALSE(port.passed(position));
    memory->ent_head = position;
    CHECK(port.passed(position));
    CHECK(port.room() == abi::ring_slots - 1);
}
