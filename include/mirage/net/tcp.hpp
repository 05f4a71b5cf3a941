// SPDX-License-Identifier: MIT
#pragma once
// Joins the pure state machine of net/tcp/ to packets, buffers, timers and coroutines.
#include "mirage/core/frame_arena.hpp"
#include "mirage/core/pool_statistics.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/rate_limit.hpp"
#include "mirage/net/tcp/challenge_limit.hpp"
#include "mirage/net/tcp/connection.hpp"
#include "mirage/net/tcp/copied_text.hpp"
#include "mirage/net/tcp/ephemeral_port.hpp"
#include "mirage/net/tcp/isn.hpp"
#include "mirage/net/tcp/listener.hpp"
#include "mirage/net/tcp/options.hpp"
#include "mirage/net/tcp/parts.hpp"
#include "mirage/net/tcp/path_mtu.hpp"
#include "mirage/net/tcp/sack_report.hpp"
#include "mirage/net/tcp/statistics.hpp"
#include "mirage/net/tcp/stream.hpp"
#include "mirage/net/tcp/syn_cookie.hpp"
#include "mirage/net/tcp/table.hpp"
#include "mirage/net/tcp/wire_format.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/tcp.hpp"
#include <algorithm>
#include <array>
#include <memory>

namespace mirage::net {

namespace machine = ::mirage::tcp; // the pure core: in this namespace `tcp` is the layer

/// The TCP layer of a stack, made of `Parts`: see machine::composition. What is not listed is not in the image.
template <class... Parts>
struct tcp {
    static constexpr std::uint8_t protocol = 6;
    static constexpr bool needs_network = true;
    static constexpr bool marks_congestion = machine::composition<Parts...>::notification::listed;

    template <class Stack>
    class state;
};

using machine::bbr;
using machine::cubic;
using machine::ecn;
using machine::paced;
using machine::path_mtu_discovery;
using machine::reno;
using machine::syn_cookies;

template <class... Parts>
template <class Stack>
class tcp<Parts...>::state {
    using composition = machine::composition<Parts...>;
    using Congestion = typename composition::congestion;
    using Recovery = typename composition::recovery;
    using Ecn = typename composition::notification;

public:
    using address_type = typename Stack::address_type;
    using endpoint_type = typename Stack::endpoint_type;
    using connection_type = machine::connection<Congestion, Recovery, Ecn, endpoint_type>;
    using stream = machine::stream<state>;
    using listener = machine::listener<state>;

private:
    using four_tuple = machine::four_tuple<endpoint_type>;
    using header_room = typename Stack::header_room;
    static constexpr offload capabilities = Stack::device_type::capabilities;
    /// Pages of the device's pool that are kept free of text, so that acknowledgements can always come in.
    static constexpr std::size_t reserve_divisor = 8;

    Stack& stack_;
    siphash_key isn_secret_;
    tcp_options options_;
    machine::copied_text copies_;        ///< where async_write_some() copies to
    machine::slice_node_pool nodes_;
    machine::connection_table<connection_type> table_;
    intrusive_list<listener> listeners_;
    intrusive_list<connection_type, machine::dirty_hook> dirty_;
    intrusive_list<connection_type, machine::dirty_hook> blocked_;
    intrusive_list<connection_type, machine::queue_hook> time_wait_;
    std::size_t time_wait_count_ = 0;
    intrusive_list<operation> memory_waiters_; ///< writers that found no page or node
    std::uint16_t next_port_ = 0;
    rate_limit resets_{std::chrono::milliseconds{1}, 1000};
    challenge_limit challenges_{};
    tcp_statistics statistics_{};

    struct flush_operation : operation {
        state& self;
        explicit flush_operation(state& s) noexcept
            : operation{[](operation& me) noexcept { static_cast<flush_operation&>(me).self.flush(); }}, self{s} {}
    } flush_{*this};

    /// Connections whose segments the device had no room for try again a little later.
    struct retry_timer : timer {
        state& self;
        explicit retry_timer(state& s) noexcept
            : timer{[](timer& me) noexcept {
                  auto& layer = static_cast<retry_timer&>(me).self;
                  layer.dirty_.splice_back(layer.blocked_);
                  layer.stack_.loop().post(layer.flush_);
              }},
              self{s} {}
    } retry_{*this};
    static constexpr duration retry_delay = std::chrono::milliseconds{1};

