// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/xen/hypercall.hpp"
#include "mirage/xen/layout.h"
#include "mirage/xen/machine.hpp"
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace mirage::xen {

/// What a peer may do with a granted page.
enum class access : std::uint16_t { read_write = 0, read_only = GTF_readonly };

/// The domain's grant table, version 1: an entry of eight octets for each page that another domain may use. Free entries
/// hang on a list in their own memory, so that taking and giving back one is a few instructions and costs no memory. The
/// table grows by a page, that is 512 references, when it has none left, up to what Xen allows (64 pages as a rule).
class grant_table {
    static constexpr std::uint32_t entries_per_page = PAGE_SIZE / sizeof(grant_entry_v1);
    static constexpr std::size_t most_pages = 64;
    static constexpr grant_ref_t none = 0; ///< reference 0 is the console's: never in the pool

    std::array<grant_entry_v1*, most_pages> pages_{};
    std::uint32_t page_count_ = 0;
    std::uint32_t page_limit_ = 0; ///< 0: not asked for yet
    grant_ref_t free_ = none;
    std::uint32_t free_count_ = 0;
    std::uint32_t in_use_ = 0;

    grant_entry_v1& entry(grant_ref_t ref) const noexcept {
        return pages_[ref / entries_per_page][ref % entries_per_page];
    }

    void put_back(grant_ref_t ref) noexcept {
        entry(ref).flags = GTF_invalid; // a table that is opened again may hold what was granted before
        entry(ref).frame = free_;
        free_ = ref;
        ++free_count_;
    }

    std::uint32_t limit() noexcept {
        if (page_limit_ == 0) {
            gnttab_query_size query{};
            query.dom = DOMID_SELF;
            const bool answered = grant_table_op(GNTTABOP_query_size, &query, 1) == 0 && query.status == GNTST_okay;
            const std::uint32_t allowed = answered ? query.max_nr_frames : 1;
            page_limit_ = allowed < most_pages ? allowed : most_pages;
        }
        return page_limit_;
    }

    /// Puts page `index` of the table where `page` is, and its entries into the pool.
    bool add(std::uint32_t index, void* page) noexcept {
        if (!map_xen_page(XENMAPSPACE_grant_table, index, frame_of(page)))
            return false;
        pages_[index] = static_cast<grant_entry_v1*>(page);
        const grant_ref_t first = index * entries_per_page;
        // From the last down, so that the list begins with the first.
        for (grant_ref_t ref = first + entries_per_page; ref-- > first && ref >= GNTTAB_NR_RESERVED_ENTRIES;)
            put_back(ref);
        return true;
    }

    [[gnu::noinline]] bool grow() noexcept {
        if (page_count_ == limit())
            return false;
        // Xen takes this page of RAM back and puts its own in its place, for the rest of the domain's life.
        void* const page = ::operator new(PAGE_SIZE, std::align_val_t{PAGE_SIZE}, std::nothrow);
        if (page == nullptr)
            return false;
        if (!add(page_count_, page)) {
            ::operator delete(page, std::align_val_t{PAGE_SIZE});
            page_limit_ = page_count_;
            return false;
        }
        if (page_count_++ == 0)
            this_machine.before_exit(say_what_was_forgotten);
        return true;
    }

    static void say_what_was_forgotten() noexcept;

public:
    constexpr grant_table() noexcept = default;
    grant_table(const grant_table&) = delete;
    grant_table& operator=(const grant_table&) = delete;

    /// Lets `peer` use the page at `page`, aligned to its size, until end(). errc::no_buffers: Xen allows no more
    /// references, or memory is short.
    result<grant_ref_t> grant(domid_t peer, const void* page, access allowed) noexcept {
        if (free_ == none && !grow())
            return std::unexpected(errc::no_buffers);
        const grant_ref_t ref = free_;
        grant_entry_v1& e = entry(ref);
        free_ = e.frame;
        --free_count_;
        ++in_use_;
        e.domid = peer;
        e.frame = static_cast<std::uint32_t>(frame_of(page));
        // The entry is valid from here on.
        std::atomic_ref{e.flags}.store(static_cast<std::uint16_t>(GTF_permit_access | static_cast<unsigned>(allowed)),
                                       std::memory_order_release);
        return ref;
    }

    /// Takes the page back. False: the peer has it mapped still, so that neither the page nor the reference may be used
    /// for anything else; ask again later.
    bool end(grant_ref_t ref) noexcept {
        const std::atomic_ref flags{entry(ref).flags};
        std::uint16_t now = flags.load(std::memory_order_relaxed);
        do
            if ((now & (GTF_reading | GTF_writing)) != 0)
                return false;
        while (!flags.compare_exchange_weak(now, GTF_invalid, std::memory_order_seq_cst));
        --in_use_;
        put_back(ref);
        return true;
    }

    /// Whether the peer has the page mapped now.
    bool mapped(grant_ref_t ref) const noexcept {
        return (std::atomic_ref{entry(ref).flags}.load(std::memory_order_relaxed) & (GTF_reading | GTF_writing)) != 0;
    }

    /// How many more references there are, memory permitting.
    std::size_t available() noexcept {
        const std::size_t reserved = page_count_ == 0 ? GNTTAB_NR_RESERVED_ENTRIES : 0;
        return free_count_ + std::size_t{limit() - page_count_} * entries_per_page - reserved;
    }

    /// References that grant() gave and end() has not got back.
    std::size_t in_use() const noexcept { return in_use_; }

    /// References in use that the peer has not mapped: at the end of an application whose devices have been closed, those
    /// that nobody gave back. (What a peer has mapped it may keep until it sees that the device is closing.)
    std::size_t forgotten() const noexcept {
        std::size_t count = 0;
        for (grant_ref_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < page_count_ * entries_per_page; ++ref)
            count += entry(ref).flags != GTF_invalid && !mapped(ref);
        return count;
    }

    /// After a resume elsewhere: the table there is empty. What was granted is not any more, and all references are back
    /// in the pool; whoever held one forgets it.
    void reopen() noexcept {
        free_ = none;
        free_count_ = in_use_ = 0;
        page_limit_ = 0;
        for (std::uint32_t i = page_count_; i-- > 0;)
            check(add(i, pages_[i]), "xen: no grant table after the resume");
    }
};

inline constinit grant_table this_grants;

/// A leak is a defect of a driver: it is said, so that tests see it.
inline void grant_table::say_what_was_forgotten() noexcept {
    if (this_grants.forgotten() != 0)
        this_machine.console().write("xen: grants were not given back\n");
}

} // namespace mirage::xen
