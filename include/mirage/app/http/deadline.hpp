// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/stream.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/scheduler.hpp"

namespace mirage::http {

/// An awaitable with a deadline: `co_await expiring{loop, deadline, stream.async_receive()}` gives what the operation
/// gives, or errc::timed_out. No coroutine frame, and no timer when the operation need not wait.
///
/// On a timeout the operation is withdrawn the way a dying coroutine withdraws it: its awaiter is destroyed at the
/// end of the full expression. `A` is awaited in place; its result is a result<T>.
template <class A>
class [[nodiscard]] expiring : timer {
    using inner_type = decltype(async::detail::awaiter_of(std::declval<A>()));

    scheduler& home_;
    instant deadline_;
    inner_type inner_;
    std::coroutine_handle<> waiting_;
    bool expired_ = false;

    void arm() noexcept {
        if (deadline_ != never)
            home_.arm(*this, deadline_);
    }

public:
    expiring(scheduler& home, instant deadline, A&& operation) noexcept
        : timer{[](timer& self) noexcept {
              auto& wait = static_cast<expiring&>(self);
              wait.expired_ = true;
              wait.waiting_.resume();
          }},
          home_{home}, deadline_{deadline}, inner_(async::detail::awaiter_of(static_cast<A&&>(operation))) {}

    bool await_ready() { return inner_.await_ready(); }

    bool await_suspend(std::coroutine_handle<> h) {
        waiting_ = h;
        if constexpr (std::is_void_v<decltype(inner_.await_suspend(h))>)
            inner_.await_suspend(h);
        else if (!inner_.await_suspend(h))
            return false;
        arm();
        return true;
    }

    auto await_resume() -> decltype(inner_.await_resume()) {
        disarm();
        if (expired_)
            return std::unexpected(errc::timed_out);
        return inner_.await_resume();
    }
};

template <class A>
expiring(scheduler&, instant, A&&) -> expiring<A>;

} // namespace mirage::http
