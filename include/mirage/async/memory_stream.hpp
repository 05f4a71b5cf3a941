// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/stream.hpp"
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace mirage::async {

/// Both directions of a stream that ends in memory: the test writes its input and reads its output. Short reads and
/// writes, a peer that stops reading, and a failure at the Nth operation are set here. Outlives its streams.
///
/// For tests, fuzzing and measurements: the vectors grow as they must.
class memory_wire {
    scheduler& home_;
    buffer_pool* pool_;
    std::vector<std::byte> input_, output_;
    std::size_t at_ = 0; ///< first octet of input_ that was not read
    std::size_t operations_ = 0, sends_ = 0;
    std::uint64_t sent_ = 0;
    std::optional<errc> input_end_;
    bool send_ended_ = false, aborted_ = false, destroyed_ = false;
    intrusive_list<operation> readers_, writers_;

    friend class memory_stream;
    friend class zero_copy_memory_stream;

    void wake(intrusive_list<operation>& waiting) noexcept {
        while (operation* const op = waiting.pop_front())
            home_.post(*op);
    }

    /// Counts an operation that is about to complete; whether it has to fail.
    bool fails() noexcept { return ++operations_ == fail_at || aborted_; }

    std::size_t readable() const noexcept { return input_.size() - at_; }
    bool read_ready() const noexcept { return readable() > 0 || input_end_ || aborted_; }
    bool write_ready() const noexcept { return !blocked_ || aborted_; }

    void put(octets o) {
        sent_ += o.size();
        if (keep_output)
            output_.insert(output_.end(), o.begin(), o.end());
    }

    bool blocked_ = false;

public:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    std::size_t next_read_length = unlimited;  ///< most octets that one read gives
    std::size_t next_write_length = unlimited; ///< most octets that one async_write_some takes
    std::size_t fail_at = 0;                   ///< the operation that fails, counted from 1; 0: none
    errc failure = errc::reset;                ///< what it fails with
    bool keep_output = true;                   ///< false: count what is sent and forget it

    /// With a pool, async_receive() gives slices of its buffers; without one, slices of the input itself, which
    /// then must not grow while one lives.
    explicit memory_wire(scheduler& home, buffer_pool* pool = nullptr) noexcept : home_{home}, pool_{pool} {}
    memory_wire(const memory_wire&) = delete;
    memory_wire& operator=(const memory_wire&) = delete;

    /// More input; wakes the reader.
    void feed(octets o) {
        input_.insert(input_.end(), o.begin(), o.end());
        wake(readers_);
    }
    void feed(std::string_view text) { feed(as_octets(text)); }
    /// No more input: reads fail with `how` when what is there has been read.
    void end_input(errc how = errc::eof) noexcept {
        input_end_ = how;
        wake(readers_);
    }
    /// The peer stops reading (reads again): sends wait.
    void block_output(bool blocked) noexcept {
        blocked_ = blocked;
        if (!blocked)
            wake(writers_);
    }
    /// Reads the same input from the start again.
    void rewind() noexcept { at_ = 0; }

    std::string_view output() const noexcept { return as_text(output_); }
    void clear_output() noexcept { output_.clear(); }
    std::size_t unread() const noexcept { return readable(); }
    std::size_t operations() const noexcept { return operations_; } ///< reads and writes that completed
    std::size_t sends() const noexcept { return sends_; }           ///< writes and sends that completed
    std::uint64_t sent() const noexcept { return sent_; }           ///< octets
    bool send_ended() const noexcept { return send_ended_; }        ///< shutdown_send() was called
    bool aborted() const noexcept { return aborted_; }
    bool destroyed() const noexcept { return destroyed_; }          ///< the stream object died
};

/// The end of a memory_wire that the code under test holds; copies, as a socket does.
class memory_stream {
protected:
    memory_wire* wire_;

    /// Waits on one of the wire's lists until `Ready`, then lets `Finish` do the work.
    template <auto Ready, auto List, class Finish>
    struct wait : resumption {
        memory_wire& wire;
        Finish finish;
        bool nothing; ///< to transfer: no reason to wait
        wait(memory_wire& w, Finish f, bool n) noexcept : wire{w}, finish{f}, nothing{n} {}
        bool await_ready() const noexcept { return nothing || (wire.*Ready)(); }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            set(h);
            (wire.*List).push_back(*this);
        }
        auto await_resume() { return finish(wire); }
    };
    template <class Finish>
    auto when_readable(Finish finish, bool nothing = false) noexcept {
        return wait<&memory_wire::read_ready, &memory_wire::readers_, Finish>{*wire_, finish, nothing};
    }
    template <class Finish>
    auto when_writable(Finish finish, bool nothing = false) noexcept {
        return wait<&memory_wire::write_ready, &memory_wire::writers_, Finish>{*wire_, finish, nothing};
    }

public:
    explicit memory_stream(memory_wire& wire) noexcept : wire_{&wire} {}
    memory_stream(memory_stream&& other) noexcept : wire_{std::exchange(other.wire_, nullptr)} {}
    memory_stream& operator=(memory_stream&&) = delete;
    ~memory_stream() {
        if (wire_ != nullptr)
            wire_->destroyed_ = true;
    }

    scheduler& get_executor() const noexcept { return wire_->home_; }

    auto async_read_some(mutable_octets room) noexcept {
        return when_readable([room](memory_wire& w) -> result<std::size_t> {
            if (w.fails())
                return std::unexpected(w.failure);
            const std::size_t n = std::min({room.size(), w.readable(), w.next_read_length});
            if (n == 0 && !room.empty())
                return std::unexpected(*w.input_end_);
            std::copy_n(w.input_.data() + w.at_, n, room.data());
            w.at_ += n;
            return n;
        }, room.empty());
    }
    auto async_write_some(octets o) noexcept {
        return when_writable([o](memory_wire& w) -> result<std::size_t> {
            if (w.fails())
                return std::unexpected(w.failure);
            const std::size_t n = std::min(o.size(), w.next_write_length);
            w.put(o.first(n));
            ++w.sends_;
            return n;
        }, o.empty());
    }
    void shutdown_send() noexcept { wire_->send_ended_ = true; }
    void abort() noexcept {
        wire_->aborted_ = true;
        wire_->wake(wire_->readers_);
        wire_->wake(wire_->writers_);
    }
};

