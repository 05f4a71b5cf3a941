// SPDX-License-Identifier: MIT
#pragma once
// Two hosts, a bad cable between them, and users who behave in every way that the interface allows: all of it drawn from
// one seed.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include "observer.hpp"
#include <memory>
#include <random>

namespace simulation {

using namespace std::chrono_literals;

/// How one end of a connection behaves, and what has come of it.
struct party {
    enum class manner : std::uint8_t {
        orderly,  ///< sends all, shuts down, reads to the end
        listens,  ///< reads to the end first, then sends and shuts down
        aborts,   ///< a RST after `turning_point` octets
        vanishes, ///< drops its handle after `turning_point` octets
    };
    manner how = manner::orderly;
    std::size_t to_send = 0, turning_point = 0, sent = 0, received = 0;
    unsigned salt = 0, peer_salt = 0;
    bool slow = false, no_delay = false, keep_alive = false;
    bool eof = false, wrong = false, done = false, connected = false, left = false;
    errc error{};

    bool impatient() const noexcept { return how == manner::aborts || how == manner::vanishes; }
};

/// Octet i of a direction.
inline std::byte octet_at(std::size_t i, unsigned salt) {
    return static_cast<std::byte>(static_cast<unsigned>((i + salt) * 2654435761u) >> 24);
}

/// What every control block must satisfy whenever nobody is at work on it.
template <class Tcb>
void check_control(const Tcb& tcb, verdict& v) {
    using tcp::at_or_before;
    const auto& snd = tcb.snd;
    if (!at_or_before(snd.una, snd.nxt) || !at_or_before(snd.nxt, snd.max))
        v.wrong("SND.UNA <= SND.NXT <= SND.MAX does not hold (RFC 9293 section 3.4)");
    if (after(snd.max, snd.end + 1) && tcb.synchronized())
        v.wrong("more was sent than there is");
    if (tcb.synchronized() && !at_or_before(tcb.rcv.nxt, tcb.rcv.advertised))
        v.wrong("RCV.NXT is beyond the window that was announced");
    if (tcb.synchronized() && tcb.congestion.window() < tcb.mss)
        v.wrong("the congestion window is less than a segment (RFC 5681 section 3.1)");
    if (tcb.rtt.rto < 1ms || tcb.rtt.rto > 121s)
        v.wrong("an RTO out of its bounds (RFC 6298 section 2)");
}

/// Two hosts, whose devices offload A and B. The near one's TCP is `Near`, the far one's what it is unless asked otherwise.
template <offload A, offload B, class Near>
class world {
    template <offload O, class Tcp>
    using stack_of = net::stack<memory::netif<O>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, Tcp>;
    template <class Stack>
    using stream_of = typename std::remove_cvref_t<decltype(std::declval<Stack&>().tcp())>::stream;
    using near = stack_of<A, Near>;
    using far = stack_of<B, net::tcp<>>;

    static constexpr ipv4_address near_address{10, 0, 0, 1}, far_address{10, 0, 0, 2};

    verdict verdict_{};
    std::mt19937 dice_;
    memory::simulation sim_{};
    memory::link<A, B> link_;
    memory::seeded_random near_random_, far_random_;
    observer observer_{verdict_};
    struct {
        observer& o;
        bool operator()(octets frame) {
            o.frame(frame);
            return true;
        }
    } eye_{observer_};
    near near_;
    far far_;
    struct pair {
        party caller{}, callee{};
        stream_of<near> call{};
        stream_of<far> answer{};
    };
    std::vector<std::unique_ptr<pair>> pairs_{};
    bool lossy_ = false;
    nursery tasks_{sim_.loop()};

    unsigned below(unsigned n) { return static_cast<unsigned>(dice_() % n); }
    bool one_in(unsigned n) { return below(n) == 0; }

