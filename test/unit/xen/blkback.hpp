// SPDX-License-Identifier: MIT
// A disk's backend in memory, which serves the ring of a blkfront as Linux's blkback does, and can be told to serve it
// badly.
#pragma once
#include "backend.hpp"
#include <algorithm>
#include <bit>
#include <map>
#include <set>

namespace mirage::xen::test {

/// A domain in memory that can wait inside of an operation, as the platform can.
class block_domain : public memory_domain {
    unsigned waits_ = 0;

public:
    std::function<void()> on_wait = [] {};
    void wait(instant) noexcept {
        check(++waits_ < 100'000, "block_domain: waits for ever");
        on_wait();
        for (auto& other : others)
            (void)other();
    }
};
static_assert(domain<block_domain>);

struct disk_features {
    std::uint64_t sectors = 2048; ///< of 512 octets
    std::uint32_t sector_size = 512;
    unsigned ring_order = 0, indirect = 0;
    bool persistent = false, read_only = false, flush = true, barrier = false, discard = true;
};

/// One request, as the backend has understood it.
struct seen_request {
    unsigned operation = 0;
    std::uint64_t sector = 0, count = 0; ///< of 512 octets
    bool indirect = false;
};

class blkback {
    block_domain& home_;
    disk_features features_;
    std::byte* ring_ = nullptr;
    std::uint32_t entries_ = 0, taken_ = 0;
    evtchn_port_t port_ = 0;
    bool persistent_ = false;
    std::map<grant_ref_t, std::byte*> kept_; ///< pages mapped for good
    std::vector<grant_ref_t> ring_refs_;

    blkif_sring& shared() const { return *reinterpret_cast<blkif_sring*>(ring_); }
    std::byte* entry(std::uint32_t i) const {
        return ring_ + offsetof(blkif_sring, ring) + (i & (entries_ - 1)) * sizeof(blkif_sring_entry);
    }

public:
    backend bus;
    std::vector<std::byte> content;
    std::set<std::uint64_t> bad;       ///< sectors of 512 octets that cannot be had
    bool held = false;                 ///< requests are not looked at
    bool reverse = false;              ///< answers come in the opposite order
    bool forgets_to_unmap = false;     ///< keeps what it should not
    bool refuses_flush = false;
    std::vector<seen_request> seen{};
    unsigned wrong = 0;                ///< requests that no backend would take

    blkback(block_domain& home, disk_features f = {}, unsigned number = 51712)
        : home_{home}, features_{f}, bus{home, "vbd", number}, content(f.sectors * 512) {
        bus.offer = [this] { offer(); };
        bus.connect = [this] { return connect(); };
        bus.disconnect = [this] { disconnect(); };
        home_.others.push_back([this] { return serve(); });
    }

    void set(std::string_view key, std::uint64_t value) { home_.daemon.set(bus.back(key), std::to_string(value)); }
    std::uint64_t front(std::string_view key) const {
        const auto text = home_.daemon.get(bus.front(key));
        return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
    }

    void offer() {
        set("max-ring-page-order", features_.ring_order);
        set("feature-persistent", features_.persistent);
        set("feature-flush-cache", features_.flush);
        set("feature-barrier", features_.barrier);
        set("feature-discard", features_.discard);
        if (features_.indirect != 0)
            set("feature-max-indirect-segments", features_.indirect);
        set("sectors", features_.sectors);
        set("sector-size", features_.sector_size);
        set("info", features_.read_only ? VDISK_READONLY : 0u);
    }
    bool connect() {
        const bool many = home_.daemon.has(bus.front("ring-page-order"));
        const auto order = many ? front("ring-page-order") : 0;
        ring_refs_.clear();
        for (unsigned i = 0; i < 1u << order; ++i)
            ring_refs_.push_back(static_cast<grant_ref_t>(front(many ? "ring-ref" + std::to_string(i) : "ring-ref")));
        for (const auto ref : ring_refs_) {
            std::byte* const page = home_.book.map(ref, true);
            if (page == nullptr)
                return false;
            if (ref == ring_refs_.front())
                ring_ = page; // the frontend's pages are in one piece
        }
        entries_ = std::bit_floor(static_cast<std::uint32_t>((ring_refs_.size() * 4096 - offsetof(blkif_sring, ring))
                                                             / sizeof(blkif_sring_entry)));
        port_ = static_cast<evtchn_port_t>(front("event-channel"));
        persistent_ = features_.persistent && front("feature-persistent") == 1;
        taken_ = 0;
        return true;
    }
    void disconnect() {
        unmap_kept();
        for (const auto ref : ring_refs_)
            home_.book.unmap(ref);
        ring_refs_.clear();
        ring_ = nullptr;
    }
    void unmap_kept() {
        for (const auto& [ref, page] : kept_)
            home_.book.unmap(ref);
        kept_.clear();
    }
    bool connected() const { return ring_ != nullptr; }
    std::uint32_t entries() const { return entries_; }

