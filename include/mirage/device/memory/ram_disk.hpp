// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/device/block_request.hpp"
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
        std::uint32_t queue_depth = 32; ///< operations under way; the others wait
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
    std::uint64_t reads_ = 0, writes_ = 0, flushes_ = 0, discards_ = 0;
    std::uint32_t under_way_ = 0;
    intrusive_list<operation> waiting_;

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

    /// Does the request up to its first faulty sector.
    block_result serve(const block_request& r) noexcept {
        const bool reads = r.action == block_action::read;
        ++(reads ? reads_ : r.action == block_action::write ? writes_ : discards_);
        const std::uint64_t good = sound(r.sector, r.count, reads ? access::reads : access::writes);
        const std::size_t octets = static_cast<std::size_t>(good) * options_.sector_size;
        std::byte* const at = written_ + r.sector * options_.sector_size;
        if (good != 0) {
            if (reads)
                std::memcpy(r.data, at, octets);
            else if (r.action == block_action::write)
                std::memcpy(at, r.data, octets);
            else
                std::memset(at, 0, octets);
        }
        return good == r.count ? block_result{} : std::unexpected(block_error{errc::io, r.sector + good});
    }

    block_result finish_flush() noexcept {
        ++flushes_;
        if (flush_fails_)
            return std::unexpected(block_error{errc::io, 0});
        if (size() != 0)
            std::memcpy(durable_, written_, size());
        return {};
    }

    /// Waits for its turn, then for the latency, and is done in the moment it is resumed. Nothing touches the caller's
    /// memory once it is destroyed.
    class [[nodiscard]] pending : timer, resumption {
        friend ram_disk;
        ram_disk& disk_;
        std::expected<block_request, block_error> request_;
        bool begun_ = false;

        void begin() noexcept {
            begun_ = true;
            ++disk_.under_way_;
            if (disk_.options_.latency > duration::zero())
                disk_.home_.arm(*this, disk_.home_.now() + disk_.options_.latency);
            else
                disk_.home_.post(*this);
        }
        void end() noexcept {
            if (!begun_)
                return;
            begun_ = false;
            --disk_.under_way_;
            if (auto* const next = disk_.waiting_.pop_front(); next != nullptr)
                static_cast<pending*>(next)->begin();
        }

    public:
        pending(ram_disk& on, const std::expected<block_request, block_error>& request) noexcept
            : timer{[](timer& self) noexcept {
                  auto& p = static_cast<pending&>(self);
                  p.disk_.home_.post(p);
              }},
              disk_{on}, request_{request} {}
        pending(const pending&) = delete;
        pending& operator=(const pending&) = delete;
        ~pending() { end(); }

        bool await_ready() const noexcept { return !request_; }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            set(h);
            if (disk_.under_way_ < disk_.options_.queue_depth)
                begin();
            else
                disk_.waiting_.push_back(*this);
        }
        block_result await_resume() noexcept {
            if (!request_)
                return std::unexpected(request_.error());
            const auto outcome =
                request_->action == block_action::flush ? disk_.finish_flush() : disk_.serve(*request_);
            end();
            return outcome;
        }
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

    std::uint32_t queue_depth() const noexcept { return options_.queue_depth; }

    auto read(std::uint64_t sector, mutable_octets to) noexcept {
        return pending{*this, checked_read(*this, sector, to)};
    }
    auto write(std::uint64_t sector, octets from) noexcept {
        return pending{*this, checked_write(*this, sector, from)};
    }
    auto flush() noexcept { return pending{*this, block_request{.action = block_action::flush}}; }
    /// What was there reads as zero.
    auto discard(std::uint64_t sector, std::uint64_t count) noexcept {
        return pending{*this, checked_discard(*this, sector, count)};
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
    std::uint64_t discards() const noexcept { return discards_; }
    std::uint32_t under_way() const noexcept { return under_way_; } ///< operations begun and not ended
};

static_assert(discarding_block<ram_disk>);

} // namespace mirage::memory
