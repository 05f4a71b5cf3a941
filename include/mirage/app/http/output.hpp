// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include <array>
#include <cstring>

namespace mirage::http {

/// What a connection is going to send, in order: text written into pages of a pool, and slices that come from
/// elsewhere. Text that follows text lies in the same page and becomes one slice, so that a response is a head and
/// a body, and several pipelined ones share a page.
class output {
public:
    static constexpr std::size_t capacity = 24; ///< slices

    explicit output(buffer_pool& pool) noexcept : pool_{pool} {}

    bool empty() const noexcept { return count_ == 0 && open_ == end_; }
    std::size_t free() const noexcept { return capacity - count_ - (open_ != end_ ? 1u : 0u); }
    std::size_t size() const noexcept { return size_; } ///< octets

    /// Room for `n` octets of text in one piece, behind what is there; nullptr when no page is left, when `n` is
    /// more than a page, or when there are too many slices already.
    char* reserve(std::size_t n) noexcept {
        if (!page_ || page_.room().size() - end_ < n) {
            seal();
            open_ = end_ = 0;
            page_ = page{};
            if (n <= pool_.buffer_size())
                page_ = pool_.take();
            if (!page_)
                return nullptr;
        }
        if (open_ == end_ && count_ == capacity)
            return nullptr;
        return reinterpret_cast<char*>(page_.room().data()) + end_;
    }
    /// `n` octets of what reserve() gave were written.
    void commit(std::size_t n) noexcept {
        end_ += static_cast<std::uint32_t>(n);
        size_ += n;
    }

    /// Copies `text`, over several pages when it must. Whether all of it found room.
    bool put(std::string_view text) noexcept {
        while (!text.empty()) {
            std::size_t n = page_ ? page_.room().size() - end_ : 0;
            n = std::min(n == 0 ? pool_.buffer_size() : n, text.size());
            char* const at = reserve(n);
            if (at == nullptr)
                return false;
            std::memcpy(at, text.data(), n);
            commit(n);
            text.remove_prefix(n);
        }
        return true;
    }

    /// Takes `s` behind what is there; whether there was room.
    bool put(slice&& s) noexcept {
        if (s.empty())
            return true;
        seal();
        if (count_ == capacity)
            return false;
        size_ += s.size();
        slices_[count_++] = std::move(s);
        return true;
    }

    /// Leaves a place to be filled by fill(): a head that can be written only when its body is known.
    std::size_t hole() noexcept {
        seal();
        check(count_ < capacity, "http::output: no room for a head");
        slices_[count_].reset();
        return count_++;
    }
    /// Ends what was written since the last seal() and puts it into the hole instead.
    void fill(std::size_t hole) noexcept {
        slices_[hole] = page_.freeze_part(open_, end_ - open_);
        open_ = end_;
    }
    /// Forgets everything behind `hole`.
    void drop_after(std::size_t hole) noexcept {
        open_ = end_;
        while (count_ > hole + 1)
            slices_[--count_].reset();
        size_ = 0;
        for (std::size_t i = 0; i < count_; ++i)
            size_ += slices_[i].size();
    }

    void seal() noexcept {
        if (open_ == end_)
            return;
        check(count_ < capacity, "http::output: no room for a slice");
        slices_[count_++] = page_.freeze_part(open_, end_ - open_);
        open_ = end_;
    }

    /// Everything, to be sent; clear() afterwards.
    std::span<slice> take() noexcept {
        seal();
        return {slices_.data(), count_};
    }
    void clear() noexcept {
        while (count_ > 0)
            slices_[--count_].reset();
        size_ = 0;
    }
    /// Gives up the page that was being written; a connection that waits holds none.
    void release() noexcept {
        seal();
        page_ = page{};
        open_ = end_ = 0;
    }

private:
    buffer_pool& pool_;
    page page_;
    std::uint32_t open_ = 0, end_ = 0; ///< the text of page_ that is not a slice yet
    std::uint32_t count_ = 0;
    std::size_t size_ = 0;
    std::array<slice, capacity> slices_;
};

} // namespace mirage::http