    static siphash_key draw_key(auto& random) noexcept {
        return {random_integer<std::uint64_t>(random), random_integer<std::uint64_t>(random)};
    }


public:
    /// `settings.tcp` are the tcp_options. Reserves its pools from the heap; nothing is allocated per segment.
    state(Stack& owner, const auto& settings) noexcept
        : stack_{owner}, isn_secret_{draw_key(owner.random())},
          options_{with_defaults(settings.tcp, owner.device().receive_pool())},
          copies_{std::clamp<std::size_t>(owner.device().receive_pool().size() / 4, 16, 1024)},
          nodes_{4 * owner.device().receive_pool().size() + 256},
          table_{std::min<std::size_t>(options_.max_connections, 4096), draw_key(owner.random())},
          next_port_{random_integer<std::uint16_t>(owner.random())} {}

    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// Every stream and listener must be gone by now.
    ~state() {
        copies_.finish();
        while (connection_type* const c = table_.any())
            destroy(*c);
    }

    const tcp_statistics& statistics() const noexcept { return statistics_; }
    /// The layer's own, and the memory of what was copied.
    void publish(auto& registry, const char* labels) const noexcept {
        registry.add(statistics_, labels);
        registry.template add_as<pool_statistics<"tcp_copies_">>(copies_.pool().counts(), labels);
    }
    std::size_t connections() const noexcept { return static_cast<std::size_t>(statistics_.connections.value()); }
    scheduler& loop() noexcept { return stack_.loop(); }

    /// Opens `port` to peers. See listener.
    listener listen(std::uint16_t port, std::size_t backlog = 128, typename listener::filter admits = nullptr) noexcept {
        if constexpr (discovers)
            hear_of_losses();
        return listener{*this, port, backlog, admits};
    }

    /// Opens a connection to `peer`. errc::refused, errc::timed_out, errc::unreachable, errc::no_buffers,
    /// errc::in_use when every port is taken.
    task<result<stream>> connect(endpoint_type peer) noexcept {
        four_tuple tuple{{stack_.source_for(peer.address), 0}, peer};
        if (tuple.local.address.is_unspecified())
            co_return std::unexpected(errc::unreachable);
        if (!choose_port(tuple))
            co_return std::unexpected(errc::in_use);
        connection_type* const c = create(tuple);
        if (c == nullptr)
            co_return std::unexpected(errc::no_buffers);
        stream handle{*this, *c};
        hear_of_losses();
        machine::open_active(c->tcb, machine::initial_sequence_number(isn_secret_, c->tuple, stack_.now()));
        ++statistics_.connections_opened;
        touch(*c);
        struct awaiter : resumption {
            connection_type& c;
            explicit awaiter(connection_type& conn) noexcept : c{conn} {}
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                this->set(h);
                c.openers.push_back(*this);
            }
            void await_resume() const noexcept {}
        };
        co_await awaiter{*c};
        if (c->ended != machine::ending::none)
            co_return std::unexpected(c->error());
        c->unreachable = false; // whatever was in the way
        co_return std::move(handle);
    }

    /// A segment of ours did not arrive. Ends a connection that is being opened when the error is a hard one; a soft one
    /// is the reason to give when nobody answers in the end. RFC 1122 section 4.2.3.9, RFC 9293 section 3.9.2.2
    void undelivered(const lost_packet<address_type>& lost, errc why) noexcept {
        const std::byte* const header = lost.transport.data();
        connection_type* const c = table_.find({{lost.source, wire::tcp_at::source_port::load(header)},
                                                {lost.destination, wire::tcp_at::destination_port::load(header)}});
        if (c == nullptr)
            return;
        const machine::sequence seq{wire::tcp_at::sequence::load(header)};
        if (before(seq, c->tcb.snd.una) || !before(seq, c->tcb.snd.max)) // RFC 5927 section 4.1
            return;
        if (why == errc::too_large) {
            if constexpr (discovers)
                did_not_fit(*c, lost);
            return;
        }
        // Synchronized connections survive all other errors: RFC 5927 section 5.2.
        if (c->tcb.state != machine::state::syn_sent)
            return;
        if (why == errc::refused)
            finish(*c, machine::ending::refused);
        else
            c->unreachable = true;
    }

