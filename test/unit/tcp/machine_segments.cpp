// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

TEST_CASE("ESTABLISHED, segment by segment (RFC 9293 section 3.10.7.4)") {
    struct row {
        const char* says;
        segment seg;
        bool ack_now;
        ending ended;
        std::uint32_t rcv_nxt;
    };
    // RCV.NXT 5000, window 10000, SND.UNA = SND.NXT = 1000
    const row table[] = {
        {"first: text at RCV.NXT is taken", {.seq = {5000}, .ack = {1000}, .length = 10, .window = 10'000, .has_ack = true}, false, ending::none, 5010},
        {"first: old text is acknowledged and dropped", {.seq = {4990}, .ack = {1000}, .length = 10, .window = 10'000, .has_ack = true}, true, ending::none, 5000},
        {"first: half old text is cut", {.seq = {4990}, .ack = {1000}, .length = 30, .window = 10'000, .has_ack = true}, false, ending::none, 5020},
        {"first: text behind the window is acknowledged and dropped", {.seq = {15'000}, .ack = {1000}, .length = 10, .window = 10'000, .has_ack = true}, true, ending::none, 5000},
        {"first: text across the window's end is cut", {.seq = {5000}, .ack = {1000}, .length = 12'000, .window = 10'000, .has_ack = true}, true, ending::none, 15'000},
        {"second: RST at RCV.NXT resets (RFC 5961 section 3.2)", {.seq = {5000}, .rst = true}, false, ending::reset, 5000},
        {"second: RST elsewhere in the window is challenged", {.seq = {5001}, .rst = true}, true, ending::none, 5000},
        {"second: RST outside of the window is dropped", {.seq = {4999}, .rst = true}, false, ending::none, 5000},
        {"fourth: SYN in the window is challenged (RFC 5961 section 4.2)", {.seq = {5000}, .syn = true}, true, ending::none, 5000},
        {"fourth: SYN outside of the window too", {.seq = {99}, .syn = true}, true, ending::none, 5000},
        {"fifth: no ACK, no effect", {.seq = {5000}, .length = 10}, false, ending::none, 5000},
        {"fifth: ACK of what was not sent is answered (RFC 5961 section 5.2)", {.seq = {5000}, .ack = {1001}, .length = 10, .has_ack = true}, true, ending::none, 5000},
        {"fifth: ACK older than any window is challenged (RFC 5961 section 5.2)", {.seq = {5000}, .ack = {1000 - 20'000u}, .length = 10, .has_ack = true}, true, ending::none, 5000},
        {"seventh: text behind a hole is kept and answered at once (RFC 5681 section 4.2)", {.seq = {5100}, .ack = {1000}, .length = 10, .window = 10'000, .has_ack = true}, true, ending::none, 5000},
        {"eighth: FIN takes one sequence number", {.seq = {5000}, .ack = {1000}, .window = 10'000, .fin = true, .has_ack = true}, true, ending::none, 5001},
        {"eighth: FIN behind text", {.seq = {5000}, .ack = {1000}, .length = 3, .window = 10'000, .fin = true, .has_ack = true}, true, ending::none, 5004},
    };
    for (const row& r : table) {
        CAPTURE(r.says);
        auto tcb = established();
        const auto out = segment_arrives(tcb, r.seg, instant{});
        CHECK((tcb.ack.now || out.challenge) == r.ack_now);
        CHECK(out.ended == r.ended);
        CHECK(tcb.rcv.nxt == sequence{r.rcv_nxt});
        CHECK_FALSE(out.reply);
    }
}

SCENARIO("a FIN that comes before the text in front of it (RFC 9293 section 3.10.7.4, eighth)") {
    auto tcb = established();
    auto out = segment_arrives(tcb, {.seq = {5010}, .ack = {1000}, .length = 5, .window = 9, .fin = true, .has_ack = true}, instant{});
    CHECK(tcb.state == state::established);
    CHECK(out.text);
    CHECK_FALSE(out.text_in_order);
    WHEN("the hole is filled, and the kept text joins") {
        out = segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .length = 10, .window = 9, .has_ack = true}, instant{});
        CHECK_FALSE(out.fin_received);
        outcome joined;
        text_arrived(tcb, 5, instant{}, joined);
        THEN("the FIN counts") {
            CHECK(joined.fin_received);
            CHECK(tcb.state == state::close_wait);
            CHECK(tcb.rcv.nxt == sequence{5016});
        }
    }
    WHEN("somebody injects text behind the FIN") {
        out = segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .length = 500, .window = 9, .has_ack = true}, instant{});
        THEN("it ends at the FIN") { CHECK(out.text_length == 15); }
    }
}

SCENARIO("PAWS: segments of an earlier life (RFC 7323 section 5)") {
    tcb_type tcb;
    prepare(tcb, {.mss = 1000, .receive_buffer = 10'000});
    open_passive(tcb, {.seq = {4999}, .window = 10'000, .syn = true, .mss = 1000, .has_timestamps = true, .timestamps = {700, 0}},
                 {999}, instant{});
    (void)drain(tcb, instant{});
    (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .window = 10'000, .has_ack = true, .has_timestamps = true, .timestamps = {701, 0}}, instant{});
    REQUIRE(tcb.state == state::established);
    tcb.ack = {};
    const auto text = [&](std::uint32_t value, bool stamped = true) {
        return segment{.seq = tcb.rcv.nxt, .ack = {1000}, .length = 10, .window = 10'000, .has_ack = true,
                       .has_timestamps = stamped, .timestamps = {value, 0}};
    };
    GIVEN("a segment with an older timestamp") {
        const auto out = segment_arrives(tcb, text(690), instant{});
        THEN("it is acknowledged and dropped (section 5.3, R1)") {
            CHECK_FALSE(out.text);
            CHECK(tcb.ack.now);
        }
    }
    GIVEN("a segment without the option") {
        THEN("it is dropped (section 3.2)") { CHECK_FALSE(segment_arrives(tcb, text(0, false), instant{}).text); }
    }
    GIVEN("a RST without the option") {
        const auto out = segment_arrives(tcb, {.seq = {5000}, .rst = true}, instant{});
        THEN("it counts (section 5.2)") { CHECK(out.ended == ending::reset); }
    }
    GIVEN("a connection that was idle for more than 24 days") {
        THEN("what the clock said then is no measure (section 5.5)") {
            CHECK(segment_arrives(tcb, text(690), instant{std::chrono::hours{25 * 24}}).text);
        }
    }
    GIVEN("newer segments") {
        CHECK(segment_arrives(tcb, text(800), instant{}).text);
        THEN("TS.Recent follows and is echoed (section 4.3)") {
            CHECK(tcb.timestamps.recent == 800);
            CHECK(acknowledgement(tcb, instant{1ms}).timestamps == timestamp_pair{1, 800});
        }
    }
    GIVEN("a newer segment behind a hole") {
        auto ahead = text(900);
        ahead.seq += 100;
        (void)segment_arrives(tcb, ahead, instant{});
        THEN("TS.Recent is that of the last segment in order (section 4.3)") { CHECK(tcb.timestamps.recent != 900); }
    }
}

SCENARIO("the receive window") {
    auto tcb = established({.mss = 1000, .receive_buffer = 4000});
    const auto feed = [&](std::uint32_t n) {
        return segment_arrives(tcb, {.seq = tcb.rcv.nxt, .ack = {1000}, .length = n, .window = 10'000, .has_ack = true}, instant{});
    };
    (void)acknowledgement(tcb, instant{});
    GIVEN("a user who does not read") {
        for (int i = 0; i < 4; ++i)
            CHECK(feed(1000).text);
        const auto ack = acknowledgement(tcb, instant{});
        THEN("the window closes") { CHECK(ack.window == 0); }
        THEN("a probe is answered, and nothing of it kept (RFC 9293 section 3.8.6.1)") {
            CHECK_FALSE(feed(1).text);
            CHECK(tcb.ack.now);
            CHECK(acknowledgement(tcb, instant{}).ack == sequence{9000});
        }
        THEN("small reads do not open it: no silly window (RFC 9293 section 3.8.6.2.2)") {
            CHECK_FALSE(text_consumed(tcb, 100));
            CHECK(acknowledgement(tcb, instant{}).window == 0);
            CHECK(text_consumed(tcb, 900));
            CHECK(acknowledgement(tcb, instant{}).window == 1000);
        }
    }
    GIVEN("a window that was announced") {
        (void)feed(1000);
        const auto edge = tcb.rcv.advertised;
        tcb.rcv.buffer = 2000; // less room than was promised
        THEN("it is never taken back (RFC 9293 section 3.8.6)") {
            (void)acknowledgement(tcb, instant{});
            CHECK(tcb.rcv.advertised == edge);
        }
    }
}

SCENARIO("acknowledgements wait a little for company (RFC 9293 section 3.8.6.3)") {
    auto tcb = established();
    const auto feed = [&](std::uint32_t n) {
        (void)segment_arrives(tcb, {.seq = tcb.rcv.nxt, .ack = {1000}, .length = n, .window = 10'000, .has_ack = true}, instant{});
    };
    GIVEN("less than two full segments") {
        feed(1500);
        CHECK_FALSE(acknowledgement_due(tcb, instant{}));
        THEN("one comes within 500 ms (MUST-58)") {
            CHECK(next_deadline(tcb) <= instant{500ms});
            (void)on_time(tcb, next_deadline(tcb));
            CHECK(acknowledgement_due(tcb, instant{}));
        }
        THEN("text that goes out carries it") {
            text_queued(tcb, 10);
            const auto sent = drain(tcb, instant{});
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].ack == sequence{6500});
            CHECK(tcb.at.delayed_ack == never);
        }
    }
    GIVEN("two full segments, or twenty, in one burst") {
        for (int i = 0; i < 5; ++i)
            feed(1000);
        THEN("one acknowledgement is due now, and only one (MUST-59)") { CHECK(drain(tcb, instant{}).size() == 1); }
    }
}

TEST_CASE("initial sequence numbers differ by connection and grow with time (RFC 6528 section 3)") {
    CHECK(before(sequence{0xffff'fff0}, sequence{5}));
    CHECK_FALSE(before(sequence{5}, sequence{0xffff'fff0}));
    CHECK(octets_between(sequence{0xffff'fff0}, sequence{5}) == 21);
    CHECK(later(sequence{0xffff'fff0}, sequence{5}) == sequence{5});
}
