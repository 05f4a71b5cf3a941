// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/device/block_request.hpp"
#include <algorithm>
#include <coroutine>
#include <limits>

namespace mirage::xen {

/// A block operation and how far it is: what has been asked of the backend, what is lost, what has failed. Cut into
/// requests, of which several may be under way; `Path` makes them.
template <class Path>
class [[nodiscard]] block_transfer : operation {
    friend Path;
    static constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();

    Path& path_;
    std::expected<block_request, block_error> request_;
    std::coroutine_handle<> waiting_;
    std::uint64_t next_ = 0;          ///< the first sector of the request that nothing is under way for
    std::uint64_t most_ = nowhere;    ///< sectors in a request; fewer after one has failed, and one request at a time
    std::uint64_t failed_at_ = nowhere, failed_count_ = 0;
    errc failure_{};
    std::uint32_t under_way_ = 0; ///< requests
    std::uint32_t granted_ = 0;   ///< those of them for which the backend may use the caller's memory itself
    bool begun_ = false;          ///< a flush or discard has been asked for
    bool given_up_ = false;       ///< nobody waits for it

    bool careful() const noexcept { return most_ != nowhere; }

    /// Whether something can be asked for now.
    bool wants_more() const noexcept {
        if (given_up_ || failure_ != errc{} || (careful() && under_way_ > 0))
            return false;
        return request_->transfers() ? next_ < request_->count : !begun_;
    }

    /// A request for `count` sectors from `at` of this operation on is done.
    void done() noexcept {
        --under_way_;
        settle();
    }
    /// It has failed. Only the first one counts: what is behind it is asked for again, or not at all.
    void failed(std::uint64_t at, std::uint64_t count, errc why) noexcept {
        --under_way_;
        if (failure_ == errc{} || at < failed_at_) {
            failed_at_ = at;
            failed_count_ = count;
            failure_ = why;
        }
        settle();
    }
    /// The backend is gone, and nobody knows: it is asked for again, with what is behind it.
    void lost(std::uint64_t at) noexcept {
        --under_way_;
        begun_ = false;
        next_ = std::min(next_, at);
        if (failure_ != errc{} && at <= failed_at_)
            failure_ = errc{};
        settle();
    }

    void settle() noexcept {
        if (given_up_)
            return;
        if (under_way_ > 0) {
            if (wants_more())
                path_.wait_for_turn(*this);
            return;
        }
        if (failure_ != errc{}) {
            if (!request_->transfers() || failed_count_ <= 1) {
                finish(failure_, request_->sector + failed_at_);
                return;
            }
            most_ = failed_count_ / 2; // down to the one sector that the error is about
            next_ = failed_at_;
            failure_ = errc{};
        }
        if (wants_more())
            path_.wait_for_turn(*this);
        else
            path_.home().loop().post(*this);
    }
    void finish(errc why, std::uint64_t sector) noexcept {
        request_ = std::unexpected(block_error{why, sector});
        path_.home().loop().post(*this);
    }

public:
    block_transfer(Path& path, const std::expected<block_request, block_error>& request) noexcept
        : operation{[](operation& self) noexcept { static_cast<block_transfer&>(self).waiting_.resume(); }}, path_{path},
          request_{request} {}
    block_transfer(const block_transfer&) = delete;
    block_transfer& operator=(const block_transfer&) = delete;
    ~block_transfer() {
        if (under_way_ > 0)
            path_.give_up(*this);
    }

    /// True for what is refused, and for nothing.
    bool await_ready() const noexcept {
        return !request_ || (request_->count == 0 && request_->action != block_action::flush);
    }
    void await_suspend(std::coroutine_handle<> h) noexcept {
        waiting_ = h;
        path_.wait_for_turn(*this);
    }
    block_result await_resume() const noexcept {
        return request_ ? block_result{} : block_result{std::unexpected(request_.error())};
    }
};

} // namespace mirage::xen
