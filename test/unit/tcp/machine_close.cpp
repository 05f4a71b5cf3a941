// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

SCENARIO("closing a connection (RFC 9293 section 3.6)") {
    wire link;
    link.connect();

    WHEN("one side closes, then the other (figure 12)") {
        CHECK(tcp::close(link.client.tcb));
        link.settle();
        CHECK(link.client.tcb.state == state::fin_wait_2);
        CHECK(link.server.tcb.state == state::close_wait);
        THEN("text still flows the other way") {
            text_queued(link.server.tcb, 5000);
            link.settle();
            CHECK(link.client.received == 5000);
        }
        CHECK(tcp::close(link.server.tcb));
        link.settle();
        THEN("the first to close waits in TIME-WAIT for 2 MSL, the other is done") {
            CHECK(link.client.tcb.state == state::time_wait);
            CHECK(link.server.outcomes.back().ended == ending::finished);
            CHECK(next_deadline(link.client.tcb) == link.now + 2 * link.client.tcb.settings.msl);
            CHECK(on_time(link.client.tcb, next_deadline(link.client.tcb)).ended == ending::finished);
        }
    }
    WHEN("both close at once (figure 13)") {
        CHECK(tcp::close(link.client.tcb));
        CHECK(tcp::close(link.server.tcb));
        const auto a = drain(link.client.tcb, link.now), b = drain(link.server.tcb, link.now);
        for (const auto& seg : a)
            link.deliver(link.server, seg);
        for (const auto& seg : b)
            link.deliver(link.client, seg);
        CHECK(link.client.tcb.state == state::closing);
        CHECK(link.server.tcb.state == state::closing);
        link.settle();
        THEN("both wait") {
            CHECK(link.client.tcb.state == state::time_wait);
            CHECK(link.server.tcb.state == state::time_wait);
        }
    }
    WHEN("the FIN is lost") {
        text_queued(link.client.tcb, 2500);
        CHECK(tcp::close(link.client.tcb));
        link.loses = once([](const segment& s) { return s.fin; });
        link.settle();
        link.after(1s);
        THEN("it comes again with the text that was with it") {
            CHECK(link.server.received == 2500);
            CHECK(link.server.tcb.state == state::close_wait);
        }
    }
    WHEN("the last ACK is lost") {
        CHECK(tcp::close(link.client.tcb));
        link.settle();
        CHECK(tcp::close(link.server.tcb));
        bool lost = false;
        link.loses = [&](const segment& s) { return !lost && (lost = s.has_ack && !s.fin && s.ack == sequence{5002}); };
        link.settle();
        CHECK(link.server.tcb.state == state::last_ack);
        const auto first = next_deadline(link.client.tcb);
        link.after(1s);
        THEN("the FIN comes again, is answered, and TIME-WAIT starts anew") {
            CHECK(link.server.outcomes.back().ended == ending::finished);
            CHECK(next_deadline(link.client.tcb) > first);
        }
    }
    WHEN("the user aborts") {
        const auto reset = tcp::abort(link.client.tcb);
        REQUIRE(reset);
        link.deliver(link.server, *reset);
        THEN("the peer learns it at once") { CHECK(link.server.outcomes.back().ended == ending::reset); }
    }
}

TEST_CASE("what CLOSE and ABORT do by state (RFC 9293 sections 3.10.4 and 3.10.5)") {
    tcb_type tcb;
    prepare(tcb, {});
    CHECK_FALSE(tcp::close(tcb));
    CHECK_FALSE(tcp::abort(tcb));
    open_active(tcb, {1});
    CHECK_FALSE(tcp::close(tcb)); // SYN-SENT: the block is deleted
    auto ready = established();
    CHECK(may_send(ready));
    CHECK(tcp::close(ready));
    CHECK(ready.state == state::fin_wait_1);
    CHECK_FALSE(may_send(ready));
    CHECK(tcp::close(ready)); // again: nothing more
    CHECK(ready.state == state::fin_wait_1);
    CHECK(tcp::abort(ready));
}

TEST_CASE("a RST in the closing states ends quietly (RFC 9293 section 3.10.7.4, second)") {
    auto tcb = established();
    (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .window = 9, .fin = true, .has_ack = true}, instant{});
    CHECK(tcp::close(tcb));
    CHECK(tcb.state == state::last_ack);
    CHECK(segment_arrives(tcb, {.seq = {5001}, .rst = true}, instant{}).ended == ending::finished);
}