/// The same with slices.
class zero_copy_memory_stream : public memory_stream {
public:
    using memory_stream::memory_stream;

    auto async_receive() noexcept {
        return when_readable([](memory_wire& w) -> result<slice> {
            if (w.fails())
                return std::unexpected(w.failure);
            const std::size_t n = std::min(w.readable(), w.next_read_length);
            if (n == 0)
                return std::unexpected(*w.input_end_);
            const octets o = octets{w.input_}.subspan(w.at_, n);
            if (w.pool_ == nullptr) {
                w.at_ += n;
                return slice::of_static(o);
            }
            page p = w.pool_->take();
            if (!p)
                return std::unexpected(errc::no_buffers);
            const std::size_t fits = std::min(n, p.room().size());
            std::copy_n(o.data(), fits, p.room().data());
            w.at_ += fits;
            return std::move(p).freeze(0, fits);
        });
    }
    auto async_send(std::span<slice> slices) noexcept {
        return when_writable([slices](memory_wire& w) -> result<> {
            if (w.fails())
                return std::unexpected(w.failure);
            for (slice& s : slices) {
                w.put(s.view());
                s.reset();
            }
            ++w.sends_;
            return {};
        });
    }
};

static_assert(async_stream<memory_stream> && closable_stream<memory_stream> && !zero_copy_stream<memory_stream>);
static_assert(zero_copy_stream<zero_copy_memory_stream> && closable_stream<zero_copy_memory_stream>);

} // namespace mirage::async
