// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include <array>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

namespace mirage {

namespace detail {

template <class T>
struct timed {
    using type = result<T>;
};
template <class T>
struct timed<result<T>> {
    using type = result<T>;
};

/// void as a value that a tuple or a variant can hold.
template <class T>
using storable = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
storable<T> take_from(task<T>& t) noexcept {
    if constexpr (std::is_void_v<T>)
        return {};
    else
        return t.take();
}

/// Starts a task and waits until it ends or the time is up, whichever is first. True: the task ended.
template <class T>
class deadline_wait : timer {
    scheduler& home_;
    task<T>& work_;
    instant deadline_;
    std::coroutine_handle<> waiting_;
    bool ended_ = false;

public:
    deadline_wait(scheduler& home, task<T>& work, duration limit) noexcept
        : timer{[](timer& self) noexcept { static_cast<deadline_wait&>(self).waiting_.resume(); }}, home_{home},
          work_{work}, deadline_{limit < never - home.now() ? home.now() + limit : never} {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h) noexcept {
        work_.start(
            [](void* self) noexcept {
                auto& wait = *static_cast<deadline_wait*>(self);
                wait.ended_ = true;
                if (wait.waiting_) {
                    wait.disarm();
                    wait.waiting_.resume();
                }
            },
            this);
        if (ended_)
            return false;
        waiting_ = h;
        if (deadline_ != never)
            home_.arm(*this, deadline_);
        return true;
    }
    bool await_resume() const noexcept { return ended_; }
};

/// Starts tasks in order and waits for `Needed` of them. Gives the index of the one that ended last of those.
template <std::size_t Needed, class... Ts>
class count_wait {
    struct arrival {
        count_wait* home = nullptr;
        std::size_t index = 0;
    };
    std::tuple<task<Ts>&...> tasks_;
    std::array<arrival, sizeof...(Ts)> arrivals_{};
    std::coroutine_handle<> waiting_;
    std::size_t ended_ = 0, last_ = 0;

    static void arrived(void* argument) noexcept {
        const arrival a = *static_cast<arrival*>(argument);
        count_wait& wait = *a.home;
        ++wait.ended_;
        wait.last_ = a.index;
        if (wait.ended_ == Needed && wait.waiting_)
            wait.waiting_.resume();
    }

    template <std::size_t I>
    void start() noexcept {
        if (ended_ == Needed)
            return; // what has not begun need not begin
        arrivals_[I] = {this, I};
        std::get<I>(tasks_).start(&count_wait::arrived, &arrivals_[I]);
    }

public:
    explicit count_wait(task<Ts>&... tasks) noexcept : tasks_{tasks...} {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h) noexcept {
        [this]<std::size_t... I>(std::index_sequence<I...>) {
            (this->template start<I>(), ...);
        }(std::index_sequence_for<Ts...>{});
        if (ended_ == Needed)
            return false;
        waiting_ = h;
        return true;
    }
    std::size_t await_resume() const noexcept { return last_; }
};

} // namespace detail

/// result<T>, and result<T> again when T is already a result.
template <class T>
using timed_result = typename detail::timed<T>::type;

/// Runs `work` for at most `limit`, counted from when this is awaited. errc::timed_out: the time was up first, and
/// `work` was destroyed where it stood. A task that needs no waiting is never timed out. errc::no_buffers: `work`
/// is empty.
template <class T>
task<timed_result<T>> with_timeout(scheduler& home, task<T> work, duration limit) {
    if (!work)
        co_return std::unexpected(errc::no_buffers);
    detail::deadline_wait<T> wait{home, work, limit};
    if (!co_await wait) {
        work.reset();
        co_return std::unexpected(errc::timed_out);
    }
    if constexpr (std::is_void_v<T>)
        co_return timed_result<T>{};
    else
        co_return work.take();
}

/// Runs all the tasks side by side and gives all their values (std::monostate for void). They start in order.
/// Destroying it destroys all of them. Awaiting it with an empty task panics.
template <class... Ts>
    requires(sizeof...(Ts) > 0)
task<std::tuple<detail::storable<Ts>...>> when_all(task<Ts>... tasks) {
    check((static_cast<bool>(tasks) && ...), "when_all: there was no memory for a task's frame");
    detail::count_wait<sizeof...(Ts), Ts...> wait{tasks...};
    (void)co_await wait;
    co_return std::tuple<detail::storable<Ts>...>{detail::take_from(tasks)...};
}

/// Runs the tasks side by side until the first ends; gives its value at the variant's alternative of the same
/// index, and destroys the others where they stand. They start in order; when one ends without waiting, those
/// behind it never start.
template <class... Ts>
    requires(sizeof...(Ts) > 0)
task<std::variant<detail::storable<Ts>...>> when_any(task<Ts>... tasks) {
    using values = std::variant<detail::storable<Ts>...>;
    check((static_cast<bool>(tasks) && ...), "when_any: there was no memory for a task's frame");
    std::size_t first = 0;
    {
        detail::count_wait<1, Ts...> wait{tasks...};
        first = co_await wait;
    }
    std::optional<values> value;
    auto all = std::tie(tasks...);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((I == first ? (void)value.emplace(std::in_place_index<I>, detail::take_from(std::get<I>(all)))
                     : void()),
         ...);
    }(std::index_sequence_for<Ts...>{});
    (tasks.reset(), ...);
    co_return std::move(*value);
}

} // namespace mirage