    /// A packet of the network layer below. RFC 9293 section 3.10.7
    void input(typename Stack::received_packet& packet) noexcept {
        ++statistics_.segments_received;
        if (!packet.unicast) // RFC 9293 section 3.9.2.3: not from or to a group
            return;
        const octets raw = packet.data.view();
        const auto view = wire::tcp_view::parse(raw, packet.pseudo_header(),
                                                packet.checksum_verified ? wire::verify::no : wire::verify::yes);
        if (!view) {
            ++(view.error() == errc::bad_checksum ? statistics_.bad_checksum : statistics_.malformed);
            return;
        }
        sack_blocks blocks;
        machine::segment seg = machine::segment_of<Recovery::selective>(*view, blocks);
        if constexpr (Ecn::listed)
            seg.ecn = machine::ecn_of(packet.network_header) | (static_cast<std::uint8_t>(view->flags()) & machine::flags_of_ecn);
        const four_tuple tuple{{packet.destination, view->destination_port()},
                                     {packet.source, view->source_port()}};
        packet.data.remove_prefix(raw.size() - seg.length);
        connection_type* c = table_.find(tuple);
        if (c != nullptr && c->tcb.state == machine::state::time_wait && may_reopen(*c, seg)) {
            finish(*c, machine::ending::finished);
            c = nullptr;
        }
        if (c == nullptr && (c = no_connection(tuple, seg)) == nullptr)
            return;
        // Text ahead of a hole was never acknowledged, so it may go: what fills the hole must not be turned away for it.
        if (seg.length > 0 && machine::at_or_before(seg.seq, c->tcb.rcv.nxt) && short_of_memory(*c))
            c->received.drop_early(nodes_);
        if (seg.length > 0 && short_of_memory(*c)) {
            // Its acknowledgement counts; its text will come again.
            ++statistics_.text_dropped;
            seg.length = 0;
            seg.fin = false;
        }
        const auto out = machine::segment_arrives(c->tcb, seg, stack_.now());
        carry_out(*c, out, &packet.data);
    }

    // What streams and listeners call.

    bool can_copy() const noexcept {
        return nodes_.available() > 1 && copies_.has_room();
    }

    void wait_to_write(connection_type& c, operation& op) noexcept {
        if (c.writable())
            memory_waiters_.push_back(op);
        else
            c.writers.push_back(op);
    }

    std::size_t read(connection_type& c, mutable_octets room) noexcept {
        const std::size_t n = c.received.read(room, nodes_);
        if (machine::text_consumed(c.tcb, static_cast<std::uint32_t>(n)))
            touch(c);
        return n;
    }

    slice take(connection_type& c) noexcept {
        slice data = c.received.pop(nodes_);
        if (machine::text_consumed(c.tcb, static_cast<std::uint32_t>(data.size())))
            touch(c);
        return data;
    }

    /// errc::would_block: wait_to_write() first; the slice holds what was not taken.
    result<> send(connection_type& c, slice& data) noexcept {
        if (!can_send(c))
            return std::unexpected(send_error(c));
        if (data.empty())
            return {};
        if (c.to_send.size() >= c.send_limit)
            return std::unexpected(errc::would_block);
        // Half the sequence space is the most that can be outstanding; a quarter at a time is far from it.
        if (nodes_.available() == 0)
            return std::unexpected(errc::would_block);
        const std::size_t n = std::min(data.size(), std::size_t{1} << 29);
        slice rest = data.share(n, data.size() - n);
        data.remove_suffix(rest.size());
        (void)c.to_send.push(std::move(data), nodes_);
        data = std::move(rest);
        machine::text_queued(c.tcb, static_cast<std::uint32_t>(n));
        touch(c);
        return data.empty() ? result<>{} : std::unexpected(errc::would_block);
    }

    result<std::size_t> write(connection_type& c, octets data) noexcept {
        if (!can_send(c))
            return std::unexpected(send_error(c));
        const std::size_t done = copies_.append(c.to_send, c.send_limit, data, nodes_);
        if (done == 0)
            return std::unexpected(errc::would_block);
        machine::text_queued(c.tcb, static_cast<std::uint32_t>(done));
        touch(c);
        return done;
    }

    void shutdown_send(connection_type& c) noexcept {
        if (c.ended != machine::ending::none)
            return;
        if (!machine::close(c.tcb))
            finish(c, machine::ending::finished);
        else
            touch(c);
    }

    void abort(connection_type& c) noexcept {
        if (c.ended != machine::ending::none)
            return;
        if (const auto reset = machine::abort(c.tcb))
            send_reset(c.tuple, *reset);
        finish(c, machine::ending::reset);
    }

    void keep_alive(connection_type& c, bool on) noexcept {
        c.tcb.settings.keep_alive = on;
        c.tcb.at.keep_alive = on ? stack_.now() + c.tcb.settings.keep_alive_idle : never;
        set_alarm(c);
    }