    static memory::link_options link_options_of(std::mt19937& dice) {
        memory::link_options o;
        o.buffers = 32 + dice() % 300; // short of memory now and then, too
        o.mtu = dice() % 4 == 0 ? 576 + dice() % 925 : 1500;
        return o;
    }
    static net::tcp_options tcp_options_of(std::mt19937& dice) {
        net::tcp_options o;
        if (dice() % 2 == 0)
            o.receive_buffer = 1024u << dice() % 9u; // 1 to 256 KiB
        if (dice() % 2 == 0)
            o.send_buffer = 1024u << dice() % 9u;
        return o;
    }
    memory::impairment line() {
        memory::impairment bad{};
        bad.seed = dice_();
        bad.delay = std::chrono::microseconds{below(100'000)};
        bad.jitter = one_in(3) ? std::chrono::microseconds{below(5'000)} : 0us;
        bad.loss = one_in(3) ? 0 : below(50'000);
        bad.reorder = one_in(2) ? 0 : below(100'000);
        bad.reorder_delay = std::chrono::microseconds{below(20'000)};
        bad.duplicate = one_in(2) ? 0 : below(50'000);
        bad.corrupt = one_in(2) ? 0 : below(20'000);
        if (one_in(4)) {
            bad.bits_per_second = 1'000'000u << below(8);
            bad.queue = 20 + below(200);
        }
        return bad;
    }
    party someone() {
        party p;
        p.to_send = one_in(5) ? 0 : below(1u << (4 + below(14))); // 0 to 128 KiB, of every magnitude
        p.salt = static_cast<unsigned>(dice_());
        const unsigned how = below(8);
        p.how = how == 0 ? party::manner::aborts : how == 1 ? party::manner::vanishes
                : how == 2 ? party::manner::listens : party::manner::orderly;
        p.turning_point = below(100'000);
        p.slow = one_in(4);
        p.no_delay = one_in(3);
        p.keep_alive = one_in(4);
        return p;
    }

    template <class Stream>
    task<> send_all(Stream& s, party& p) {
        std::vector<std::byte> buffer(5000);
        while (p.sent < p.to_send && !p.left) {
            const std::size_t n = std::min<std::size_t>(1 + below(static_cast<unsigned>(buffer.size())), p.to_send - p.sent);
            for (std::size_t i = 0; i < n; ++i)
                buffer[i] = octet_at(p.sent + i, p.salt);
            for (std::size_t at = 0; at < n;) {
                const auto w = co_await s.async_write_some(octets{buffer}.subspan(at, n - at));
                if (!w) {
                    p.error = w.error();
                    co_return;
                }
                at += *w;
            }
            p.sent += n;
            if (p.impatient() && p.sent + p.received >= p.turning_point)
                p.left = true;
        }
        if (!p.left)
            s.shutdown_send();
    }

    static void verify(party& p, octets text) {
        for (const std::byte o : text)
            p.wrong |= o != octet_at(p.received++, p.peer_salt);
    }

    template <class Stream>
    task<> receive_all(Stream& s, party& p) {
        std::vector<std::byte> buffer(3000);
        while (!p.left) {
            if (p.slow && one_in(20)) // windows close
                co_await sim_.loop().sleep_for(std::chrono::milliseconds{below(300)});
            errc end{};
            if (one_in(2)) {
                const auto part = co_await s.async_receive();
                part ? verify(p, part->view()) : void(end = part.error());
            } else {
                const auto n = co_await s.async_read_some(mutable_octets{buffer}.first(1 + below(3000)));
                n ? verify(p, octets{buffer}.first(*n)) : void(end = n.error());
            }
            if (end == errc::eof)
                p.eof = true;
            else if (end != errc{})
                p.error = end;
            if (end != errc{})
                co_return;
            if (p.impatient() && p.sent + p.received >= p.turning_point)
                p.left = true;
        }
    }

    template <class Stream>
    task<> behave(Stream& s, party& p) {
        p.connected = true;
        s.no_delay(p.no_delay);
        s.keep_alive(p.keep_alive);
        if (p.how == party::manner::listens) {
            co_await receive_all(s, p);
            co_await send_all(s, p);
        } else { // who loses patience destroys both in the middle of what they await
            nursery work{sim_.loop()};
            (void)work.spawn(send_all(s, p));
            (void)work.spawn(receive_all(s, p));
            while (work.size() != 0 && !p.left)
                co_await sim_.loop().sleep_for(10ms);
        }
        if (p.how == party::manner::aborts)
            s.abort();
        s.reset();
        p.done = true;
    }

    task<> call(pair& of) {
        co_await sim_.loop().sleep_for(std::chrono::milliseconds{below(2000)});
        auto s = co_await near_.tcp().connect({far_address, 80});
        if (!s) {
            of.caller.error = s.error();
            of.caller.done = true;
            co_return;
        }
        // The one who accepts learns from the port whose connection it is.
        ports_[s->local().port] = &of;
        of.call = std::move(*s);
        co_await behave(of.call, of.caller);
    }
    task<> answer(stream_of<far> s) {
        // The caller may hear of the connection after us: wait for its name.
        const auto port = s.remote().port;
        for (int tries = 0; ports_.count(port) == 0 && tries < 20'000; ++tries)
            co_await sim_.loop().sleep_for(20ms);
        if (ports_.count(port) == 0)
            co_return; // the caller gave up meanwhile
        pair& of = *ports_[port];
        of.answer = std::move(s);
        co_await behave(of.answer, of.callee);
    }
    task<> serve() {
        auto listener = far_.tcp().listen(80);
        for (;;)
            if (auto s = co_await listener.accept())
                (void)tasks_.spawn(answer(std::move(*s)));
    }
    task<> pull_the_cable() {
        for (;;) {
            co_await sim_.loop().sleep_for(std::chrono::milliseconds{below(20'000)});
            observer_.blind = true;
            link_.a().up(false);
            link_.b().up(one_in(2));
            co_await sim_.loop().sleep_for(std::chrono::milliseconds{below(3'000)});
            link_.a().up(true);
            link_.b().up(true);
        }
    }
    std::map<std::uint16_t, pair*> ports_{};

    void check_now() {
        for (const auto& p : pairs_) {
            if (p->call)
                check_control(p->call.control(), verdict_);
            if (p->answer)
                check_control(p->answer.control(), verdict_);
        }
    }

    static const char* name(party::manner m) {
        constexpr const char* names[] = {"orderly", "listens", "aborts", "vanishes"};
        return names[static_cast<unsigned>(m)];
    }

    /// What both ends of a connection may say when all is over.
    void judge(const pair& of) {
        const party& a = of.caller;
        const party& b = of.callee;
        if (a.wrong || b.wrong)
            verdict_.wrong("an octet arrived that was not sent");
        if (a.received > b.sent + 5000 || b.received > a.sent + 5000)
            verdict_.wrong("more arrived than was sent");
        if (a.impatient() || b.impatient() || !a.connected)
            return; // who is left may be told anything but wrong octets
        for (const auto& [me, peer] : {std::pair{&a, &b}, {&b, &a}}) {
            if (me->error != errc{})
                verdict_.wrong("an orderly end is told error %u", static_cast<unsigned>(me->error));
            else if (!me->eof || me->received != peer->to_send)
                verdict_.wrong("%zu of %zu octets arrived before the end", me->received, peer->to_send);
        }
    }

public:
    explicit world(std::uint64_t seed)
        : dice_{static_cast<std::mt19937::result_type>(seed)}, link_{sim_.loop(), link_options_of(dice_)}, near_random_{seed},
          far_random_{~seed},
          near_{sim_.loop(), link_.a(), sim_.clock(), near_random_,
                {.network = {.ipv4 = {near_address, 24}}, .tcp = tcp_options_of(dice_)}},
          far_{sim_.loop(), link_.b(), sim_.clock(), far_random_,
               {.network = {.ipv4 = {far_address, 24}}, .tcp = tcp_options_of(dice_)}} {
        link_.a().impair(line());
        link_.b().impair(line());
        link_.a().filter(eye_);
        link_.b().filter(eye_);
    }
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    void capture(memory::pcap_writer& to) { link_.a().capture(to); }

    /// Runs the scenario; the verdict is empty when nothing was wrong.
    std::string run() {
        (void)tasks_.spawn(near_.run());
        (void)tasks_.spawn(far_.run());
        (void)tasks_.spawn(serve());
        for (unsigned n = 1 + below(4); n-- > 0;) {
            pairs_.push_back(std::make_unique<pair>());
            pair& p = *pairs_.back();
            p.caller = someone();
            p.callee = someone();
            // Two who wait for each other to speak wait for ever.
            if (p.caller.how == party::manner::listens && p.callee.how == party::manner::listens)
                p.callee.how = party::manner::orderly;
            // Who only listens never learns that a RST was lost, but by keep-alive (RFC 9293 section 3.8.4).
            p.caller.keep_alive |= p.callee.impatient();
            p.callee.keep_alive |= p.caller.impatient();
            p.caller.peer_salt = p.callee.salt;
            p.callee.peer_salt = p.caller.salt;
            (void)tasks_.spawn(call(p));
        }
        if (one_in(8))
            (void)tasks_.spawn(pull_the_cable());
        const auto over = [this] {
            check_now();
            for (const auto& p : pairs_)
                if (!p->caller.done || (p->caller.connected && !p->callee.done && p->answer))
                    return static_cast<bool>(verdict_);
            return true;
        };
        if (!sim_.run_until(over, 4h) && !verdict_)
            for (const auto& p : pairs_)
                if (!p->caller.done || !p->callee.done)
                    verdict_.wrong("not over after four hours: the caller %s (%zu of %zu sent, %zu received), the callee %s "
                                   "(%zu of %zu sent, %zu received)",
                                   name(p->caller.how), p->caller.sent, p->caller.to_send, p->caller.received,
                                   name(p->callee.how), p->callee.sent, p->callee.to_send, p->callee.received);
        if (!verdict_)
            for (const auto& p : pairs_)
                judge(*p);
        // RFC 9293 section 3.6: nobody is left but TIME-WAIT, and that for 2 MSL; who vanished has what it sent delivered first.
        const auto empty = [this] { return near_.tcp().connections() + far_.tcp().connections() == 0; };
        if (!verdict_ && !sim_.run_until(empty, 1h))
            verdict_.wrong("%zu connections are left behind", near_.tcp().connections() + far_.tcp().connections());
        sim_.run_for(1s);
        const auto whole = [](const buffer_pool& pool) { return pool.available() == pool.size(); };
        if (!verdict_ && !(whole(link_.a().receive_pool()) && whole(link_.b().receive_pool())))
            verdict_.wrong("a receive buffer did not come back");
        return verdict_.first;
    }

    instant now() const noexcept { return sim_.now(); }
};

} // namespace simulation
