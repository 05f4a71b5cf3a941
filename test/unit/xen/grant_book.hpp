// SPDX-License-Identifier: MIT
// A grant table in memory: what is granted, to whom, and what a backend has mapped.
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/xen/grants.hpp"
#include <map>
#include <vector>

namespace mirage::xen::test {

class grant_book {
    struct entry {
        std::byte* page = nullptr;
        domid_t peer = 0;
        bool writable = false;
        unsigned mapped = 0;
    };
    std::map<grant_ref_t, entry> entries_;
    std::vector<grant_ref_t> free_;
    grant_ref_t next_ = 8;

public:
    std::size_t limit = 100'000;   ///< references there are
    std::size_t granted = 0;       ///< times
    std::size_t refused_ends = 0;  ///< end() while a page was mapped
    domid_t peer = 0;              ///< the domain that map() is for

    // What the domain has.
    result<grant_ref_t> grant(domid_t to, const void* page, access allowed) noexcept {
        check(reinterpret_cast<std::uintptr_t>(page) % 4096 == 0, "grant: not a page");
        if (entries_.size() >= limit)
            return std::unexpected(errc::no_buffers);
        ++granted;
        grant_ref_t ref = next_;
        if (free_.empty())
            ++next_;
        else
            ref = free_.back(), free_.pop_back();
        entries_[ref] = {static_cast<std::byte*>(const_cast<void*>(page)), to, allowed == access::read_write, 0};
        return ref;
    }
    bool end(grant_ref_t ref) noexcept {
        const auto found = entries_.find(ref);
        check(found != entries_.end(), "grant: ended twice");
        if (found->second.mapped > 0) {
            ++refused_ends;
            return false;
        }
        entries_.erase(found);
        free_.push_back(ref);
        return true;
    }
    std::size_t available() const noexcept { return limit - entries_.size(); }
    std::size_t in_use() const noexcept { return entries_.size(); }

    // What its peer can do.
    std::byte* map(grant_ref_t ref, bool write) {
        const auto found = entries_.find(ref);
        if (found == entries_.end() || found->second.peer != peer || (write && !found->second.writable))
            return nullptr;
        ++found->second.mapped;
        return found->second.page;
    }
    void unmap(grant_ref_t ref) {
        const auto found = entries_.find(ref);
        if (found != entries_.end() && found->second.mapped > 0)
            --found->second.mapped;
    }
    bool is_mapped(grant_ref_t ref) const {
        const auto found = entries_.find(ref);
        return found != entries_.end() && found->second.mapped > 0;
    }
    /// Whether the page that `octet` lies in is granted to anybody.
    bool shows(const void* octet) const {
        const auto at = reinterpret_cast<std::uintptr_t>(octet) & ~std::uintptr_t{4095};
        for (const auto& [ref, e] : entries_)
            if (reinterpret_cast<std::uintptr_t>(e.page) == at)
                return true;
        return false;
    }
    void clear() { entries_.clear(), free_.clear(); }
};

} // namespace mirage::xen::test
