// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

SCENARIO("the retransmission timer (RFC 6298)") {
    auto tcb = established();
    (void)drain(tcb, instant{});
    GIVEN("measurements of 100 ms") {
        for (int i = 0; i < 50; ++i)
            measured_rtt(tcb, 100ms);
        THEN("SRTT converges, and RTO to its lower bound") {
            CHECK(tcb.rtt.srtt > 99ms);
            CHECK(tcb.rtt.srtt <= 100ms);
            CHECK(tcb.rtt.rto == minimum_rto);
        }
    }
    GIVEN("the first measurement R") {
        tcb.rtt.srtt = {};
        measured_rtt(tcb, 400ms);
        THEN("SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR (section 2.2)") {
            CHECK(tcb.rtt.srtt == 400ms);
            CHECK(tcb.rtt.rttvar == 200ms);
            CHECK(tcb.rtt.rto == 1200ms);
        }
    }
    GIVEN("text that nobody acknowledges") {
        tcb.rtt.rto = 1s;
        text_queued(tcb, 3000);
        CHECK(drain(tcb, instant{}).size() == 3);
        CHECK(tcb.at.retransmit == instant{1s});
        WHEN("the timer fires") {
            (void)on_time(tcb, instant{1s});
            const auto sent = drain(tcb, instant{1s});
            THEN("one segment goes out, from SND.UNA (section 5.4, RFC 5681 section 3.1)") {
                REQUIRE(sent.size() == 1);
                CHECK(sent[0].seq == sequence{1000});
            }
            THEN("the timer is doubled (section 5.5)") { CHECK(tcb.at.retransmit == instant{3s}); }
            THEN("the ACK of a retransmission is not timed (section 3, Karn)") {
                const auto before_it = tcb.rtt.srtt;
                (void)segment_arrives(tcb, {.seq = {5000}, .ack = {2000}, .window = 10'000, .has_ack = true}, instant{5s});
                CHECK(tcb.rtt.srtt == before_it);
            }
            THEN("a late ACK of everything is accepted, and nothing is sent again") {
                const auto out = segment_arrives(tcb, {.seq = {5000}, .ack = {4000}, .window = 10'000, .has_ack = true}, instant{2s});
                CHECK(out.acked == 3000);
                CHECK(drain(tcb, instant{2s}).empty());
                CHECK(tcb.at.retransmit == never); // section 5.2
            }
        }
        WHEN("it fires again and again") {
            instant now{};
            ending end = ending::none;
            while (end == ending::none) {
                now = next_deadline(tcb);
                REQUIRE(now != never);
                end = on_time(tcb, now).ended;
                (void)drain(tcb, now);
            }
            THEN("R2 is at least 100 s (RFC 9293 section 3.8.3, MUST-23)") {
                CHECK(end == ending::timed_out);
                CHECK(now >= instant{100s});
            }
        }
    }
}

SCENARIO("keep-alive (RFC 9293 section 3.8.4)") {
    GIVEN("nobody asked for it (MUST-25)") {
        auto tcb = established();
        (void)drain(tcb, instant{});
        THEN("an idle connection has no timer at all") { CHECK(next_deadline(tcb) == never); }
    }
    GIVEN("it is on") {
        auto tcb = established({.mss = 1000, .keep_alive = true});
        (void)drain(tcb, instant{});
        THEN("the first probe comes after two hours (MUST-28)") { CHECK(next_deadline(tcb) == instant{2h}); }
        WHEN("probes are answered") {
            (void)on_time(tcb, instant{2h});
            CHECK(tcb.keep_alive_due);
            (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .window = 9, .has_ack = true}, instant{2h});
            THEN("the wait begins anew") { CHECK(tcb.at.keep_alive == instant{4h}); }
        }
        WHEN("they are not") {
            ending end = ending::none;
            int probes = 0;
            while (end == ending::none) {
                end = on_time(tcb, next_deadline(tcb)).ended;
                ++probes;
            }
            THEN("one lost probe is no death (MUST-29), nine are") { CHECK(probes == 10); }
        }
    }
}