    /// The user's handle is gone.
    void release(connection_type& c) noexcept {
        c.has_handle = false;
        c.readers.clear();
        c.writers.clear();
        c.openers.clear();
        if (c.ended != machine::ending::none) {
            destroy(c);
            return;
        }
        c.tcb.orphaned = true;
        if (c.received.has_text() || c.received.has_early())
            return abort(c);
        if (!machine::close(c.tcb))
            return finish(c, machine::ending::finished);
        if (c.tcb.state == machine::state::fin_wait_2) // a peer that never closes does not keep this for ever
            c.tcb.at.time_wait = stack_.now() + 2 * c.tcb.settings.msl;
        if (c.tcb.state == machine::state::time_wait)
            enter_time_wait(c);
        touch(c);
    }

    bool open(listener& l) noexcept {
        for (listener& other : listeners_)
            if (other.port_ == l.port_)
                return false;
        listeners_.push_back(l);
        return true;
    }

    void close(listener& l) noexcept {
        for (auto* const queue : {&l.half_open_, &l.ready_})
            while (!queue->empty()) {
                connection_type& c = queue->front();
                abort(c);
            }
    }

    stream accepted(listener& l) noexcept {
        connection_type& c = *l.ready_.pop_front();
        --l.ready_count_;
        c.listener = nullptr;
        return stream{*this, c};
    }

    /// Sends what is due on every connection that changed; then the device may go.
    void flush() noexcept {
        while (connection_type* const c = dirty_.pop_front())
            output(*c);
        stack_.device().flush();
        while (can_copy() && !memory_waiters_.empty())
            stack_.loop().post(*memory_waiters_.pop_front());
    }

private:
    using sack_blocks = machine::sack_blocks;
    static constexpr bool discovers = composition::template has<path_mtu_discovery>;

    void hear_of_losses() noexcept {
        stack_.report_losses(wire::ip_protocol::tcp,
                             [](Stack& stack, const lost_packet<address_type>& lost, errc why) noexcept {
                                 stack.tcp().undelivered(lost, why);
                             });
    }

    /// Octets of a segment that are no text.
    static std::uint32_t headers_of(const connection_type& c) noexcept {
        return (is_ipv4(c.tuple.remote.address) ? 40u : 60u) + (c.tcb.timestamps.on ? 12u : 0u);
    }

    /// RFC 1191 section 6, RFC 8201 section 5
    void did_not_fit(connection_type& c, const lost_packet<address_type>& lost) noexcept {
        std::size_t mtu = 0;
        if constexpr (Stack::has_ipv6)
            if (!is_ipv4(c.tuple.remote.address))
                mtu = stack_.ip6().path_mtu(to_ipv6(c.tuple.remote.address));
        if (mtu == 0)
            mtu = std::max(lost.mtu != 0 ? lost.mtu : machine::lower_plateau(lost.length), machine::least_path_mtu);
        if (machine::path_takes(c.tcb, static_cast<std::uint32_t>(mtu) - headers_of(c)))
            touch(c);
    }

    bool short_of_memory(const connection_type& c) const noexcept {
        const buffer_pool& pool = stack_.device().receive_pool();
        if (nodes_.available() < 2 || pool.available() < pool.size() / reserve_divisor) [[unlikely]]
            return true;
        // Tiny segments pin whole frames: no connection may keep more than half of all.
        return c.received.pinned() > pool.size() * pool.buffer_size() / 2;
    }

    /// A SYN that is newer than all that the connection in TIME-WAIT has seen may open it again.
    /// RFC 9293 section 3.10.7.4 (first, TIME-WAIT), RFC 6191 section 2
    static bool may_reopen(const connection_type& c, const machine::segment& seg) noexcept {
        if (!seg.syn || seg.has_ack || seg.rst)
            return false;
        const auto& ts = c.tcb.timestamps;
        if (ts.on && seg.has_timestamps && static_cast<std::int32_t>(seg.timestamps.value - ts.recent) > 0)
            return true;
        return before(c.tcb.rcv.nxt, seg.seq);
    }

