// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/xen/grants.hpp"
#include <memory>
#include <new>

namespace mirage::xen {

/// A pool whose memory a backend may read, all of it, as long as it is connected: nothing but what is meant for it is
/// ever written there, and no grant has to be made and ended for each frame.
template <class Domain>
class readable_pool {
    static constexpr std::size_t page_size = 4096;
    static constexpr grant_ref_t none = 0;

    Domain& home_;
    buffer_pool pool_;
    const std::byte* base_ = nullptr;
    std::size_t page_count_;
    std::unique_ptr<grant_ref_t[]> refs_; ///< of each page

public:
    /// `count` buffers of `size` octets, which divides 4096, in whole pages.
    readable_pool(Domain& home, std::size_t count, std::size_t size) noexcept
        : home_{home}, pool_{count, size}, page_count_{count * size / page_size},
          refs_{new (std::nothrow) grant_ref_t[page_count_]{}} {
        if (pool_.size() > 0)
            base_ = pool_.take().room().data(); // the first on the list is the first in memory
    }

    bool ready() const noexcept { return base_ != nullptr && refs_ != nullptr; }
    buffer_pool& buffers() noexcept { return pool_; }
    const buffer_pool& buffers() const noexcept { return pool_; }

    /// Lets `peer` read the pages. errc::no_buffers: what could be granted is, until end().
    result<> grant(domid_t peer) noexcept {
        for (std::size_t i = 0; i < page_count_; ++i) {
            if (refs_[i] != none)
                continue;
            const auto ref = home_.grants().grant(peer, base_ + i * page_size, access::read_only);
            if (!ref)
                return std::unexpected(ref.error());
            refs_[i] = *ref;
        }
        return {};
    }

    /// Takes the pages back. False: some are mapped still; ask again.
    bool end() noexcept {
        bool all = true;
        for (std::size_t i = 0; i < page_count_; ++i) {
            if (refs_[i] != none && !home_.grants().end(refs_[i]))
                all = false;
            else
                refs_[i] = none;
        }
        return all;
    }

    /// The grants are gone without our doing.
    void forget() noexcept { std::fill_n(refs_.get(), page_count_, none); }

    /// The reference to the page that `octet` of a buffer lies in.
    grant_ref_t ref_of(const std::byte* octet) const noexcept {
        return refs_[static_cast<std::size_t>(octet - base_) / page_size];
    }
};

} // namespace mirage::xen
