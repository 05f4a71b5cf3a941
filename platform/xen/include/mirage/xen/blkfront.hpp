// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/xen/blkfront/data_path.hpp"
#include "mirage/xen/xenbus.hpp"
#include <bit>
#include <xen/io/protocols.h>

namespace mirage::xen {

/// What a disk frontend counts.
struct blkfront_statistics {
    std::uint64_t requests = 0, indirect = 0;
    std::uint64_t granted = 0, copied = 0; ///< octets

    static constexpr auto table() noexcept {
        using s = blkfront_statistics;
        return statistics_table{"block_", statistic{&s::requests, "requests", "Requests put into the ring."},
                                statistic{&s::indirect, "indirect_requests", "Those with indirect segments."},
                                statistic{&s::granted, "granted_octets", "Octets that moved without a copy."},
                                statistic{&s::copied, "copied_octets", "Octets that were copied."}};
    }
};

/// BLOCK: a virtual disk (`disk = [...]`) of the domain `Domain`, over whatever backend the toolstack gives it.
///
/// A backend that restarts, or a resume elsewhere, is not noticed: what it had not answered is asked for again, in the
/// caller's memory, by the next one. When the toolstack takes the disk away, operations fail with errc::closed until it is
/// there again.
///
/// Whole pages of the caller's memory are granted, not copied, unless the backend keeps pages mapped
/// (`feature-persistent`): then all goes through pages that stay granted.
template <domain Domain>
class blkfront : frontend_driver {
    frontend bus_;
    blkfront_data_path<Domain> path_;
    task<> serving_, judging_;
    std::uint32_t sector_size_ = 0; ///< octets; of the first backend, and of all that follow
    bool persistent_ = true;

public:
    /// `persistent`: whether a backend may keep pages mapped, so that all data is copied through them.
    blkfront(Domain& home, const blkfront_sizes& sizes, bool persistent = true) noexcept
        : bus_{home, "vbd", *this}, path_{home, bus_.changed(), sizes}, persistent_{persistent} {}
    blkfront(const blkfront&) = delete;
    blkfront& operator=(const blkfront&) = delete;

    /// Connects disk `order`, counted by virtual device from 0; waits until it is up or cannot be. errc::not_found: there
    /// is no such disk; errc::no_buffers; errc::unsupported: its geometry cannot be.
    [[nodiscard]] task<result<>> connect(std::size_t order) {
        if (!serving_) {
            serving_ = serve();
            if (!serving_)
                return {}; // like any task that finds no memory
            serving_.start([](void*) noexcept {}, nullptr);
        }
        return bus_.connect(order);
    }
    const frontend& bus() const noexcept { return bus_; }
    const blkfront_data_path<Domain>& path() const noexcept { return path_; }

    std::uint64_t sectors() const noexcept { return path_.disk().sectors; }
    std::uint32_t sector_size() const noexcept { return path_.disk().sector_size; }
    bool read_only() const noexcept { return path_.disk().read_only; }
    bool removable() const noexcept { return path_.disk().removable; }
    std::uint32_t queue_depth() const noexcept { return path_.depth(); }
    blkfront_statistics statistics() const noexcept {
        return {path_.requests(), path_.indirect_requests(), path_.granted(), path_.copied()};
    }

    auto read(std::uint64_t sector, mutable_octets to) noexcept {
        return transfer{path_, checked_read(*this, sector, to)};
    }
    auto write(std::uint64_t sector, octets from) noexcept {
        return transfer{path_, checked_write(*this, sector, from)};
    }
    auto flush() noexcept { return transfer{path_, block_request{.action = block_action::flush}}; }
    auto discard(std::uint64_t sector, std::uint64_t count) noexcept {
        auto request = checked_discard(*this, sector, count);
        if (request && !path_.disk().discards)
            request = std::unexpected(block_error{errc::unsupported, sector});
        return transfer{path_, request};
    }

private:
    using transfer = typename blkfront_data_path<Domain>::transfer;

    /// Answers, as they come.
    task<> serve() {
        for (;;) {
            co_await path_.doorbell().wait();
            path_.turn();
        }
    }

    task<result<>> negotiate(frontend& bus) override {
        if (!path_.ready())
            co_return std::unexpected(errc::no_buffers);
        const std::uint64_t order = co_await bus.number_of("max-ring-page-order", 0);
        const std::uint32_t most = std::uint32_t{1} << std::min<std::uint64_t>(order, 4);
        co_return path_.open(bus.backend_id(), static_cast<std::uint16_t>(bus.number()), most);
    }

