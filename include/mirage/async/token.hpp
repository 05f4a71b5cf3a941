// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/stream.hpp"
#include "mirage/core/task.hpp"
#include <memory>
#include <type_traits>
#include <utility>

namespace mirage::async {

/// The default completion token: the operation is a task, which starts when it is awaited.
struct use_awaitable_t {};
inline constexpr use_awaitable_t use_awaitable{};

/// Asio's customisation point: how an operation that gives a T is begun for a `Token`, and what the initiating
/// function returns. Specialise it with `static auto initiate(Token, Executor&, task<T>)` for a token of your own.
template <class Token, class T>
struct async_result {};

/// A token for operations that give a T.
template <class Token, class T>
concept completion_token = requires(std::decay_t<Token> token, scheduler& home, task<T> work) {
    async_result<std::decay_t<Token>, T>::initiate(std::move(token), home, std::move(work));
};

template <class T>
struct async_result<use_awaitable_t, T> {
    static task<T> initiate(use_awaitable_t, auto&, task<T> work) noexcept { return work; }
};

namespace detail {
/// Asio's handler: the error, errc{} when there is none, and the count.
template <class F, class T>
concept error_and_count_handler =
    std::same_as<T, result<std::size_t>> && std::invocable<F, errc, std::size_t> && !std::invocable<F, T>;
} // namespace detail

/// A function: `handler(result)`, or as Asio has it `handler(errc, n)`.
template <class F, class T>
concept completion_handler = std::move_constructible<F> && (std::invocable<F, T> || detail::error_and_count_handler<F, T>);

/// The work starts at once; the handler is called from the executor, never inside the initiating call. Without
/// memory for it nothing starts, and that is what is returned: errc::no_buffers.
template <class F, class T>
    requires completion_handler<F, T>
struct async_result<F, T> {
    template <executor Executor>
    [[nodiscard]] static result<> initiate(F handler, Executor& home, task<T> work) noexcept {
        struct pending : operation {
            task<T> work;
            F handler;
            Executor& home;
            pending(task<T> w, F h, Executor& e) noexcept
                : operation{[](operation& self) noexcept { static_cast<pending&>(self).complete(); }},
                  work{std::move(w)}, handler{std::move(h)}, home{e} {}
            void complete() noexcept {
                T outcome = work.take();
                F call{std::move(handler)};
                std::destroy_at(this); // first: the handler may begin the next operation in the same memory
                coroutine_frames.deallocate(this, sizeof(pending));
                if constexpr (std::invocable<F, T>)
                    std::move(call)(std::move(outcome));
                else
                    std::move(call)(outcome ? errc{} : outcome.error(), outcome ? *outcome : 0);
            }
        };
        void* const memory = work ? coroutine_frames.allocate(sizeof(pending)) : nullptr;
        if (memory == nullptr)
            return std::unexpected(errc::no_buffers);
        auto* const made = std::construct_at(static_cast<pending*>(memory), std::move(work), std::move(handler), home);
        made->work.start(
            [](void* self) noexcept {
                auto& me = *static_cast<pending*>(self);
                me.home.post(me);
            },
            made);
        return {};
    }
};

/// What an initiating function ends with.
template <class T, completion_token<T> Token, executor Executor>
auto async_initiate(Token&& token, Executor& home, task<T> work) noexcept {
    return async_result<std::decay_t<Token>, T>::initiate(std::forward<Token>(token), home, std::move(work));
}

} // namespace mirage::async
