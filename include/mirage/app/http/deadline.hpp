// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/stream.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/scheduler.hpp"
#include <type_traits>
#include <utility>

namespace mirage::http {

/// An awaitable with a deadline: `co_await expiring{loop, deadline, [&] { return stream.async_receive(); }}` gives what
/// the operation gives, or errc::timed_out. No coroutine frame, and no timer when the operation need not wait.
///
/// On a timeout the operation is withdrawn the way a dying coroutine withdraws it: its awaiter is destroyed at the
/// end of the full expression. What `Begin` gives is constructed in place; its result is a result<T>. Out of line,
/// because connections wait in many places.
template <class Begin>
class [[nodiscard]] expiring : timer {
    using operation_type = std::invoke_result_t<Begin&>;
    using inner_type = std::remove_cvref_t<decltype(async::detail::awaiter_of(std::declval<operation_type>()))>;

    scheduler& home_;
    instant deadline_;
    inner_type inner_;
    std::coroutine_handle<> waiting_;
    bool expired_ = false;

    static inner_type awaiter(Begin& begin) noexcept {
        if constexpr (async::detail::has_member_co_await<operation_type>)
            return begin().operator co_await();
        else
            return begin();
    }

public:
    [[gnu::noinline]] expiring(scheduler& home, instant deadline, Begin begin) noexcept
        : timer{[](timer& self) noexcept {
              auto& wait = static_cast<expiring&>(self);
              wait.expired_ = true;
              wait.waiting_.resume();
          }},
          home_{home}, deadline_{deadline}, inner_(awaiter(begin)) {}
    [[gnu::noinline]] ~expiring() = default;

    [[gnu::noinline]] bool await_ready() { return inner_.await_ready(); }

    [[gnu::noinline]] bool await_suspend(std::coroutine_handle<> h) {
        waiting_ = h;
        if constexpr (std::is_void_v<decltype(inner_.await_suspend(h))>)
            inner_.await_suspend(h);
        else if (!inner_.await_suspend(h))
            return false;
        if (deadline_ != never)
            home_.arm(*this, deadline_);
        return true;
    }

    [[gnu::noinline]] auto await_resume() -> decltype(inner_.await_resume()) {
        disarm();
        if (expired_)
            return std::unexpected(errc::timed_out);
        return inner_.await_resume();
    }
};

template <class Begin>
expiring(scheduler&, instant, Begin) -> expiring<Begin>;

} // namespace mirage::http
