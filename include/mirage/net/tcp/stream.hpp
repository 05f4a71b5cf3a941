// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/async/stream.hpp"
#include "mirage/net/tcp/connection.hpp"
#include <utility>

namespace mirage::tcp {

/// How a connection fares. Sizes in octets.
struct connection_info {
    tcp::state state{};
    duration srtt{}, rttvar{}, rto{};   ///< RFC 6298 section 2
    std::uint32_t cwnd = 0, ssthresh = 0; ///< RFC 5681 section 2
    std::uint32_t flight = 0;           ///< sent and not acknowledged
    std::uint16_t mss = 0;              ///< largest text of a segment that we send
    std::uint32_t snd_wnd = 0, rcv_wnd = 0; ///< what the peer, and what we, offer
    std::uint64_t octets_sent = 0, octets_acked = 0, octets_received = 0; ///< of text; those sent again count again
    std::uint32_t retransmits = 0, timeouts = 0, fast_recoveries = 0;
    std::uint32_t needless_reductions = 0; ///< of the window, that were undone
    std::uint32_t out_of_order = 0, duplicate_segments = 0; ///< segments
    bool ecn = false;                   ///< both ends want marks instead of losses (RFC 3168)
    std::uint32_t marked = 0, marked_reductions = 0; ///< segments that came with a mark; reductions of the window for marks
};

/// A TCP connection in the user's hands. Models zero_copy_stream and closable_stream.
///
/// Move-only; one reader and one writer at a time. Destroying it closes in the background: what was sent is still
/// delivered, then the FIN; text that came and was not read resets the connection instead (RFC 9293 section 3.6.1,
/// RFC 2525 section 2.17). Must not outlive the stack.
template <class Layer>
class stream {
    using connection_type = typename Layer::connection_type;

    Layer* layer_ = nullptr;
    connection_type* connection_ = nullptr;

    friend Layer;
    stream(Layer& layer, connection_type& connection) noexcept : layer_{&layer}, connection_{&connection} {
        connection.has_handle = true;
    }

    struct waiter : resumption {
        Layer& layer;
        connection_type& connection;
        waiter(Layer& l, connection_type& c) noexcept : layer{l}, connection{c} {}
    };

    struct receive_waiter : waiter {
        using waiter::waiter;
        bool await_ready() const noexcept { return this->connection.readable(); }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            this->set(h);
            this->connection.readers.push_back(*this);
        }
        errc end() const noexcept {
            const auto& c = this->connection;
            return c.ended != ending::none && !c.tcb.rcv.fin_known ? c.error() : errc::eof;
        }
    };

    struct read_awaiter : receive_waiter {
        mutable_octets room;
        read_awaiter(Layer& l, connection_type& c, mutable_octets r) noexcept : receive_waiter{l, c}, room{r} {}
        bool await_ready() const noexcept { return room.empty() || receive_waiter::await_ready(); }
        result<std::size_t> await_resume() noexcept {
            if (room.empty())
                return std::size_t{0};
            const std::size_t n = this->layer.read(this->connection, room);
            if (n == 0)
                return std::unexpected(this->end());
            return n;
        }
    };

    struct slice_awaiter : receive_waiter {
        using receive_waiter::receive_waiter;
        result<slice> await_resume() noexcept {
            slice data = this->layer.take(this->connection);
            if (data.empty())
                return std::unexpected(this->end());
            return data;
        }
    };

    /// An attempt that is repeated, whenever there may be room, until it does not say would_block.
    template <class Attempt, class T>
    struct retrying_awaiter : operation {
        Layer& layer;
        connection_type& connection;
        Attempt attempt;
        result<T> outcome{};
        std::coroutine_handle<> writer{};

        retrying_awaiter(Layer& l, connection_type& c, Attempt a) noexcept
            : operation{[](operation& self) noexcept {
                  auto& me = static_cast<retrying_awaiter&>(self);
                  if (me.advance())
                      me.writer.resume();
                  else
                      me.layer.wait_to_write(me.connection, me);
              }},
              layer{l}, connection{c}, attempt{std::move(a)} {}

        /// True: the outcome is final.
        bool advance() noexcept {
            outcome = attempt(layer, connection);
            return outcome || outcome.error() != errc::would_block;
        }
        bool await_ready() noexcept { return advance(); }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            writer = h;
            layer.wait_to_write(connection, *this);
        }
        result<T> await_resume() const noexcept { return outcome; }
    };

    template <class T, class Attempt>
    auto retrying(Attempt attempt) noexcept {
        return retrying_awaiter<Attempt, T>{*layer_, *connection_, std::move(attempt)};
    }

