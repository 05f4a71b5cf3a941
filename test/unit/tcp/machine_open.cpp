// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

SCENARIO("opening a connection (RFC 9293 section 3.5)") {
    wire link;

    WHEN("a client opens over a perfect wire") {
        link.connect();
        THEN("three segments are enough (figure 6)") {
            CHECK(link.client.tcb.state == state::established);
            CHECK(link.server.tcb.state == state::established);
            CHECK(link.client.tcb.rcv.nxt == sequence{5001});
            CHECK(link.server.tcb.rcv.nxt == sequence{1001});
            CHECK(link.from_client.size() == 2);
            CHECK(link.from_server.size() == 1);
        }
    }
    WHEN("the first SYN is lost") {
        link.loses = once([](const segment& s) { return s.syn && !s.has_ack; });
        link.connect();
        CHECK(link.client.tcb.state == state::syn_sent);
        THEN("it is sent again after 1 s, and not before (RFC 6298 section 2.1)") {
            link.after(999ms);
            CHECK(link.client.tcb.state == state::syn_sent);
            link.after(1ms);
            CHECK(link.client.tcb.state == state::established);
            CHECK(link.server.tcb.state == state::established);
        }
        THEN("the timeout is 3 s when data begin, for nothing could be timed (RFC 6298 section 5.7)") {
            link.after(1s);
            CHECK(link.client.tcb.rtt.rto == 3s);
        }
    }
    WHEN("the SYN-ACK is lost") {
        link.loses = once([](const segment& s) { return s.syn && s.has_ack; });
        link.connect();
        link.after(1s);
        THEN("one of the two retransmissions completes the handshake") {
            CHECK(link.client.tcb.state == state::established);
            CHECK(link.server.tcb.state == state::established);
        }
    }
    WHEN("the third segment is lost") {
        link.loses = once([](const segment& s) { return !s.syn && s.has_ack; });
        link.connect();
        CHECK(link.server.tcb.state == state::syn_received);
        THEN("the SYN-ACK comes again and is acknowledged") {
            link.after(1s);
            CHECK(link.server.tcb.state == state::established);
        }
    }
    WHEN("nobody answers") {
        link.loses = [](const segment&) { return true; };
        link.connect();
        THEN("the SYN is given up after its retries, R2 of at least 3 minutes or as set (RFC 9293 section 3.8.3)") {
            std::vector<duration> gaps;
            instant last = link.now;
            while (link.client.outcomes.empty() || link.client.outcomes.back().ended == ending::none) {
                link.after(next_deadline(link.client.tcb) - link.now);
                gaps.push_back(link.now - last);
                last = link.now;
                REQUIRE(gaps.size() < 20);
            }
            CHECK(link.client.outcomes.back().ended == ending::timed_out);
            CHECK(gaps == std::vector<duration>{1s, 2s, 4s, 8s, 16s, 32s, 60s}); // RFC 6298 section 5.5
        }
    }
}

SCENARIO("both sides open at once (RFC 9293 section 3.5, figure 7)") {
    wire link;
    open_active(link.client.tcb, {1000});
    open_active(link.server.tcb, {5000});
    link.settle();
    CHECK(link.client.tcb.state == state::established);
    CHECK(link.server.tcb.state == state::established);
    CHECK(link.client.tcb.rcv.nxt == sequence{5001});
    CHECK(link.server.tcb.rcv.nxt == sequence{1001});
}