    /// RFC 9293 sections 3.10.7.1 and 3.10.7.2. A connection when the segment redeems a cookie: it is to take the segment.
    connection_type* no_connection(const four_tuple& tuple, const machine::segment& seg) noexcept {
        listener* const l = find_listener(tuple.local.port);
        const instant now = stack_.now();
        if (l == nullptr || seg.has_ack || !seg.syn) {
            if (seg.rst || (l != nullptr && !seg.syn && !seg.has_ack))
                return nullptr;
            if constexpr (composition::template has<syn_cookies>)
                if (l != nullptr && !seg.syn && now < l->cookies_until_)
                    if (const auto syn = machine::syn_cookie::redeem(isn_secret_, tuple, seg, now))
                        return redeemed(*l, tuple, *syn, seg.ack - 1);
            if (!resets_.take(now))
                ++statistics_.replies_withheld;
            else if (const auto reset = machine::reset_for(seg))
                send_reset(tuple, *reset);
            return nullptr;
        }
        if (seg.rst)
            return nullptr;
        if (l->admits_ != nullptr && !l->admits_(tuple.remote)) {
            ++statistics_.syn_refused;
            return nullptr;
        }
        if (l->ready_count_ >= l->backlog_) {
            ++statistics_.syn_dropped;
            return nullptr;
        }
        if (l->half_open_count_ >= l->backlog_) {
            if constexpr (composition::template has<syn_cookies>) {
                send_cookie(*l, tuple, seg);
                return nullptr;
            }
            ++statistics_.syn_dropped; // the oldest has had its chance (RFC 4987 section 3.3)
            finish(l->half_open_.front(), machine::ending::timed_out);
        }
        if (connection_type* const c = half_open(*l, tuple, seg, machine::initial_sequence_number(isn_secret_, tuple, now)))
            touch(*c);
        return nullptr;
    }

    /// A connection in SYN-RECEIVED. nullptr: no memory.
    connection_type* half_open(listener& l, const four_tuple& tuple, const machine::segment& syn, machine::sequence iss) noexcept {
        connection_type* const c = create(tuple);
        if (c == nullptr) {
            ++statistics_.syn_dropped;
            return nullptr;
        }
        c->tcb.settings.syn_retries = 5;
        machine::open_passive(c->tcb, syn, iss, stack_.now());
        c->listener = &l;
        l.half_open_.push_back(*c);
        ++l.half_open_count_;
        return c;
    }

    /// Answers a SYN and forgets it. RFC 4987 section 3.6
    void send_cookie(listener& l, const four_tuple& tuple, const machine::segment& syn) noexcept {
        const instant now = stack_.now();
        const machine::segment answer = machine::syn_cookie::answer(isn_secret_, tuple, syn, parameters_for(tuple), now);
        l.cookies_until_ = now + machine::syn_cookie::lifetime;
        ++statistics_.cookies_sent;
        (void)emit(tuple, answer, {}, 0);
    }

    /// The connection whose SYN was answered with a cookie, as it was when the answer went out. nullptr: no room now, the peer will
    /// try again.
    connection_type* redeemed(listener& l, const four_tuple& tuple, const machine::segment& syn, machine::sequence iss) noexcept {
        connection_type* const c = l.ready_count_ >= l.backlog_ ? nullptr : half_open(l, tuple, syn, iss);
        if (c == nullptr)
            return nullptr;
        machine::syn_cookie::answered(c->tcb);
        ++statistics_.cookies_redeemed;
        return c;
    }

    listener* find_listener(std::uint16_t port) noexcept {
        for (listener& l : listeners_)
            if (l.port_ == port)
                return &l;
        return nullptr;
    }

    /// A new connection in CLOSED. nullptr: no memory.
    connection_type* create(const four_tuple& tuple) noexcept {
        if (connections() >= options_.max_connections && !reclaim_time_wait())
            return nullptr;
        void* const memory = coroutine_frames.allocate(sizeof(connection_type));
        if (memory == nullptr)
            return nullptr;
        auto* const c = new (memory) connection_type{this, [](timer& t) noexcept {
            auto& alarm = static_cast<typename connection_type::alarm_timer&>(t);
            static_cast<state*>(alarm.layer)->on_alarm(alarm.self);
        }};
        c->tuple = tuple;
        c->send_limit = options_.send_buffer;
        machine::prepare(c->tcb, parameters_for(tuple));
        table_.insert(*c);
        statistics_.connections.add(1);
        return c;
    }

    machine::parameters parameters_for(const four_tuple& tuple) noexcept {
        // RFC 9293 section 3.7.1, RFC 8200 section 8.3
        const std::size_t headers = is_ipv4(tuple.remote.address) ? 40 : 60;
        const std::size_t mss = std::min<std::size_t>(stack_.device().mtu(), 65535) - headers;
        return {.mss = static_cast<std::uint16_t>(std::min<std::size_t>(mss, options_.mss_most)),
                .receive_buffer = options_.receive_buffer,
                .keep_alive = options_.keep_alive};
    }

