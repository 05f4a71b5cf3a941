// SPDX-License-Identifier: MIT
#pragma once
#include "pattern.hpp"
#include <algorithm>
#include <memory>
#include <mirage/core/sha256.hpp>
#include <mirage/mirage.hpp>
#include <mirage/os/log_key.hpp>
#include <new>

/// What the disk is used for.
enum class disk_use : std::uint8_t { write, read };
constexpr std::string_view message(disk_use u) noexcept { return u == disk_use::write ? "write" : "read"; }

/// Tries a disk: writes all of an area and reads it back, then writes at random places, reads back what it wrote there,
/// and says how fast that was. At the end it gives the area's SHA-256, which the world outside can compare.
template <mirage::block Disk, mirage::clock Clk, mirage::random_source Rnd>
class disk {
public:
    static constexpr std::string_view name = "disk";
    static constexpr std::string_view summary = "overwrites a disk, reads it back, and says how fast it is";

    struct options {
        disk_use use = disk_use::write;
        std::uint32_t area = 64, writes = 1000, depth = 16;
        std::uint64_t seed = 0;
    };
    static constexpr auto keys = mirage::os::keys(
        mirage::os::log_key,
        mirage::os::key<&options::use, disk_use::write, disk_use::read>{"use", "what is done; read leaves it as it is"},
        mirage::os::key<&options::area>{"area", "MiB from the disk's beginning that are used"}.range(1, 1u << 30),
        mirage::os::key<&options::writes>{"writes", "how many random places are written"},
        mirage::os::key<&options::depth>{"depth", "operations under way at the same time"}.range(1, 256),
        mirage::os::key<&options::seed>{"seed", "chooses places and content; 0 is another one each time"});

    disk(Disk& device, Clk& clock, Rnd& random) noexcept : disk_{device}, clock_{clock}, random_{random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        ctx_ = &ctx;
        chunk_ = std::max<std::uint64_t>(65'536 / disk_.sector_size(), 1);
        sectors_ = std::min<std::uint64_t>(disk_.sectors(), (std::uint64_t{chosen.area} << 20) / disk_.sector_size());
        depth_ = chosen.depth;
        if (chosen.use == disk_use::write && disk_.read_only()) {
            ctx.log.error() << "the disk is read-only; --use=read leaves it as it is";
            co_return 1;
        }
        const std::size_t room = depth_ * chunk_ * disk_.sector_size();
        memory_.reset(static_cast<std::byte*>(::operator new(room, std::align_val_t{alignment}, std::nothrow)));
        if (memory_ == nullptr || sectors_ == 0) {
            ctx.log.error() << (sectors_ == 0 ? "the disk is too small" : "too little memory; --depth makes do with less");
            co_return 1;
        }
        const bool good =
            chosen.use == disk_use::write ? co_await write_and_read(chosen) : co_await only_read();
        co_return good && co_await digest() ? 0 : 1;
    }

private:
    static constexpr std::size_t alignment = 4096;
    struct aligned {
        void operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t{alignment}); }
    };

    Disk& disk_;
    Clk& clock_;
    Rnd& random_;
    mirage::os::context* ctx_ = nullptr;
    std::unique_ptr<std::byte, aligned> memory_;
    std::uint64_t chunk_ = 0, sectors_ = 0; ///< sectors
    std::uint32_t depth_ = 0;
    std::uint64_t moved_ = 0, operations_ = 0;
    bool failed_ = false;

    mirage::mutable_octets buffer(std::uint32_t n, std::uint64_t count) const noexcept {
        const std::size_t unit = disk_.sector_size();
        return {memory_.get() + n * chunk_ * unit, static_cast<std::size_t>(count) * unit};
    }

    void failed(std::string_view what, mirage::block_error e) noexcept {
        if (!failed_)
            ctx_->log.error() << "sector " << e.sector << " cannot be " << what << ": " << e.code;
        failed_ = true;
    }

    /// Writes or reads what `places` has left. What is read has to be as `expected`, where that is given.
    template <class Places>
    mirage::task<> work(Places& places, const pattern* expected, bool writes, std::uint32_t number) {
        while (const auto place = failed_ ? std::nullopt : places.next()) {
            const auto room = buffer(number, place->count);
            if (writes)
                expected->fill(*place, room);
            const auto done =
                writes ? co_await disk_.write(place->sector, room) : co_await disk_.read(place->sector, room);
            if (!done)
                co_return failed(writes ? "written" : "read", done.error());
            ++operations_;
            moved_ += room.size();
            if (writes || expected == nullptr)
                continue;
            if (const auto wrong = expected->differs(*place, room); wrong && !failed_) {
                ctx_->log.error() << "sector " << *wrong << " holds something else than was written";
                failed_ = true;
            }
        }
    }

    /// Does all of `places`, and says how long that took. False: something failed, and that has been said.
    template <class Places>
    mirage::task<bool> pass(std::string_view what, Places places, const pattern* expected, bool writes) {
        const mirage::instant begin = clock_.now();
        moved_ = operations_ = 0;
        {
            mirage::nursery tasks{ctx_->loop};
            for (std::uint32_t i = 0; i < depth_; ++i)
                if (!tasks.spawn(work(places, expected, writes, i)) && tasks.empty()) {
                    ctx_->log.error() << "too little memory";
                    co_return false;
                }
            co_await tasks.wait_all();
        }
        if (writes && !failed_)
            if (const auto done = co_await disk_.flush(); !done)
                failed("made durable", done.error());
        if (failed_)
            co_return false;
        const mirage::duration took = clock_.now() - begin;
        const auto us = static_cast<std::uint64_t>(took.count() / 1000) + 1;
        ctx_->log.info() << what << ": " << operations_ << " operations, " << (moved_ >> 10) << " KiB in " << took << ", "
                         << operations_ * 1'000'000 / us << "/s, " << (moved_ * 1'000'000 / us >> 20) << " MiB/s";
        co_return true;
    }

    mirage::task<bool> write_and_read(const options& chosen) {
        const std::uint64_t seed =
            chosen.seed != 0 ? chosen.seed : mirage::random_integer<std::uint64_t>(random_);
        const pattern first{seed, disk_.sector_size()}, second{~seed, disk_.sector_size()};
        const in_order all{sectors_, chunk_};
        const at_random some{seed, sectors_, chunk_, chosen.writes};
        co_return co_await pass("written in order", all, &first, true)
            && co_await pass("read in order", all, &first, false)
            && co_await pass("written at random", some, &second, true)
            && co_await pass("read at random", some, &second, false);
    }

    mirage::task<bool> only_read() {
        co_return co_await pass("read in order", in_order{sectors_, chunk_}, nullptr, false);
    }

    mirage::task<bool> digest() {
        mirage::sha256 sum;
        in_order all{sectors_, chunk_};
        while (const auto place = all.next()) {
            const auto room = buffer(0, place->count);
            if (const auto done = co_await disk_.read(place->sector, room); !done) {
                failed("read", done.error());
                co_return false;
            }
            sum.update(room);
        }
        const auto text = mirage::to_hex(sum.finish());
        ctx_->log.info() << "all is well; SHA-256 of the first " << sectors_ * disk_.sector_size()
                         << " octets: " << std::string_view{text.data(), text.size()};
        co_return true;
    }
};
