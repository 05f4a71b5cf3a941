// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/input.hpp"
#include "mirage/net/tcp/output.hpp"
#include "mirage/net/tcp/parts.hpp"
#include "mirage/net/tcp/timers.hpp"
#include "mirage/net/tcp/user.hpp"
#include <deque>
#include <doctest/doctest.h>
#include <functional>
#include <vector>

/// Two pure control blocks that exchange segments without octets, on a virtual clock.
namespace test {

using namespace mirage;
using namespace mirage::tcp;
using namespace std::chrono_literals;
using tcb_type = control_block<reno, newreno>;

/// A block in ESTABLISHED: SND.UNA = SND.NXT = 1000, RCV.NXT = 5000, both windows 10000, MSS 1000, no options.
template <class Tcb = tcb_type>
Tcb established(parameters settings = {.mss = 1000, .receive_buffer = 10'000, .no_delay = true}) {
    Tcb tcb;
    prepare(tcb, settings);
    open_passive(tcb, {.seq = {4999}, .window = 10'000, .syn = true, .mss = 1000, .sack_permitted = true}, {999}, instant{});
    const auto syn = next_transmission(tcb, instant{}, 1000);
    (void)header_for(tcb, *syn, instant{});
    transmitted(tcb, *syn, instant{});
    const auto out = segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .window = 10'000, .has_ack = true}, instant{});
    REQUIRE(out.established);
    REQUIRE(tcb.state == state::established);
    tcb.ack = {};
    return tcb;
}

/// Sends everything that may go now and returns the segments.
template <class Tcb>
std::vector<segment> drain(Tcb& tcb, instant now, std::uint32_t limit = 0) {
    std::vector<segment> sent;
    while (const auto t = next_transmission(tcb, now, limit == 0 ? tcb.mss : limit)) {
        sent.push_back(header_for(tcb, *t, now));
        transmitted(tcb, *t, now);
        REQUIRE(sent.size() < 10'000);
    }
    if (acknowledgement_due(tcb, now))
        sent.push_back(acknowledgement(tcb, now));
    return sent;
}

/// One side of a connection, and what its user would have been told.
struct side {
    tcb_type tcb{};
    std::vector<outcome> outcomes{};
    std::uint64_t received = 0;
};

/// Two sides, a wire without delay, and the power to lose segments.
struct wire {
    side client{}, server{};
    instant now{};
    std::function<bool(const segment&)> loses = [](const segment&) { return false; };
    std::vector<segment> from_client{}, from_server{};

    wire(parameters c = {.mss = 1000}, parameters s = {.mss = 1000}) {
        prepare(client.tcb, c);
        prepare(server.tcb, s);
    }

    void connect() {
        open_active(client.tcb, {1000});
        settle();
    }

    void deliver(side& to, const segment& seg) {
        if (to.tcb.state == state::closed && seg.syn && !seg.has_ack) {
            open_passive(to.tcb, seg, {5000}, now);
            return;
        }
        const auto out = segment_arrives(to.tcb, seg, now);
        if (out.text_in_order)
            to.received += out.text_length;
        if (out.text_in_order)
            (void)text_consumed(to.tcb, out.text_length);
        to.outcomes.push_back(out);
    }

    /// Lets segments fly until nobody has anything to say.
    void settle() {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto [from, to, log] : {std::tuple{&client, &server, &from_client}, {&server, &client, &from_server}}) {
                if (from->tcb.state == state::closed)
                    continue;
                for (const segment& seg : drain(from->tcb, now)) {
                    busy = true;
                    log->push_back(seg);
                    if (!loses(seg))
                        deliver(*to, seg);
                }
            }
        }
    }

    void after(duration d) {
        now += d;
        for (side* s : {&client, &server})
            if (s->tcb.state != state::closed && next_deadline(s->tcb) <= now)
                s->outcomes.push_back(on_time(s->tcb, now));
        settle();
    }
};

/// Loses the `n`-th segment (from 0) for which `match` holds, once.
template <class Match>
auto once(Match match, int n = 0) {
    return [match, n](const segment& seg) mutable { return match(seg) && n-- == 0; };
}

} // namespace test