    bool choose_port(four_tuple& tuple) noexcept {
        return machine::choose_ephemeral_port(tuple, isn_secret_, next_port_, [this](const four_tuple& t) noexcept {
            return find_listener(t.local.port) == nullptr && table_.find(t) == nullptr;
        });
    }

    bool reclaim_time_wait() noexcept {
        if (time_wait_.empty())
            return false;
        finish(time_wait_.front(), machine::ending::finished);
        return true;
    }

    static bool can_send(const connection_type& c) noexcept {
        return c.ended == machine::ending::none && machine::may_send(c.tcb);
    }
    static errc send_error(const connection_type& c) noexcept {
        return c.ended != machine::ending::none ? c.error() : errc::closed;
    }

    void wake(intrusive_list<operation>& waiting) noexcept {
        while (operation* const op = waiting.pop_front())
            stack_.loop().post(*op);
    }

    /// Lets `c` send when everything that is ready now has run, so that answers travel with acknowledgements.
    void touch(connection_type& c) noexcept {
        if (!static_cast<machine::dirty_hook&>(c).linked())
            dirty_.push_back(c);
        stack_.loop().post(flush_);
    }

    /// A connection may keep three congestion windows: one is in flight, and when a writer is woken, at half of its
    /// limit, there is still something to send. Not while others may need the memory.
    void grow_send_limit(connection_type& c) noexcept {
        if (copies_.pool().available() < copies_.pool().size() / 2 || nodes_.available() < nodes_.size() / 2)
            return;
        const auto useful = std::uint64_t{3} * c.tcb.congestion.window();
        c.send_limit = std::max(c.send_limit, static_cast<std::uint32_t>(
                                                  std::min<std::uint64_t>(useful, options_.send_buffer_most)));
    }

    void carry_out(connection_type& c, const machine::outcome& out, slice* text) noexcept {
        if (out.reply)
            send_reset(c.tuple, *out.reply);
        if (out.challenge) {
            if (challenges_.take(stack_.now(), stack_.random()))
                c.tcb.ack.now = true;
            else
                ++statistics_.replies_withheld;
        }
        if (out.acked > 0) {
            c.to_send.pop(out.acked, nodes_);
            if (c.send_limit < options_.send_buffer_most)
                grow_send_limit(c);
            if (c.to_send.size() <= c.send_limit / 2)
                wake(c.writers);
        }
        if (out.text && c.tcb.orphaned) // nobody will read it: RFC 9293 section 3.6.1, RFC 1122 section 4.2.2.13
            return abort(c);
        if (out.text)
            keep_text(c, out, std::move(*text));
        if (out.established)
            now_established(c);
        if (out.text_in_order || out.fin_received || c.at_end())
            wake(c.readers);
        if (out.time_wait)
            enter_time_wait(c);
        if (out.ended != machine::ending::none)
            return finish(c, out.ended);
        touch(c);
    }

    void keep_text(connection_type& c, const machine::outcome& out, slice&& text) noexcept {
        text.remove_prefix(out.text_offset);
        text.remove_suffix(text.size() - out.text_length);
        // A FIN that lies before what came earlier: one of them is a lie, and nothing may follow a FIN.
        if (c.tcb.rcv.fin_known && c.received.has_early() && after(c.received.early_end(), c.tcb.rcv.fin_at))
            c.received.drop_early(nodes_);
        if (!out.text_in_order) {
            c.tcb.rcv.latest = out.text_at;
            (void)c.received.keep(out.text_at, std::move(text), nodes_);
            return;
        }
        (void)c.received.push(std::move(text), nodes_); // short_of_memory() has kept a node
        if (!c.received.has_early())
            return;
        if (const std::uint32_t joined = c.received.join(c.tcb.rcv.nxt, nodes_); joined > 0) {
            machine::outcome more;
            machine::text_arrived(c.tcb, joined, stack_.now(), more);
            c.tcb.ack.now = true; // RFC 5681 section 4.2: a filled gap is acknowledged at once
            if (more.time_wait)
                enter_time_wait(c);
        }
    }

    void now_established(connection_type& c) noexcept {
        if (c.listener != nullptr) {
            auto& l = *static_cast<listener*>(c.listener);
            --l.half_open_count_;
            l.ready_.push_back(c);
            ++l.ready_count_;
            ++statistics_.connections_accepted;
            if (operation* const op = l.acceptors_.pop_front())
                stack_.loop().post(*op);
        }
        wake(c.openers);
    }

