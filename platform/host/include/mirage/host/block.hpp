// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/device/block_request.hpp"
#include "mirage/host/io_queue.hpp"
#include "mirage/host/machine.hpp"
#include <coroutine>
#include <string_view>

namespace mirage::host {

/// What every host::block is, whatever its name: a file or a disk. Where the kernel has io_uring, nobody waits for the
/// disk; elsewhere the loop does, for a quarter of a MiB at a time.
class block_file {
    static constexpr std::size_t most_at_once = 256 << 10;

    class [[nodiscard]] transfer : file_call {
        block_file& disk_;
        std::expected<block_request, block_error> request_;
        std::coroutine_handle<> waiting_;

        void begin() noexcept;
        void done() noexcept;
        bool goes_on() noexcept;

    public:
        transfer(block_file& on, const std::expected<block_request, block_error>& request) noexcept;
        transfer(const transfer&) = delete;
        transfer& operator=(const transfer&) = delete;
        ~transfer();

        /// True for what is refused, and for nothing.
        bool await_ready() const noexcept;
        void await_suspend(std::coroutine_handle<> h) noexcept;
        block_result await_resume() const noexcept {
            return request_ ? block_result{} : block_result{std::unexpected(request_.error())};
        }
    };

    machine& home_;
    std::string_view name_;
    io_queue queue_;
    int descriptor_ = -1;
    bool read_only_ = false;
    std::uint32_t sector_size_ = 512;
    std::uint64_t sectors_ = 0;

public:
    /// How the file is reached.
    enum class engine : std::uint8_t { best, calls }; ///< io_uring where it is there; system calls in any case

    block_file(machine& home, std::string_view name) noexcept : home_{home}, name_{name}, queue_{home} {}
    block_file(const block_file&) = delete;
    block_file& operator=(const block_file&) = delete;
    ~block_file();

    /// Opens what `--block:NAME=` says: for reading alone when it may not be written. An error has been said.
    result<> open(engine how = engine::best) noexcept;

    std::uint64_t sectors() const noexcept { return sectors_; }
    std::uint32_t sector_size() const noexcept { return sector_size_; }
    bool read_only() const noexcept { return read_only_; }
    std::uint32_t queue_depth() const noexcept { return queue_ ? io_queue::depth : 1; }

    auto read(std::uint64_t sector, mutable_octets to) noexcept {
        return transfer{*this, checked_read(*this, sector, to)};
    }
    auto write(std::uint64_t sector, octets from) noexcept {
        return transfer{*this, checked_write(*this, sector, from)};
    }
    auto flush() noexcept { return transfer{*this, block_request{.action = block_action::flush}}; }
    /// Gives the room back to the file system or the disk, where those can take it.
    auto discard(std::uint64_t sector, std::uint64_t count) noexcept {
        return transfer{*this, checked_discard(*this, sector, count)};
    }
};

/// BLOCK over a file: `--block:NAME=` on the command line says which.
template <fixed_string Name>
class block : public block_file {
    static constexpr auto text = Name;

public:
    static constexpr std::string_view name = text.view();
    explicit block(machine& home) noexcept : block_file{home, name} {}
};

static_assert(mirage::discarding_block<block<"any">>);

} // namespace mirage::host
