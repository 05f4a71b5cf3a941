// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/four_tuple.hpp"
#include "mirage/net/tcp/input.hpp"
#include "mirage/net/tcp/output.hpp"
#include "mirage/net/tcp/slice_queue.hpp"
#include "mirage/net/tcp/timers.hpp"
#include "mirage/net/tcp/user.hpp"

namespace mirage::tcp {

struct table_hook : list_hook {}; ///< connection_table's chains
struct dirty_hook : list_hook {}; ///< connections that may have something to send
struct queue_hook : list_hook {}; ///< half open, waiting to be accepted, in TIME-WAIT: one at a time

/// Everything about one connection: the control block, its octets, and who waits for it. Owned by the layer.
template <congestion_control Congestion, class Recovery, class Ecn, class Endpoint>
struct connection : table_hook, dirty_hook, queue_hook {
    using block_type = control_block<Congestion, Recovery, Ecn>;
    block_type tcb = block_type(); // with (), compilers clear it in one piece
    four_tuple<Endpoint> tuple{};
    send_queue to_send{};
    receive_queue received{};
    intrusive_list<operation> readers{}, writers{}, openers{};
    void* listener = nullptr; ///< the passive opener, until accept() hands the connection out
    std::uint32_t send_limit = 0; ///< octets that to_send may hold
    ending ended = ending::none;
    bool has_handle = false;      ///< a stream object refers to this
    bool unreachable = false;     ///< while it was being opened, somebody said that there is no way to the peer

    /// The one timer: it may fire before anything is due, never after.
    struct alarm_timer : timer {
        connection& self;
        void* layer;
        alarm_timer(connection& c, void* l, void (*f)(timer&) noexcept) noexcept : timer{f}, self{c}, layer{l} {}
    } alarm;

    connection(void* layer, void (*on_alarm)(timer&) noexcept) noexcept : alarm{*this, layer, on_alarm} {}

    /// What an operation on the connection fails with once it has ended.
    errc error() const noexcept {
        switch (ended) {
        case ending::refused: return errc::refused;
        case ending::timed_out: return unreachable ? errc::unreachable : errc::timed_out;
        case ending::finished: return errc::closed;
        case ending::none:
        case ending::reset: break;
        }
        return errc::reset;
    }

    /// No more text will ever come.
    bool at_end() const noexcept {
        return ended != ending::none || (tcb.rcv.fin_known && at_or_before(tcb.rcv.fin_at, tcb.rcv.nxt));
    }
    bool readable() const noexcept { return received.has_text() || at_end(); }
    bool writable() const noexcept {
        return ended != ending::none || !may_send(tcb) || to_send.size() < send_limit;
    }
};

} // namespace mirage::tcp
