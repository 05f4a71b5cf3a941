// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/device/block.hpp"
#include "mirage/host/machine.hpp"
#include <coroutine>
#include <string_view>

namespace mirage::host {

/// What every host::block is, whatever its name: a file or a disk, read and written where it stands.
/// Operations end before they are awaited: the loop waits for the disk.
class block_file {
    const machine& home_;
    std::string_view name_;
    int descriptor_ = -1;
    bool read_only_ = false;
    std::uint32_t sector_size_ = 512;
    std::uint64_t sectors_ = 0;

    /// The octets from `sector` on have to be on the disk.
    block_result range(std::uint64_t sector, std::size_t size) const noexcept;

    struct finished {
        block_result value;
        bool await_ready() const noexcept { return true; }
        void await_suspend(std::coroutine_handle<>) const noexcept {}
        block_result await_resume() const noexcept { return value; }
    };
    block_result read_now(std::uint64_t sector, mutable_octets to) const noexcept;
    block_result write_now(std::uint64_t sector, octets from) const noexcept;
    block_result flush_now() const noexcept;

public:
    block_file(const machine& home, std::string_view name) noexcept : home_{home}, name_{name} {}
    block_file(const block_file&) = delete;
    block_file& operator=(const block_file&) = delete;
    ~block_file();

    /// Opens what `--block:NAME=` says: for reading alone when it may not be written. An error has been said.
    result<> open() noexcept;

    std::uint64_t sectors() const noexcept { return sectors_; }
    std::uint32_t sector_size() const noexcept { return sector_size_; }
    bool read_only() const noexcept { return read_only_; }

    auto read(std::uint64_t sector, mutable_octets to) noexcept { return finished{read_now(sector, to)}; }
    auto write(std::uint64_t sector, octets from) noexcept { return finished{write_now(sector, from)}; }
    auto flush() noexcept { return finished{flush_now()}; }
};

/// BLOCK over a file: `--block:NAME=` on the command line says which.
template <fixed_string Name>
class block : public block_file {
    static constexpr auto text = Name;

public:
    static constexpr std::string_view name = text.view();
    explicit block(const machine& home) noexcept : block_file{home, name} {}
};

static_assert(mirage::block<block<"any">>);

} // namespace mirage::host