public:
    stream() noexcept = default;
    stream(stream&& other) noexcept
        : layer_{other.layer_}, connection_{std::exchange(other.connection_, nullptr)} {}
    stream& operator=(stream&& other) noexcept {
        if (this != &other) {
            reset();
            layer_ = other.layer_;
            connection_ = std::exchange(other.connection_, nullptr);
        }
        return *this;
    }
    ~stream() { reset(); }

    explicit operator bool() const noexcept { return connection_ != nullptr; }

    scheduler& get_executor() const noexcept { return layer_->loop(); }

    /// See async_read_stream.
    auto async_read_some(mutable_octets room) noexcept { return read_awaiter{*layer_, *connection_, room}; }
    /// See zero_copy_stream: the next slice of the device's own memory.
    auto async_receive() noexcept { return slice_awaiter{*layer_, *connection_}; }
    /// See async_write_stream: copies into a page of the stack's.
    auto async_write_some(octets data) noexcept {
        return retrying<std::size_t>([data](Layer& layer, connection_type& c) noexcept -> result<std::size_t> {
            if (data.empty())
                return std::size_t{0};
            return layer.write(c, data);
        });
    }
    /// See zero_copy_stream: keeps the slices until they are acknowledged.
    auto async_send(std::span<slice> slices) noexcept {
        return retrying<void>([slices](Layer& layer, connection_type& c) mutable noexcept -> result<> {
            for (; !slices.empty(); slices = slices.subspan(1))
                if (const auto sent = layer.send(c, slices.front()); !sent)
                    return sent;
            return {};
        });
    }
    auto async_send(slice& data) noexcept { return async_send(std::span{&data, 1}); }

    /// What was sent so far is delivered, then the FIN. Reading goes on. RFC 9293 section 3.10.4
    void shutdown_send() noexcept { layer_->shutdown_send(*connection_); }
    /// Ends both ways at once with a RST. RFC 9293 section 3.10.5
    void abort() noexcept { layer_->abort(*connection_); }
    /// Lets go, as the destructor does.
    void reset() noexcept {
        if (connection_ != nullptr)
            layer_->release(*std::exchange(connection_, nullptr));
    }

    auto local() const noexcept { return connection_->tuple.local; }
    auto remote() const noexcept { return connection_->tuple.remote; }

    /// Nagle's algorithm off (RFC 9293 section 3.7.4): small segments go out at once.
    void no_delay(bool on) noexcept { connection_->tcb.settings.no_delay = on; }
    /// Keep-alive probes on or off (RFC 9293 section 3.8.4).
    void keep_alive(bool on) noexcept { layer_->keep_alive(*connection_, on); }
    /// How long what was sent may stay without an acknowledgement until the connection is given up, at least 1 s: the local half of
    /// RFC 5482 section 3; R2 of RFC 9293 section 3.8.3.
    void user_timeout(duration t) noexcept {
        connection_->tcb.settings.user_timeout = std::chrono::duration_cast<milliseconds32>(
            std::clamp<duration>(t, std::chrono::seconds{1}, std::chrono::hours{24}));
    }
    connection_info info() const noexcept {
        const auto& c = connection_->tcb;
        const auto& s = c.statistics;
        connection_info all{.state = c.state, .srtt = c.rtt.srtt, .rttvar = c.rtt.rttvar, .rto = current_rto(c),
                .cwnd = c.congestion.window(), .ssthresh = c.congestion.ssthresh(),
                .flight = octets_between(c.snd.una, c.snd.max), .mss = c.mss, .snd_wnd = c.snd.wnd, .rcv_wnd = receive_window(c),
                .octets_sent = s.octets_sent, .octets_acked = s.octets_acked, .octets_received = s.octets_received,
                .retransmits = s.retransmits, .timeouts = s.timeouts, .fast_recoveries = s.fast_recoveries,
                .needless_reductions = s.needless_reductions,
                .out_of_order = s.out_of_order, .duplicate_segments = s.duplicate_segments};
        if constexpr (std::remove_cvref_t<decltype(c)>::ecn_policy::listed) {
            all.ecn = c.ecn.capable;
            all.marked = c.ecn.marked;
            all.marked_reductions = c.ecn.reductions;
        }
        return all;
    }
    /// All that is known of the connection, under RFC 9293's names.
    const auto& control() const noexcept { return connection_->tcb; }
};

} // namespace mirage::tcp
