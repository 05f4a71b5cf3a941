// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/device/block.hpp"
#include <array>
#include <cstring>
#include <new>

namespace mirage::memory {

/// BLOCK in memory. Keeps two copies, what was written and what is durable, so that a test can cut the power;
/// fails where it is told to. An operation completes from the loop, `latency` after it was begun.
class ram_disk {
public:
    enum class access : std::uint8_t { reads = 1, writes = 2, both = 3 };
    struct options {
        std::uint64_t sectors = 2048;
        std::uint32_t sector_size = 512; ///< octets
        bool read_only = false;
        duration latency{};
    };

private:
    struct fault {
        std::uint64_t first = 0, count = 0;
        access on = access::both;
    };

    scheduler& home_;
    options options_;
    std::byte* written_ = nullptr;
    std::byte* durable_ = nullptr;
    std::array<fault, 16> faults_{};
    std::size_t fault_count_ = 0;
    bool flush_fails_ = false;
    std::uint64_t reads_ = 0, writes_ = 0, flushes_ = 0;

    std::size_t size() const noexcept {
        return static_cast<std::size_t>(options_.sectors) * options_.sector_size;
    }

    /// How many of `count` sectors from `first` can be had before the first faulty one.
    std::uint64_t sound(std::uint64_t first, std::uint64_t count, access how) const noexcept {
        for (std::size_t i = 0; i < fault_count_; ++i) {
            const fault& f = faults_[i];
            if ((static_cast<unsigned>(f.on) & static_cast<unsigned>(how)) == 0 || f.first + f.count <= first)
                continue;
            const std::uint64_t ahead = f.first > first ? f.first - first : 0;
            count = ahead < count ? ahead : count;
        }
        return count;
    }

    template <class Transfer>
    block_result transfer(std::uint64_t sector, std::size_t length, access how, Transfer move) const noexcept {
        const auto fail = [](errc e, std::uint64_t at) { return block_result{std::unexpected(block_error{e, at})}; };
        if (how == access::writes && options_.read_only)
            return fail(errc::read_only, sector);
        if (length % options_.sector_size != 0)
            return fail(errc::invalid_argument, sector);
        const std::uint64_t count = length / options_.sector_size;
        if (sector > options_.sectors || count > options_.sectors - sector)
            return fail(errc::too_large, sector);
        const std::uint64_t good = sound(sector, count, how);
        if (good != 0)
            move(written_ + sector * options_.sector_size, static_cast<std::size_t>(good) * options_.sector_size);
        return good == count ? block_result{} : fail(errc::io, sector + good);
    }

    block_result finish_read(std::uint64_t sector, mutable_octets to) noexcept {
        ++reads_;
        return transfer(sector, to.size(), access::reads,
                        [to](const std::byte* from, std::size_t n) { std::memcpy(to.data(), from, n); });
    }
    block_result finish_write(std::uint64_t sector, octets from) noexcept {
        ++writes_;
        return transfer(sector, from.size(), access::writes,
                        [from](std::byte* to, std::size_t n) { std::memcpy(to, from.data(), n); });
    }
    block_result finish_flush() noexcept {
        ++flushes_;
        if (flush_fails_)
            return std::unexpected(block_error{errc::io, 0});
        if (size() != 0)
            std::memcpy(durable_, written_, size());
        return {};
    }

    /// Waits, then does `Finish`. Nothing touches the caller's memory once the awaiter is destroyed.
    template <class Finish>
    class [[nodiscard]] pending : timer, resumption {
        ram_disk& disk_;
        Finish finish_;

    public:
        pending(ram_disk& disk, Finish finish) noexcept
            : timer{[](timer& self) noexcept {
                  auto& p = static_cast<pending&>(self);
                  p.disk_.home_.post(p);
              }},
              disk_{disk}, finish_{finish} {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            set(h);
            if (disk_.options_.latency > duration::zero())
                disk_.home_.arm(*this, disk_.home_.now() + disk_.options_.latency);
            else
                disk_.home_.post(*this);
        }
        block_result await_resume() noexcept { return finish_(); }
    };

public:
    /// All zero. When memory is short the disk has no sector.
    explicit ram_disk(scheduler& home, options o) noexcept : home_{home}, options_{o} {
        const std::size_t wanted = size();
        written_ = new (std::nothrow) std::byte[wanted]{};
        durable_ = new (std::nothrow) std::byte[wanted]{};
        if (written_ == nullptr || durable_ == nullptr)
            options_.sectors = 0;
    }
    explicit ram_disk(scheduler& home) noexcept : ram_disk{home, options{}} {}
    ram_disk(const ram_disk&) = delete;
    ram_disk& operator=(const ram_disk&) = delete;
    ~ram_disk() {
        delete[] written_;
        delete[] durable_;
    }

    std::uint64_t sectors() const noexcept { return options_.sectors; }
    std::uint32_t sector_size() const noexcept { return options_.sector_size; }
    bool read_only() const noexcept { return options_.read_only; }

    auto read(std::uint64_t sector, mutable_octets to) noexcept {
        return pending{*this, [this, sector, to]() noexcept { return finish_read(sector, to); }};
    }
    auto write(std::uint64_t sector, octets from) noexcept {
        return pending{*this, [this, sector, from]() noexcept { return finish_write(sector, from); }};
    }
    auto flush() noexcept {
        return pending{*this, [this]() noexcept { return finish_flush(); }};
    }

    /// Lets `count` sectors from `first` fail with errc::io from now on. At most 16 such ranges; false: no room.
    bool fail(std::uint64_t first, std::uint64_t count = 1, access on = access::both) noexcept {
        if (fault_count_ == faults_.size())
            return false;
        faults_[fault_count_++] = {first, count, on};
        return true;
    }
    void fail_flush(bool fails = true) noexcept { flush_fails_ = fails; }
    /// Everything works again.
    void repair() noexcept {
        fault_count_ = 0;
        flush_fails_ = false;
    }

    /// Loses what was written since the last flush.
    void power_cut() noexcept {
        if (size() != 0)
            std::memcpy(written_, durable_, size());
    }

    /// What the disk holds, durable or not; for images prepared by a test.
    mutable_octets contents() noexcept { return {written_, size()}; }

    std::uint64_t reads() const noexcept { return reads_; }     ///< operations completed, failed ones too
    std::uint64_t writes() const noexcept { return writes_; }
    std::uint64_t flushes() const noexcept { return flushes_; }
};

static_assert(block<ram_disk>);

} // namespace mirage::memory
