// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/device/block_request.hpp"
#include <algorithm>
#include <coroutine>

namespace mirage {

/// A block operation on a disk that answers at once, having kept everybody waiting: done in steps, one in each turn of
/// the loop. For the making of devices.
///
/// `Disk` has `step(const block_request&, std::uint64_t most) -> result<std::uint64_t>`, which does up to `most` sectors
/// from the request's beginning, at least one, and says how many; or all of a flush. A step of several sectors that fails
/// is tried again with half as many, down to the one sector that the error is about.
template <class Disk>
class [[nodiscard]] stepwise_operation : operation {
    Disk& disk_;
    scheduler& home_;
    std::expected<block_request, block_error> request_;
    std::uint64_t most_; ///< sectors in a step
    std::coroutine_handle<> waiting_;

    void run() noexcept {
        block_request& left = *request_;
        const std::uint64_t wanted = std::min(left.count, most_);
        if (const auto done = disk_.step(left, wanted); done)
            left.advance(*done, disk_.sector_size());
        else if (wanted > 1)
            most_ = wanted / 2;
        else
            request_ = std::unexpected(block_error{done.error(), left.sector});
        if (request_ && request_->count > 0)
            home_.post(*this);
        else
            waiting_.resume();
    }

public:
    /// `most`: sectors in a step, at least 1.
    stepwise_operation(Disk& on, scheduler& home, const std::expected<block_request, block_error>& request,
                       std::uint64_t most) noexcept
        : operation{[](operation& self) noexcept { static_cast<stepwise_operation&>(self).run(); }}, disk_{on},
          home_{home}, request_{request}, most_{most} {}

    /// True for what is refused, and for nothing.
    bool await_ready() const noexcept {
        return !request_ || (request_->count == 0 && request_->action != block_action::flush);
    }
    void await_suspend(std::coroutine_handle<> h) noexcept {
        waiting_ = h;
        home_.post(*this);
    }
    block_result await_resume() const noexcept {
        return request_ ? block_result{} : block_result{std::unexpected(request_.error())};
    }
};

} // namespace mirage