    void enter_time_wait(connection_type& c) noexcept {
        if (c.has_handle || c.listener != nullptr)
            return;
        // A compact wait is all that is left; the oldest makes room when they become many.
        time_wait_.push_back(c);
        if (++time_wait_count_ > options_.max_connections / 4)
            reclaim_time_wait();
    }

    [[gnu::noinline]] void forget(connection_type& c) noexcept {
        table_.erase(c);
        statistics_.connections.add(-1);
    }

    /// The connection is over: everybody who waits learns it, and it leaves the table.
    void finish(connection_type& c, machine::ending how) noexcept {
        if (c.ended != machine::ending::none)
            return;
        c.ended = how;
        c.tcb.state = machine::state::closed;
        ++statistics_.connections_closed;
        c.alarm.disarm();
        if (c.listener != nullptr) {
            auto& l = *static_cast<listener*>(c.listener);
            // Which of its two queues it is on shows in whether the handshake was completed.
            (c.tcb.snd.una == c.tcb.snd.iss ? l.half_open_count_ : l.ready_count_) -= 1;
            c.listener = nullptr;
        } else if (static_cast<machine::queue_hook&>(c).linked()) {
            --time_wait_count_;
        }
        static_cast<machine::queue_hook&>(c).unlink();
        static_cast<machine::dirty_hook&>(c).unlink();
        forget(c);
        c.to_send.clear(nodes_);
        wake(c.readers);
        wake(c.writers);
        wake(c.openers);
        if (!memory_waiters_.empty()) // what this connection held was perhaps all that they wait for
            stack_.loop().post(flush_);
        if (!c.has_handle)
            destroy(c);
    }

    void destroy(connection_type& c) noexcept {
        if (static_cast<machine::table_hook&>(c).linked())
            forget(c);
        c.received.clear(nodes_);
        c.to_send.clear(nodes_);
        std::destroy_at(&c);
        coroutine_frames.deallocate(&c, sizeof(connection_type));
    }

    void set_alarm(connection_type& c) noexcept {
        const instant due = machine::next_deadline(c.tcb);
        if (due != never && (!c.alarm.armed() || due < c.alarm.deadline()))
            stack_.loop().arm(c.alarm, due);
    }

    void on_alarm(connection_type& c) noexcept {
        if (machine::next_deadline(c.tcb) > stack_.loop().now()) // what it was armed for is done with
            return set_alarm(c);
        const auto out = machine::on_time(c.tcb, stack_.loop().now());
        if constexpr (discovers)
            if (out.ended == machine::ending::none)
                machine::suspect_black_hole(c.tcb, headers_of(c), is_ipv4(c.tuple.remote.address) ? machine::least_path_mtu : 1280u);
        carry_out(c, out, nullptr);
    }

    /// Sends what the windows and the device allow.
    void output(connection_type& c) noexcept {
        const instant now = stack_.now();
        const std::size_t limit = segment_limit(c);
        bool blocked = false;
        // Text may travel with an acknowledgement, but SACK blocks would make it longer than a frame: they go alone.
        [[maybe_unused]] const bool selective = c.tcb.selective && c.tcb.ack.now
                                                && (c.received.has_early() || c.tcb.rcv.twice != machine::sack_block{});
        while (const auto t = machine::next_transmission(c.tcb, now, static_cast<std::uint32_t>(limit))) {
            if (!transmit(c, *t, now)) {
                blocked = true;
                break;
            }
        }
        if (!blocked && c.tcb.keep_alive_due) { // RFC 9293 section 3.8.4: one before SND.NXT, no text
            c.tcb.keep_alive_due = false;
            (void)emit(c.tuple, machine::header_for(c.tcb, {.seq = c.tcb.snd.max - 1}, now), {}, 0);
        } else if (!blocked && c.tcb.state != machine::state::syn_sent
                   && (selective || machine::acknowledgement_due(c.tcb, now))) {
            machine::segment ack = machine::acknowledgement(c.tcb, now);
            sack_blocks blocks;
            if constexpr (Recovery::selective)
                ack.sack = machine::report_of(c, blocks);
            blocked = !emit(c.tuple, ack, {}, 0);
            c.tcb.ack.now = blocked;
        }
        if (blocked) { // the device's queue is full: again when it has had a turn
            blocked_.push_back(c);
            if (!retry_.armed())
                stack_.loop().arm(retry_, stack_.loop().now() + retry_delay);
        }
        set_alarm(c);
    }