SCENARIO("what the two SYNs agree on") {
    GIVEN("both offer everything") {
        wire link{{.mss = 1460, .receive_buffer = 1 << 20}, {.mss = 1200, .receive_buffer = 1 << 18}};
        link.connect();
        THEN("the smaller MSS rules, less the timestamps' 12 octets (RFC 9293 section 3.7.1)") {
            CHECK(link.client.tcb.mss == 1200 - 12);
            CHECK(link.server.tcb.mss == 1200 - 12);
        }
        THEN("windows are scaled, but not that of a SYN (RFC 7323 section 2.2)") {
            CHECK(link.client.tcb.rcv.scale == 5);
            CHECK(link.server.tcb.snd.scale == 5);
            CHECK(link.server.tcb.rcv.scale == 3);
            CHECK(link.client.tcb.snd.scale == 3);
            CHECK(link.from_client.at(0).window == 0xffff);
            CHECK(link.server.tcb.snd.wnd == 1 << 20);
        }
        THEN("timestamps are on (RFC 7323 section 3.2)") { CHECK(link.server.tcb.timestamps.on); }
    }
    GIVEN("a peer that offers nothing") {
        tcb_type tcb;
        prepare(tcb, {.mss = 1460, .receive_buffer = 1 << 20});
        open_passive(tcb, {.seq = {1}, .window = 500, .syn = true}, {100}, instant{});
        THEN("536 octets are its MSS (RFC 9293 section 3.7.1, MUST-15), and nothing is scaled or stamped") {
            CHECK(tcb.mss == 536);
            CHECK(tcb.rcv.scale == 0);
            const auto syn = drain(tcb, instant{}).at(0);
            CHECK(syn.window_scale == -1);
            CHECK_FALSE(syn.has_timestamps);
        }
    }
    GIVEN("a shift count above 14") {
        tcb_type tcb;
        prepare(tcb, {.mss = 1460});
        open_passive(tcb, {.seq = {1}, .window = 500, .syn = true, .window_scale = 77}, {100}, instant{});
        THEN("it is taken as 14 (RFC 7323 section 2.3)") { CHECK(tcb.snd.scale == 14); }
    }
    GIVEN("an MSS that would be all header") {
        tcb_type tcb;
        prepare(tcb, {.mss = 1460});
        open_passive(tcb, {.seq = {1}, .window = 500, .syn = true, .mss = 1}, {100}, instant{});
        THEN("segments stay of a useful size") { CHECK(tcb.mss == 64); }
    }
}

TEST_CASE("SYN-SENT, segment by segment (RFC 9293 section 3.10.7.3)") {
    struct row {
        const char* says;
        segment seg;
        state then;
        ending ended;
        bool reset;
    };
    const row table[] = {
        {"an ACK of what was not sent is answered by RST", {.seq = {1}, .ack = {1000}, .has_ack = true}, state::syn_sent, ending::none, true},
        {"an ACK beyond SND.NXT is answered by RST", {.seq = {1}, .ack = {1002}, .has_ack = true}, state::syn_sent, ending::none, true},
        {"a RST with an unacceptable ACK is dropped", {.seq = {1}, .ack = {1000}, .rst = true, .has_ack = true}, state::syn_sent, ending::none, false},
        {"a RST without ACK is dropped (RFC 5961 section 3)", {.seq = {1}, .rst = true}, state::syn_sent, ending::none, false},
        {"a RST with our ACK refuses", {.seq = {0}, .ack = {1001}, .rst = true, .has_ack = true}, state::syn_sent, ending::refused, false},
        {"an ACK alone is dropped", {.seq = {1}, .ack = {1001}, .has_ack = true}, state::syn_sent, ending::none, false},
        {"a SYN with our ACK establishes", {.seq = {1}, .ack = {1001}, .syn = true, .has_ack = true}, state::established, ending::none, false},
        {"a SYN alone is a simultaneous open", {.seq = {1}, .syn = true}, state::syn_received, ending::none, false},
    };
    for (const row& r : table) {
        CAPTURE(r.says);
        tcb_type tcb;
        prepare(tcb, {});
        open_active(tcb, {1000});
        (void)drain(tcb, instant{});
        const auto out = segment_arrives(tcb, r.seg, instant{});
        CHECK(tcb.state == r.then);
        CHECK(out.ended == r.ended);
        CHECK(out.reply.has_value() == r.reset);
    }
}

TEST_CASE("segments without a connection are answered by RST (RFC 9293 section 3.10.7.1)") {
    CHECK_FALSE(reset_for({.seq = {7}, .rst = true}));
    const auto to_ack = reset_for({.seq = {7}, .ack = {42}, .has_ack = true});
    REQUIRE(to_ack);
    CHECK(to_ack->seq == sequence{42});
    CHECK_FALSE(to_ack->has_ack);
    const auto to_syn = reset_for({.seq = {7}, .length = 5, .syn = true});
    REQUIRE(to_syn);
    CHECK(to_syn->seq == sequence{0});
    CHECK(to_syn->ack == sequence{13});
    CHECK(to_syn->has_ack);
}
