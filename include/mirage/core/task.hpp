// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/frame_arena.hpp"
#include <coroutine>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace mirage {

template <class T = void>
class task;

namespace detail {

/// Where a task keeps its value until the awaiting coroutine takes it.
template <class T>
class task_value {
    union {
        T value_;
    };
    bool has_ = false;

public:
    task_value() noexcept {}
    ~task_value() {
        if (has_)
            std::destroy_at(&value_);
    }
    template <class U>
    void return_value(U&& value) noexcept {
        std::construct_at(&value_, std::forward<U>(value));
        has_ = true;
    }
    T take() noexcept { return std::move(value_); }
};

template <>
class task_value<void> {
public:
    void return_void() const noexcept {}
    void take() const noexcept {}
};

struct task_promise_base {
    void (*finished)(void*) noexcept = nullptr; ///< who goes on when the task ends; nobody as long as it runs in place
    void* finished_argument = nullptr;

    [[gnu::noinline]] static void* operator new(std::size_t size) noexcept { return coroutine_frames.allocate(size); }
    static void operator delete(void* memory, std::size_t size) noexcept {
        coroutine_frames.deallocate(memory, size);
    }

    static std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
        struct awaiter {
            bool await_ready() const noexcept { return false; }
            /// The last thing this coroutine does: what it calls may destroy its frame.
            void await_suspend(std::coroutine_handle<>) const noexcept {
                if (self.finished != nullptr)
                    self.finished(self.finished_argument);
            }
            void await_resume() const noexcept {}
            task_promise_base& self;
        };
        return awaiter{*this};
    }
    [[noreturn]] static void unhandled_exception() noexcept { panic("exception in a task"); }
};

/// What awaiting a task is, whatever it computes. Out of line: an image awaits in many places.
class task_base {
protected:
    std::coroutine_handle<task_promise_base> self_;

    task_base() noexcept = default;
    explicit task_base(std::coroutine_handle<task_promise_base> self) noexcept : self_{self} {}

public:
    explicit operator bool() const noexcept { return self_ != nullptr; }
    bool done() const noexcept { return self_ && self_.done(); }
    [[gnu::noinline]] void reset() noexcept {
        if (self_)
            std::exchange(self_, nullptr).destroy();
    }

    // A task is its own awaiter.
    bool await_ready() const noexcept { return false; }
    /// Runs the callee until it ends or waits; the caller waits only in the second case. No symmetric transfer:
    /// GCC 12 makes it a tail call at -O2 only, and loops over ready tasks would grow the stack elsewhere.
    [[gnu::noinline]] bool await_suspend(std::coroutine_handle<> caller) const noexcept {
        check(self_ != nullptr, "task: awaited, but there was no memory for its frame");
        if (!self_.done())
            self_.resume();
        if (self_.done())
            return false;
        self_.promise().finished = [](void* frame) noexcept { std::coroutine_handle<>::from_address(frame).resume(); };
        self_.promise().finished_argument = caller.address();
        return true;
    }

    /// Starts the task without an awaiting coroutine. `finished(argument)` is called when it ends, possibly
    /// inside this call, as the last thing the coroutine does, and may destroy the task. For the runtime.
    void start(void (*finished)(void*) noexcept, void* argument) noexcept {
        self_.promise().finished = finished;
        self_.promise().finished_argument = argument;
        self_.resume();
    }
};

} // namespace detail

/// A coroutine that computes a T when awaited. Lazy: nothing runs before `co_await`, which starts it in place.
/// The object owns the coroutine; destroying it, at any suspension point, destroys its locals in reverse order
/// and so releases everything it holds and withdraws everything it waits for.
///
/// When memory for the frame is short, the task is empty: `if (!t)`. Awaiting an empty task panics.
template <class T>
class [[nodiscard]] task : public detail::task_base {
public:
    struct promise_type : detail::task_promise_base, detail::task_value<T> {
        task get_return_object() noexcept {
            static_assert(alignof(promise_type) <= 2 * sizeof(void*), "task_base looks for the promise where it is then");
            return task{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        static task get_return_object_on_allocation_failure() noexcept { return task{}; }
    };

private:
    explicit task(std::coroutine_handle<promise_type> self) noexcept
        : task_base{std::coroutine_handle<detail::task_promise_base>::from_address(self.address())} {}

public:
    task() noexcept = default;
    task(task&& other) noexcept : task_base{std::exchange(other.self_, nullptr)} {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            reset();
            self_ = std::exchange(other.self_, nullptr);
        }
        return *this;
    }
    ~task() { reset(); }

    T await_resume() const noexcept { return take(); }

    /// The value of a task that is done(); once. For the runtime.
    T take() const noexcept { return static_cast<promise_type&>(self_.promise()).take(); }
};

} // namespace mirage