    /// Whether what the device offers holds for packets to `peer`.
    bool device_assists(const address_type& peer) const noexcept {
        if constexpr (capabilities.ipv6)
            return is_ipv4(peer) || stack_.device().offloads().ipv6;
        else
            return is_ipv4(peer);
    }

    /// Octets of text per transmission: one segment, or as many whole ones as the device cuts apart.
    std::size_t segment_limit(connection_type& c) noexcept {
        if constexpr (Stack::has_ipv6)
            if (!is_ipv4(c.tuple.remote.address)) { // RFC 8201 section 5.4
                const std::size_t headers = c.tcb.timestamps.on ? 60 + 12 : 60;
                const std::size_t fits = stack_.ip6().path_mtu(to_ipv6(c.tuple.remote.address)) - headers;
                c.tcb.mss = static_cast<std::uint16_t>(std::min<std::size_t>(c.tcb.mss, fits));
            }
        if constexpr (capabilities.tso_size != 0)
            if (device_assists(c.tuple.remote.address)) {
                const std::size_t most = stack_.device().offloads().tso_size;
                const unsigned headers = is_ipv4(c.tuple.remote.address) ? 80 : 100; // of IP, and the most that TCP may have
                if (most > c.tcb.mss + headers)
                    return (most - headers) / c.tcb.mss * c.tcb.mss;
            }
        return c.tcb.mss;
    }

    bool transmit(connection_type& c, machine::transmission t, instant now) noexcept {
        machine::fragments parts;
        std::size_t length = t.length == 0 ? 0 : c.to_send.gather(t.offset, t.length, parts);
        if (length < t.length) { // too many small slices for one frame
            if (length > c.tcb.mss)
                length -= length % c.tcb.mss;
            t.length = static_cast<std::uint32_t>(length);
            t.fin = t.psh = false;
            parts.truncate(length);
        }
        const auto saved = c.tcb.ack;
        const auto gso = static_cast<std::uint16_t>(t.length > c.tcb.mss ? c.tcb.mss : 0);
        if (!emit(c.tuple, machine::header_for(c.tcb, t, now), parts.view(), gso)) {
            c.tcb.ack = saved;
            return false;
        }
        // What repeats an octet counts, a probe of a closed window too: RFC 4022, tcpRetransSegs.
        statistics_.segments_retransmitted += before(t.seq, c.tcb.snd.max) ? 1 : 0;
        machine::transmitted(c.tcb, t, now);
        return true;
    }

    void send_reset(const four_tuple& tuple, const machine::segment& seg) noexcept {
        ++statistics_.resets_sent;
        (void)emit(tuple, seg, {}, 0);
    }

    /// Writes the header and hands the segment to the network layer. False: the device has no room.
    bool emit(const four_tuple& tuple, const machine::segment& seg, std::span<const slice> text,
              std::uint16_t gso_size) noexcept {
        const wire::tcp_header header = machine::header_of<Recovery::selective, Ecn::listed>(seg, tuple.local.port, tuple.remote.port);
        header_room room;
        const std::size_t header_length = header.size();
        const mutable_octets at = room.transport(header_length);
        bool offloaded = gso_size != 0;
        if constexpr (capabilities.tx_checksum)
            offloaded |= device_assists(tuple.remote.address) && stack_.device().offloads().tx_checksum;
        const auto pseudo = wire::pseudo_header_sum(tuple.local.address, tuple.remote.address, tcp::protocol,
                                                    static_cast<std::uint16_t>(header_length + seg.length));
        if (offloaded) {
            header.emit_for_offload(at, pseudo);
        } else {
            wire::running_sum sum{pseudo};
            for (const slice& s : text)
                sum.add(s.view());
            header.emit(at, sum.partial());
        }
        ++statistics_.segments_sent;
        std::uint8_t codepoint = 0;
        if constexpr (Ecn::listed)
            codepoint = seg.ecn & machine::ecn_bits::codepoint;
        const outgoing_packet packet{.protocol = tcp::protocol,
                                     .transport_length = header_length,
                                     .payload = text,
                                     .checksum_offset = wire::tcp_at::checksum::offset,
                                     .checksum_offload = offloaded,
                                     .ecn = codepoint,
                                     .gso_size = gso_size,
                                     .do_not_fragment = true};
        const auto sent = stack_.transmit(room, tuple.local.address, tuple.remote.address, packet);
        return sent || sent.error() != errc::would_block;
    }
};

} // namespace mirage::net
