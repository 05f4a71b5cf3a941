// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

namespace {
segment ack_of(std::uint32_t ack, std::uint16_t window = 10'000) {
    return {.seq = {5000}, .ack = {ack}, .window = window, .has_ack = true};
}
} // namespace

SCENARIO("Nagle's algorithm (RFC 9293 section 3.7.4)") {
    GIVEN("it is on") {
        auto tcb = established({.mss = 1000, .receive_buffer = 10'000});
        text_queued(tcb, 100);
        CHECK(drain(tcb, instant{}).size() == 1); // nothing is outstanding: a small segment may go
        text_queued(tcb, 100);
        THEN("a second small segment waits for the acknowledgement") {
            CHECK(drain(tcb, instant{}).empty());
            (void)segment_arrives(tcb, ack_of(1100), instant{});
            CHECK(drain(tcb, instant{}).size() == 1);
        }
        THEN("a full segment does not") {
            text_queued(tcb, 950);
            const auto sent = drain(tcb, instant{});
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].length == 1000);
        }
        THEN("closing lets the rest go") {
            CHECK(tcp::close(tcb));
            const auto sent = drain(tcb, instant{});
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].fin);
            CHECK(sent[0].length == 100);
        }
    }
    GIVEN("it is off (MUST-17)") {
        auto tcb = established();
        text_queued(tcb, 100);
        (void)drain(tcb, instant{});
        text_queued(tcb, 100);
        THEN("small segments go at once") { CHECK(drain(tcb, instant{}).size() == 1); }
    }
}

