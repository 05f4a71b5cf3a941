// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/host/input_source.hpp"
#include "mirage/host/machine.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>

struct io_uring;

namespace mirage::host {

/// One call on a file: what the kernel is asked, and what it said. The operation runs from the loop when it is done.
class file_call : public operation {
    friend class io_queue;
    enum class stage : std::uint8_t { idle, waiting, under_way };
    stage stage_ = stage::idle;

public:
    enum class action : std::uint8_t { read, write, flush, punch };
    action what{};
    int file = -1;
    void* data = nullptr;
    std::uint64_t offset = 0, size = 0; ///< octets; at most 1 GiB is read or written in one call
    std::int64_t outcome = 0;           ///< as the system call's: octets, or an error number, negated

    explicit constexpr file_call(void (*done)(operation&) noexcept) noexcept : operation{done} {}

    /// Makes the call now, keeping everybody waiting; moves at most `most` octets.
    void make(std::size_t most) noexcept;
};

/// Calls on files, side by side, that nobody waits for: io_uring. What is begun in one turn of the loop goes to the
/// kernel in one system call.
class io_queue : input_source {
    struct ring_end {
        void operator()(io_uring* ring) const noexcept;
    };
    struct submission : operation {
        io_queue& home;
        explicit submission(io_queue& q) noexcept
            : operation{[](operation& self) noexcept { static_cast<submission&>(self).home.submit(); }}, home{q} {}
    };

    machine& home_;
    std::unique_ptr<io_uring, ring_end> ring_;
    intrusive_list<operation> waiting_;
    submission submission_{*this};
    std::uint32_t under_way_ = 0;

    void submit() noexcept;
    bool reap() noexcept;

public:
    static constexpr std::uint32_t depth = 128; ///< calls under way; the others wait

    explicit io_queue(machine& home) noexcept
        : input_source{[](input_source& self) noexcept { return static_cast<io_queue&>(self).reap(); }}, home_{home} {}
    ~io_queue();

    /// False: this kernel has no such thing, or does not let us use it.
    bool open() noexcept;
    explicit operator bool() const noexcept { return ring_ != nullptr; }

    /// Begins a call; the memory it is about stays until it is done, or withdraw() has returned.
    void begin(file_call& call) noexcept;
    /// Ends a call that was begun and is not done, in whatever state; waits for the kernel to let go of it.
    void withdraw(file_call& call) noexcept;
};

} // namespace mirage::host