    /// Writes whatever answer, after the true ones; and shows it.
    void answer(std::uint64_t id, std::int16_t status, std::uint8_t operation = BLKIF_OP_READ) {
        const blkif_response r{.id = id, .operation = operation, .status = status};
        std::memcpy(entry(shared().rsp_prod), &r, sizeof r);
        claim(1);
    }
    void claim(std::uint32_t more) {
        std::atomic_ref{shared().rsp_prod}.store(shared().rsp_prod + more);
        (void)home_.channels.fire(port_);
    }
    std::uint32_t waiting() const { return connected() ? std::atomic_ref{shared().req_prod}.load() - taken_ : 0; }

    bool serve() {
        if (!connected() || held || waiting() == 0)
            return false;
        struct reply {
            std::uint64_t id;
            std::uint8_t operation;
            std::int16_t status;
        };
        std::vector<reply> replies;
        while (waiting() > 0) {
            blkif_request r;
            std::memcpy(&r, entry(taken_++), sizeof r);
            const auto status = perform(r);
            replies.push_back({reinterpret_cast<blkif_request_indirect&>(r).id, r.operation, status});
        }
        if (reverse)
            std::ranges::reverse(replies);
        for (const reply& r : replies)
            answer(r.id, r.status, r.operation);
        if (connected()) // an answer may have been the last straw
            std::atomic_ref{shared().req_event}.store(taken_ + 1);
        return true;
    }

private:
    std::byte* map(grant_ref_t ref, bool write) {
        if (persistent_ || forgets_to_unmap) {
            if (const auto found = kept_.find(ref); found != kept_.end())
                return found->second;
            std::byte* const page = home_.book.map(ref, write || persistent_);
            if (page != nullptr)
                kept_[ref] = page;
            return page;
        }
        return home_.book.map(ref, write);
    }
    void unmap(grant_ref_t ref) {
        if (!kept_.contains(ref))
            home_.book.unmap(ref);
    }

    std::int16_t perform(const blkif_request& r) {
        if (r.operation == BLKIF_OP_DISCARD) {
            const auto& d = reinterpret_cast<const blkif_request_discard&>(r);
            seen.push_back({r.operation, d.sector_number, d.nr_sectors});
            if (!features_.discard)
                return BLKIF_RSP_EOPNOTSUPP;
            if (d.sector_number > features_.sectors || d.nr_sectors > features_.sectors - d.sector_number)
                return BLKIF_RSP_ERROR;
            std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(d.sector_number * 512), d.nr_sectors * 512,
                        std::byte{0});
            return BLKIF_RSP_OKAY;
        }
        if (r.operation == BLKIF_OP_FLUSH_DISKCACHE || r.operation == BLKIF_OP_WRITE_BARRIER) {
            seen.push_back({r.operation});
            return refuses_flush ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_OKAY;
        }
        if (r.operation == BLKIF_OP_INDIRECT) {
            const auto& i = reinterpret_cast<const blkif_request_indirect&>(r);
            std::byte* const page = map(i.indirect_grefs[0], false);
            if (page == nullptr || i.nr_segments > features_.indirect || i.nr_segments > 512) {
                ++wrong;
                return BLKIF_RSP_ERROR;
            }
            std::vector<blkif_request_segment> list(i.nr_segments);
            std::memcpy(list.data(), page, list.size() * sizeof list[0]);
            unmap(i.indirect_grefs[0]);
            return transfer(i.indirect_op, i.sector_number, list, true);
        }
        if (r.nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
            ++wrong;
            return BLKIF_RSP_ERROR;
        }
        return transfer(r.operation, r.sector_number, {r.seg, r.seg + r.nr_segments}, false);
    }

    std::int16_t transfer(unsigned operation, std::uint64_t sector, const std::vector<blkif_request_segment>& list,
                          bool indirect) {
        seen_request about{operation, sector, 0, indirect};
        std::int16_t status = BLKIF_RSP_OKAY;
        if (operation != BLKIF_OP_READ && operation != BLKIF_OP_WRITE)
            ++wrong;
        for (const auto& s : list) {
            std::byte* const page = map(s.gref, operation == BLKIF_OP_READ);
            if (page == nullptr || s.first_sect > s.last_sect || s.last_sect > 7 || sector >= features_.sectors) {
                ++wrong;
                return BLKIF_RSP_ERROR;
            }
            for (unsigned i = s.first_sect; i <= s.last_sect; ++i, ++sector, ++about.count) {
                if (sector >= features_.sectors || bad.contains(sector)
                    || (operation == BLKIF_OP_WRITE && features_.read_only)) {
                    status = BLKIF_RSP_ERROR;
                    continue;
                }
                std::byte *const here = &content[sector * 512], *const there = page + i * 512;
                if (operation == BLKIF_OP_READ)
                    std::memcpy(there, here, 512);
                else
                    std::memcpy(here, there, 512);
            }
            unmap(s.gref);
        }
        if (about.count % (features_.sector_size / 512) != 0 || about.sector % (features_.sector_size / 512) != 0)
            ++wrong;
        seen.push_back(about);
        return status;
    }
};

} // namespace mirage::xen::test
