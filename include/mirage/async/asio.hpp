// SPDX-License-Identifier: MIT
#pragma once
// For hosted programs only: the one header that includes Asio itself. MIRAGE_ASIO_BOOST, defined before it, chooses
// Boost's Asio, which Beast needs, and not the standalone library. Wants exceptions and run-time type information.
#include "mirage/async/stream.hpp"
#include "mirage/core/task.hpp"
#include <memory>
#include <optional>
#include <string>
#include <utility>
#ifdef MIRAGE_ASIO_BOOST
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/associated_cancellation_slot.hpp>
#define MIRAGE_ASIO_CANCELLATION_SLOTS 1
#endif
#else
#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/buffer.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION >= 101900
#include <asio/associated_cancellation_slot.hpp>
#define MIRAGE_ASIO_CANCELLATION_SLOTS 1
#endif
#endif

namespace mirage::async {

// Inline and of different names: a program may hold objects for both libraries.
#ifdef MIRAGE_ASIO_BOOST
inline namespace over_boost_asio {
namespace asio = ::boost::asio;
using error_code = ::boost::system::error_code;
using error_category = ::boost::system::error_category;
#else
inline namespace over_asio {
namespace asio = ::asio;
using error_code = ::asio::error_code;
using error_category = ::asio::error_category;
#endif

/// The category of what errc knows and Asio has no word for; the values are errc's.
inline const error_category& mirage_category() noexcept {
    static const struct final_category final : error_category {
        const char* name() const noexcept override { return "mirage"; }
        std::string message(int value) const override { return std::string{mirage::message(static_cast<errc>(value))}; }
    } category{};
    return category;
}

/// The same reason in Asio's vocabulary.
inline error_code to_error_code(errc e) noexcept {
    namespace error = asio::error;
    switch (e) {
    case errc::would_block: return error::would_block;
    case errc::refused: return error::connection_refused;
    case errc::reset: return error::connection_reset;
    case errc::timed_out: return error::timed_out;
    case errc::eof: return error::eof;
    case errc::cancelled: return error::operation_aborted;
    case errc::closed: return error::bad_descriptor;
    case errc::no_buffers: return error::no_buffer_space;
    case errc::too_large: return error::message_size;
    case errc::in_use: return error::address_in_use;
    case errc::unreachable: return error::network_unreachable;
    case errc::invalid_argument: return error::invalid_argument;
    default: return {static_cast<int>(e), mirage_category()};
    }
}

namespace adapter {

struct of_context : list_hook {};
struct of_stream : list_hook {};

/// What a context has to run or, when it dies first, to destroy.
struct asio_work : operation, of_context {
    void (*const end)(asio_work&, bool run) noexcept; ///< destroys the work, after running it where `run`

    explicit asio_work(void (*e)(asio_work&, bool) noexcept) noexcept
        : operation{[](operation& self) noexcept {
              auto& work = static_cast<asio_work&>(self);
              work.end(work, true);
          }},
          end{e} {}
};

} // namespace adapter

/// Asio's execution context over a Mirage loop: what is submitted to its executor runs when the scheduler does, in
/// order, never inside the call that submits. One thread, the loop's; a function that throws ends the process.
///
/// Outlives the streams made with it; what did not run when it dies is destroyed. The scheduler outlives it.
class asio_context : public asio::execution_context {
    scheduler& loop_;
    intrusive_list<adapter::asio_work, adapter::of_context> unfinished_;

    template <class F>
    struct submitted : adapter::asio_work {
        F function;
        explicit submitted(F&& f)
            : asio_work{[](asio_work& self, bool run) noexcept {
                  std::unique_ptr<submitted> me{static_cast<submitted*>(&self)};
                  F run_now{std::move(me->function)};
                  me.reset(); // first: the function may submit the next one
                  if (run)
                      run_now();
              }},
              function{std::move(f)} {}
    };

public:
    explicit asio_context(scheduler& loop) : loop_{loop} {}
    ~asio_context() {
        shutdown();
        while (adapter::asio_work* const work = unfinished_.pop_front())
            work->end(*work, false);
        destroy();
    }

    /// Asio's executor, by its own two definitions: properties, and those of the Networking TS.
    class executor_type {
        asio_context* context_;

    public:
        explicit executor_type(asio_context& c) noexcept : context_{&c} {}

        asio_context& query(asio::execution::context_t) const noexcept { return *context_; }
        static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
            return asio::execution::blocking.never;
        }
        executor_type require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
        template <class F>
        void execute(F f) const {
            context_->submit(std::move(f));
        }

        asio_context& context() const noexcept { return *context_; }
        void on_work_started() const noexcept {} // whether the loop goes on is its owner's to say
        void on_work_finished() const noexcept {}
        template <class F, class Allocator>
        void dispatch(F&& f, const Allocator&) const {
            context_->submit(std::decay_t<F>(std::forward<F>(f)));
        }
        template <class F, class Allocator>
        void post(F&& f, const Allocator&) const {
            context_->submit(std::decay_t<F>(std::forward<F>(f)));
        }
        template <class F, class Allocator>
        void defer(F&& f, const Allocator&) const {
            context_->submit(std::decay_t<F>(std::forward<F>(f)));
        }

        friend bool operator==(const executor_type&, const executor_type&) noexcept = default;
    };

    executor_type get_executor() noexcept { return executor_type{*this}; }
    scheduler& loop() noexcept { return loop_; }

    /// For what waits elsewhere: destroyed with the context from now on.
    void keep(adapter::asio_work& work) noexcept { unfinished_.push_back(work); }

    template <class F>
    void submit(F f) {
        auto* const work = new submitted<F>{std::move(f)};
        keep(*work);
        loop_.post(*work);
    }
};

namespace adapter {

/// A read or write under way.
struct asio_transfer : asio_work, of_stream {
    asio_context& context;
    task<result<std::size_t>> work{};
    result<std::size_t> outcome{};

    asio_transfer(asio_context& c, void (*e)(asio_work&, bool) noexcept) noexcept : asio_work{e}, context{c} {}

    void finish(result<std::size_t> r) noexcept {
        outcome = r;
        of_stream::unlink();
        context.loop().post(*this);
    }
    /// Nothing happens when it has its outcome already.
    void cancel() noexcept {
        if (!of_stream::linked())
            return;
        work.reset();
        finish(std::unexpected(errc::cancelled));
    }
    void start(task<result<std::size_t>> w) noexcept {
        work = std::move(w);
        if (!work)
            return finish(std::unexpected(errc::no_buffers));
        work.start(
            [](void* self) noexcept {
                auto& me = *static_cast<asio_transfer*>(self);
                me.finish(me.work.take());
            },
            this);
    }
};

/// The same with the handler that hears of it; lives in memory of the handler's associated allocator.
template <class Handler>
struct asio_transfer_for : asio_transfer {
    using allocator = typename std::allocator_traits<
        asio::associated_allocator_t<Handler>>::template rebind_alloc<asio_transfer_for>;
    using own_executor = asio_context::executor_type;
    using executor = asio::associated_executor_t<Handler, own_executor>;

    Handler handler;
    asio::executor_work_guard<executor> guard;

    asio_transfer_for(asio_context& c, Handler&& h)
        : asio_transfer{c, &end_transfer}, handler{std::move(h)},
          guard{asio::get_associated_executor(handler, c.get_executor())} {}

    static asio_transfer_for& make(asio_context& c, Handler&& h) {
        allocator from{asio::get_associated_allocator(h)};
        auto* const memory = std::allocator_traits<allocator>::allocate(from, 1);
        auto& made = *new (memory) asio_transfer_for{c, std::move(h)};
#ifdef MIRAGE_ASIO_CANCELLATION_SLOTS
        if (auto slot = asio::get_associated_cancellation_slot(made.handler); slot.is_connected())
            slot.assign([&made](asio::cancellation_type_t) { made.cancel(); });
#endif
        return made;
    }

    static void end_transfer(asio_work& self, bool run) noexcept {
        auto& me = static_cast<asio_transfer_for&>(self);
        const error_code error = me.outcome ? error_code{} : to_error_code(me.outcome.error());
        const std::size_t count = me.outcome ? *me.outcome : 0;
        const own_executor own = me.context.get_executor();
#ifdef MIRAGE_ASIO_CANCELLATION_SLOTS
        if (run)
            if (auto slot = asio::get_associated_cancellation_slot(me.handler); slot.is_connected())
                slot.clear();
#endif
        Handler handler{std::move(me.handler)};
        auto guard{std::move(me.guard)};
        allocator from{asio::get_associated_allocator(handler)};
        me.~asio_transfer_for(); // before the handler runs: it may start the next one in the same memory
        std::allocator_traits<allocator>::deallocate(from, &me, 1);
        if (!run)
            return;
        if constexpr (std::same_as<executor, own_executor>)
            if (guard.get_executor() == own)
                return (void)std::move(handler)(error, count);
        asio::dispatch(guard.get_executor(), [handler = std::move(handler), error, count]() mutable {
            std::move(handler)(error, count);
        });
    }
};

} // namespace adapter

/// A Mirage stream with Asio's interface: AsyncReadStream and AsyncWriteStream of the library itself, for any
/// completion token, with associated executors, allocators and (since Asio 1.19) cancellation slots. A read or
/// write uses the first buffer of its sequence that is not empty. One read and one write at a time.
///
/// Owns the stream. Move-only, also while operations wait; they are cancelled when it dies.
template <async_stream Stream>
class asio_stream {
    struct state {
        asio_context& context;
        Stream stream;
        intrusive_list<adapter::asio_transfer, adapter::of_stream> waiting{};

        void cancel() noexcept {
            for (auto* transfer = waiting.empty() ? nullptr : &waiting.front(); transfer != nullptr;
                 transfer = waiting.empty() ? nullptr : &waiting.front())
                transfer->cancel();
        }
        ~state() { cancel(); }
    };
    std::unique_ptr<state> state_;
    asio_context::executor_type executor_;

    static task<result<std::size_t>> transfer(Stream& s, asio::mutable_buffer b) {
        co_return co_await s.async_read_some(mutable_octets{static_cast<std::byte*>(b.data()), b.size()});
    }
    static task<result<std::size_t>> transfer(Stream& s, asio::const_buffer b) {
        co_return co_await s.async_write_some(octets{static_cast<const std::byte*>(b.data()), b.size()});
    }

    template <class Buffer>
    struct initiation {
        state* on;

        using executor_type = asio_context::executor_type;
        executor_type get_executor() const noexcept { return on->context.get_executor(); }

        template <class Handler, class Buffers>
        void operator()(Handler&& handler, const Buffers& buffers) const {
            Buffer chosen{};
            for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at)
                if (const Buffer b{*at}; b.size() > 0) {
                    chosen = b;
                    break;
                }
            auto& made = adapter::asio_transfer_for<std::decay_t<Handler>>::make(
                on->context, std::decay_t<Handler>(std::forward<Handler>(handler)));
            on->context.keep(made);
            on->waiting.push_back(made);
            made.start(transfer(on->stream, chosen));
        }
    };

public:
    using executor_type = asio_context::executor_type;
    using next_layer_type = Stream;

    asio_stream(asio_context& context, Stream&& stream)
        : state_{new state{context, std::move(stream)}}, executor_{context.get_executor()} {}
    asio_stream(asio_stream&&) noexcept = default;
    asio_stream& operator=(asio_stream&&) noexcept = default;

    executor_type get_executor() const noexcept { return executor_; }
    Stream& next_layer() noexcept { return state_->stream; }
    const Stream& next_layer() const noexcept { return state_->stream; }

    /// What waits completes with asio::error::operation_aborted.
    void cancel() noexcept { state_->cancel(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        static_assert(asio::is_mutable_buffer_sequence<Buffers>::value, "async_read_some: not a MutableBufferSequence");
        return asio::async_initiate<Token, void(error_code, std::size_t)>(initiation<asio::mutable_buffer>{state_.get()},
                                                                          token, buffers);
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        static_assert(asio::is_const_buffer_sequence<Buffers>::value, "async_write_some: not a ConstBufferSequence");
        return asio::async_initiate<Token, void(error_code, std::size_t)>(initiation<asio::const_buffer>{state_.get()},
                                                                          token, buffers);
    }
};
template <class Stream>
asio_stream(asio_context&, Stream) -> asio_stream<Stream>;

static_assert(asio::execution::is_executor<asio_context::executor_type>::value);

} // inline namespace
} // namespace mirage::async
