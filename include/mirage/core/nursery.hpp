// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/frame_arena.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include <memory>

namespace mirage {

/// Owns tasks that nobody awaits: one per connection, one per service. A task that ends is released at that
/// moment. Destroying the nursery destroys what still runs, the youngest first.
///
/// Not from inside one of its own tasks: a coroutine cannot destroy the frame that it runs in.
class nursery {
    struct child : list_hook {
        nursery& home;
        task<> body;
        child(nursery& n, task<> t) noexcept : home{n}, body{std::move(t)} {}
    };

    scheduler& home_;
    intrusive_list<child> children_;
    intrusive_list<operation> waiters_;
    std::size_t size_ = 0;
    bool closing_ = false;

    static void release(child& c) noexcept {
        std::destroy_at(&c);
        coroutine_frames.deallocate(&c, sizeof(child));
    }

    void settle() noexcept {
        if (size_ == 0)
            while (operation* const op = waiters_.pop_front())
                home_.post(*op);
    }

    /// The last thing a task does. Its frame goes last of all: what the destructors of its parameters do, they do
    /// to a nursery that no longer knows the task.
    static void finished(void* argument) noexcept {
        child& c = *static_cast<child*>(argument);
        nursery& n = c.home;
        c.unlink();
        --n.size_;
        n.settle();
        release(c);
    }

public:
    explicit nursery(scheduler& home) noexcept : home_{home} {}
    nursery(const nursery&) = delete;
    nursery& operator=(const nursery&) = delete;
    ~nursery() {
        closing_ = true;
        while (!children_.empty()) {
            child& youngest = children_.back();
            youngest.unlink();
            --size_;
            release(youngest);
        }
    }

    /// Starts `t` at once, inside this call, up to its first wait. errc::no_buffers: there was no memory for the
    /// task's frame, or for keeping it; errc::closed: the nursery is being destroyed. In both cases it does not run.
    result<> spawn(task<> t) noexcept {
        if (closing_)
            return std::unexpected(errc::closed);
        void* const memory = t ? coroutine_frames.allocate(sizeof(child)) : nullptr;
        if (memory == nullptr)
            return std::unexpected(errc::no_buffers);
        child& c = *new (memory) child{*this, std::move(t)};
        children_.push_back(c);
        ++size_;
        c.body.start(&nursery::finished, &c); // may release c
        return {};
    }

    scheduler& home() const noexcept { return home_; }
    std::size_t size() const noexcept { return size_; } ///< tasks that have not ended
    bool empty() const noexcept { return size_ == 0; }

    /// Awaitable: resumes when no task is left; at once when there is none. Not for a task of this nursery, which
    /// would wait for itself.
    auto wait_all() noexcept {
        struct awaiter : operation {
            nursery& tasks;
            std::coroutine_handle<> waiting;
            explicit awaiter(nursery& n) noexcept
                : operation{[](operation& self) noexcept {
                      auto& a = static_cast<awaiter&>(self);
                      if (!a.tasks.empty()) // another was spawned between the last one's end and now
                          a.tasks.waiters_.push_back(a);
                      else
                          a.waiting.resume();
                  }},
                  tasks{n} {}
            bool await_ready() const noexcept { return tasks.empty(); }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                waiting = h;
                tasks.waiters_.push_back(*this);
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }
};

} // namespace mirage