SCENARIO("how much may be sent") {
    auto tcb = established();
    GIVEN("more text than the peer's window") {
        text_queued(tcb, 50'000);
        std::uint32_t sum = 0;
        for (const auto& s : drain(tcb, instant{}))
            sum += s.length;
        THEN("the window is filled and not exceeded") { CHECK(sum == 10'000); }
    }
    GIVEN("a device that segments") {
        text_queued(tcb, 9'500);
        const auto sent = drain(tcb, instant{}, 8000);
        THEN("transmissions are whole multiples of the MSS as long as text follows") {
            REQUIRE(sent.size() == 2);
            CHECK(sent[0].length == 8000);
            CHECK(sent[1].length == 1500);
            CHECK(sent[1].psh);
        }
    }
    GIVEN("a window that opens by a few octets") {
        text_queued(tcb, 20'000);
        (void)drain(tcb, instant{});
        (void)segment_arrives(tcb, ack_of(11'000, 300), instant{});
        THEN("the sender does not act silly (RFC 9293 section 3.8.6.2.1)") { CHECK(drain(tcb, instant{}).empty()); }
    }
    GIVEN("no congestion window left") {
        tcb.snd.wnd = tcb.snd.max_wnd = 1'000'000;
        text_queued(tcb, 100'000);
        std::uint32_t sum = 0;
        for (const auto& s : drain(tcb, instant{}))
            sum += s.length;
        THEN("ten segments were the initial window (RFC 6928 section 2)") { CHECK(sum == 10'000); }
    }
}

SCENARIO("fast retransmit and fast recovery (RFC 5681 section 3.2, RFC 6582)") {
    auto tcb = established();
    tcb.snd.wnd = tcb.snd.max_wnd = 100'000;
    text_queued(tcb, 30'000);
    CHECK(drain(tcb, instant{}).size() == 10);
    const auto duplicate = segment{.seq = {5000}, .ack = {1000}, .window = 10'000, .has_ack = true};
    tcb.snd.wnd = 10'000;
    tcb.snd.wl1 = {5000};

    WHEN("two duplicates come") {
        (void)segment_arrives(tcb, duplicate, instant{});
        (void)segment_arrives(tcb, duplicate, instant{});
        THEN("nothing is retransmitted yet") { CHECK(tcb.statistics.fast_recoveries == 0); }
    }
    WHEN("the third comes") {
        for (int i = 0; i < 3; ++i)
            (void)segment_arrives(tcb, duplicate, instant{});
        const auto sent = drain(tcb, instant{});
        THEN("the first unacknowledged segment goes out again, at once") {
            REQUIRE(!sent.empty());
            CHECK(sent[0].seq == sequence{1000});
            CHECK(sent[0].length == 1000);
            CHECK(tcb.statistics.retransmits == 1);
        }
        THEN("half of the flight is the threshold (equation (4))") { CHECK(tcb.congestion.ssthresh() == 5000); }
        AND_WHEN("a partial ACK comes") {
            (void)segment_arrives(tcb, ack_of(3000), instant{});
            const auto again = drain(tcb, instant{});
            THEN("the next hole is filled without waiting (RFC 6582 section 3.2)") {
                REQUIRE(!again.empty());
                CHECK(again[0].seq == sequence{3000});
                CHECK(tcb.recovery.active);
            }
        }
        AND_WHEN("everything is acknowledged") {
            (void)segment_arrives(tcb, ack_of(11'000), instant{});
            THEN("recovery is over, and the window no larger than the threshold") {
                CHECK_FALSE(tcb.recovery.active);
                CHECK(tcb.congestion.window() <= 5000);
            }
        }
    }
    WHEN("the duplicates carry text or open the window") {
        for (int i = 0; i < 5; ++i)
            (void)segment_arrives(tcb, {.seq = {5000 + 10u * static_cast<unsigned>(i)}, .ack = {1000}, .length = 10,
                                        .window = 10'000, .has_ack = true}, instant{});
        THEN("they are no duplicates (RFC 5681 section 2)") { CHECK(tcb.statistics.fast_recoveries == 0); }
    }
}

SCENARIO("a closed window is probed (RFC 9293 section 3.8.6.1)") {
    auto tcb = established();
    (void)segment_arrives(tcb, ack_of(1000, 0), instant{});
    tcb.snd.wnd = 0;
    text_queued(tcb, 5000);
    CHECK(drain(tcb, instant{}).empty());
    REQUIRE(tcb.at.persist != never);

    instant now = tcb.at.persist;
    (void)on_time(tcb, now);
    auto probe = drain(tcb, now);
    REQUIRE(probe.size() == 1);
    CHECK(probe[0].length == 1);
    CHECK(probe[0].seq == sequence{1000});

    WHEN("the peer answers and stays closed, for an hour") {
        duration last{};
        for (int i = 0; i < 100; ++i) {
            (void)segment_arrives(tcb, ack_of(1000, 0), now);
            REQUIRE(tcb.at.persist != never);
            last = tcb.at.persist - now;
            now = tcb.at.persist;
            const auto out = on_time(tcb, now);
            REQUIRE(out.ended == ending::none); // MUST-37: it stays open as long as probes are answered
            CHECK(drain(tcb, now).size() == 1);
        }
        THEN("the interval has grown to a minute") { CHECK(last == 60s); }
    }
    WHEN("the window opens") {
        (void)segment_arrives(tcb, ack_of(1000, 10'000), now);
        THEN("text flows, and probing ends") {
            CHECK(tcb.at.persist == never);
            std::uint32_t sum = 0;
            for (const auto& s : drain(tcb, now))
                sum += s.length;
            CHECK(sum == 5000);
        }
    }
    WHEN("the peer takes the probe's octet") {
        (void)segment_arrives(tcb, ack_of(1001, 10'000), now);
        THEN("the rest follows from there") { CHECK(drain(tcb, now).at(0).seq == sequence{1001}); }
    }
    WHEN("the peer is gone") {
        ending end = ending::none;
        for (int i = 0; i < 100 && end == ending::none; ++i) {
            now = next_deadline(tcb);
            end = on_time(tcb, now).ended;
            (void)drain(tcb, now);
        }
        THEN("the user timeout ends it") { CHECK(end == ending::timed_out); }
    }
}

TEST_CASE("an acknowledgement that comes with text sent again moves the window, too (RFC 9293 sections 3.4 and 3.10.7.4)") {
    // The peer is short of room: it acknowledges 4000 octets and offers 2000 more, on a segment that it sends again.
    auto tcb = established();
    text_queued(tcb, 20'000);
    tcb.congestion = {};
    tcb.congestion.on_start({.mss = 1000, .now = instant{}});
    (void)segment_arrives(tcb, {.seq = {5100}, .ack = {1000}, .length = 100, .window = 10'000, .has_ack = true}, instant{});
    REQUIRE(tcb.snd.wl1 == sequence{5100});
    REQUIRE(drain(tcb, instant{}).size() >= 4);
    (void)segment_arrives(tcb, {.seq = {5000}, .ack = {5000}, .length = 100, .window = 2000, .has_ack = true}, instant{});
    CHECK(tcb.snd.una == sequence{5000});
    CHECK(tcb.snd.wnd == 2000);
    for (const segment& s : drain(tcb, instant{}))
        CHECK(at_or_before(s.seq + s.length, sequence{7000}));
}

TEST_CASE("a burst of acknowledgements opens the window as each of them alone would (RFC 5681 section 3.1, RFC 7661 section 4.1)") {
    auto tcb = established({.mss = 1000, .receive_buffer = 10'000, .no_delay = true});
    tcb.snd.wnd = tcb.snd.max_wnd = 60'000;
    text_queued(tcb, 60'000);
    REQUIRE(drain(tcb, instant{}).size() == 10);
    for (std::uint32_t i = 1; i <= 10; ++i) // ten in a row, before anything more is sent
        (void)segment_arrives(tcb, ack_of(1000 + i * 1000, 60'000), instant{});
    CHECK(tcb.congestion.window() == 20'000);
    CHECK(drain(tcb, instant{}).size() == 20);
    SUBCASE("text that was all there was leaves the window as it is") {
        (void)segment_arrives(tcb, ack_of(31'000, 60'000), instant{});
        (void)drain(tcb, instant{});
        (void)segment_arrives(tcb, ack_of(61'000, 60'000), instant{});
        const auto before = tcb.congestion.window();
        text_queued(tcb, 1000);
        (void)drain(tcb, instant{});
        (void)segment_arrives(tcb, ack_of(62'000, 60'000), instant{});
        CHECK(tcb.congestion.window() == before);
    }
}