    task<result<>> publish(frontend& bus, store_transaction& t) override {
        const auto write = [&](std::string_view key, std::uint64_t value) -> task<result<>> {
            line<20> text;
            text << value;
            co_return co_await t.write({bus.path(), key}, text.view());
        };
        const std::uint32_t pages = path_.ring_pages();
        if (pages == 1) { // the only key that older backends know
            (void)co_await t.remove({bus.path(), "ring-page-order"});
            if (const auto r = co_await write("ring-ref", path_.ring_ref(0)); !r)
                co_return r;
        } else {
            if (const auto r = co_await write("ring-page-order", static_cast<unsigned>(std::countr_zero(pages))); !r)
                co_return r;
            for (std::uint32_t i = 0; i < pages; ++i) {
                line<16> key;
                key << "ring-ref" << i;
                if (const auto r = co_await write(key.view(), path_.ring_ref(i)); !r)
                    co_return r;
            }
        }
        if (const auto r = co_await write("event-channel", path_.port()); !r)
            co_return r;
        if (const auto r = co_await write("feature-persistent", persistent_); !r)
            co_return r;
        co_return co_await t.write({bus.path(), "protocol"}, XEN_IO_PROTO_ABI_NATIVE);
    }

    /// Capacity and numbers of sectors in requests are in units of 512 octets, whatever sector-size is: that is what all
    /// backends do, and what blkif.h says since Xen 4.20.
    task<result<std::uint64_t>> capacity() {
        const std::uint64_t units = co_await bus_.number_of("sectors", 0);
        if (units == 0 || units > (std::uint64_t{1} << 54))
            co_return std::unexpected(errc::unsupported);
        co_return units * 512 / sector_size_;
    }

    task<result<>> attend(frontend& bus, bool first) override {
        if (!first) { // a disk may be made larger while it is in use
            if (const auto sectors = co_await capacity())
                path_.resize(*sectors);
            co_return result<>{};
        }
        disk_properties d;
        const std::uint64_t size = co_await bus.number_of("sector-size", 512);
        if (size < 512 || size > 32'768 || !std::has_single_bit(size) || (sector_size_ != 0 && size != sector_size_))
            co_return std::unexpected(errc::unsupported);
        sector_size_ = d.sector_size = static_cast<std::uint32_t>(size);
        const auto sectors = co_await capacity();
        if (!sectors)
            co_return std::unexpected(sectors.error());
        d.sectors = *sectors;
        const std::uint64_t info = co_await bus.number_of("info", 0);
        const auto mode = co_await bus.store().read({bus.backend_path(), "mode"});
        d.read_only = (info & VDISK_READONLY) != 0 || (mode && mode->view() == "r");
        d.removable = (info & VDISK_REMOVABLE) != 0;
        d.flushes = co_await bus.number_of("feature-flush-cache", 0) == 1;
        d.barriers = co_await bus.number_of("feature-barrier", 0) == 1;
        d.discards = co_await bus.number_of("feature-discard", 0) == 1;
        d.persistent = persistent_ && co_await bus.number_of("feature-persistent", 0) == 1;
        const std::uint64_t segments = co_await bus.number_of("feature-max-indirect-segments", 0);
        d.segments = static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(segments, BLKIF_MAX_SEGMENTS_PER_REQUEST, blkfront_sizes::most_segments));
        judging_.reset();
        path_.serve(d);
        co_return result<>{};
    }

    /// Whether what is under way waits for another backend, or there will be none: our folder, or the backend's, is gone
    /// then, or the toolstack says so there.
    task<> judge() {
        for (;;) {
            const auto where = co_await bus_.store().read({bus_.path(), "backend"});
            bool there = where || where.error() != errc::not_found;
            if (where) {
                const auto online = co_await bus_.store().read({where->view(), "online"});
                there = online ? online->view() != "0" : online.error() != errc::not_found;
            }
            if (!there) {
                path_.depart();
                co_return;
            }
            co_await bus_.loop().sleep_for(std::chrono::seconds{1});
        }
    }

    void stop() noexcept {
        if (judging_ && !judging_.done())
            return;
        judging_ = judge();
        if (judging_)
            judging_.start([](void*) noexcept {}, nullptr);
    }
    bool disconnect() noexcept override {
        stop();
        return path_.close();
    }
    void forget() noexcept override {
        stop();
        path_.forget();
    }
    bool broken() const noexcept override { return path_.broken(); }
};

} // namespace mirage::xen
