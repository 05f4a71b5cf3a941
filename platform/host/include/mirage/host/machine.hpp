// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/host/input_source.hpp"
#include "mirage/host/options.hpp"
#include "mirage/host/spin_policy.hpp"
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mirage::host {

/// What the devices of this platform stand on: the loop, the command line, and the wait for input. One per
/// process.
class machine {
    static constexpr unsigned max_sources = 64;

    instant start_; ///< of this process, on the kernel's monotonic clock
    scheduler loop_;
    options options_;
    spin_policy spin_;
    std::array<input_source*, max_sources> sources_{};
    unsigned source_count_ = 0;
    int stop_event_ = -1;

    std::uint64_t look() noexcept;
    std::uint64_t look_until(instant deadline) noexcept;
    std::uint64_t sleep_until(instant deadline) noexcept;
    void print_help(std::span<const os::device_entry> devices) const;

public:
    static constexpr std::string_view name = "host";

    /// From now on SIGINT and SIGTERM end the process from inside wait(), with status 128 + the signal's
    /// number.
    machine() noexcept;
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;
    ~machine();

    /// Takes the command line; the words outlive this. False: a word is wrong, and that has been said.
    bool arguments(std::span<char* const> words) { return options_.read(words); }

    /// The application's devices, before any is opened. An error: an option is for none of them; it has been
    /// said.
    result<> declare(std::span<const os::device_entry> devices) noexcept;

    scheduler& loop() noexcept { return loop_; }
    const options& given() const noexcept { return options_; }
    std::string_view command_line() const noexcept { return options_.keys(); }

    /// Time since the process started, in nanoseconds.
    instant now() const noexcept;

    /// Has wait() watch `source`, which outlives the last wait(). Its bit in the ready set; fewer than 64 of
    /// them.
    unsigned watch(input_source& source) noexcept;

    /// Bit n is set when the source that watch() numbered n may have input, or takes output again. Returns at
    /// once when one has, or when `deadline` has passed; otherwise sleeps until then.
    std::uint64_t wait(instant deadline) noexcept;

    [[noreturn]] void exit(int status) noexcept;
};

} // namespace mirage::host
