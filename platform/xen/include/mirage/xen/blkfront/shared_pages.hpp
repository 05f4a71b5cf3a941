// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/grants.hpp"
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace mirage::xen {

/// Pages that a backend may read and write for as long as it is connected, and nothing else is ever in. The one given
/// back last is taken first: a backend that keeps only some of them mapped has the right ones.
template <class Domain>
class shared_pages {
    static constexpr std::size_t page_size = 4096;
    struct aligned {
        void operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t{page_size}); }
    };

    Domain& home_;
    std::unique_ptr<std::byte, aligned> memory_;
    std::unique_ptr<grant_ref_t[]> refs_;    ///< of each page; 0: not granted
    std::unique_ptr<std::uint16_t[]> free_;  ///< a stack of numbers
    std::uint16_t count_ = 0, free_count_ = 0;

public:
    using number = std::uint16_t;
    static constexpr number none = 0xffff;

    shared_pages(Domain& home, std::size_t count) noexcept
        : home_{home},
          memory_{static_cast<std::byte*>(
              ::operator new(count * page_size, std::align_val_t{page_size}, std::nothrow))},
          refs_{new (std::nothrow) grant_ref_t[count]{}}, free_{new (std::nothrow) std::uint16_t[count]} {
        if (memory_ == nullptr || refs_ == nullptr || free_ == nullptr)
            return;
        // The backend sees nothing of what was here before.
        std::memset(memory_.get(), 0, count * page_size);
        count_ = static_cast<std::uint16_t>(count);
        for (; free_count_ < count_; ++free_count_)
            free_[free_count_] = static_cast<std::uint16_t>(count_ - 1 - free_count_);
    }

    std::size_t size() const noexcept { return count_; } ///< pages; 0 when memory was short
    std::size_t available() const noexcept { return free_count_; }
    std::byte* at(number n) const noexcept { return memory_.get() + n * page_size; }
    grant_ref_t ref(number n) const noexcept { return refs_[n]; }

    /// A page that nobody uses, or none.
    number take() noexcept { return free_count_ == 0 ? none : free_[--free_count_]; }
    void give_back(number n) noexcept { free_[free_count_++] = n; }

    /// Grants `count` pages, from the first on, to `peer`. errc::no_buffers; then close().
    result<> open(domid_t peer, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            const auto ref = home_.grants().grant(peer, at(static_cast<number>(i)), access::read_write);
            if (!ref)
                return std::unexpected(ref.error());
            refs_[i] = *ref;
        }
        return {};
    }
    result<> open(domid_t peer) noexcept { return open(peer, count_); }

    /// Ends all grants. False: the backend has some mapped still; ask again.
    bool close() noexcept {
        bool all = true;
        for (std::size_t i = 0; i < count_; ++i)
            if (refs_[i] != 0) {
                if (home_.grants().end(refs_[i]))
                    refs_[i] = 0;
                else
                    all = false;
            }
        return all;
    }
    /// The grants are gone already.
    void forget() noexcept { std::fill_n(refs_.get(), count_, grant_ref_t{0}); }
};

} // namespace mirage::xen
