// SPDX-License-Identifier: MIT
// Explicit Congestion Notification: RFC 3168.
#include "machine.hpp"

using namespace test;

namespace {

using marked_tcb = control_block<reno, rack, ecn>;
constexpr std::uint8_t ect0 = ecn_bits::ect0, ce = ecn_bits::ce, ece = ecn_bits::ece, cwr = ecn_bits::cwr;

/// What the peer's answer to our SYN makes of the connection.
marked_tcb opened(std::uint8_t answer) {
    marked_tcb tcb;
    prepare(tcb, {.mss = 1000});
    open_active(tcb, {999});
    CHECK(drain(tcb, instant{}).at(0).ecn == (ece | cwr));
    (void)segment_arrives(tcb, {.seq = {4999}, .ack = {1000}, .window = 10'000, .syn = true, .has_ack = true, .ecn = answer, .mss = 1000},
                          instant{});
    REQUIRE(tcb.state == state::established);
    return tcb;
}

/// What a SYN of the peer makes of it, and what it is answered with.
std::uint8_t answer_to(std::uint8_t syn) {
    marked_tcb tcb;
    prepare(tcb, {.mss = 1000});
    open_passive(tcb, {.seq = {4999}, .window = 10'000, .syn = true, .ecn = syn, .mss = 1000}, {999}, instant{});
    CHECK(tcb.ecn.capable == (syn == (ece | cwr)));
    return drain(tcb, instant{}).at(0).ecn;
}

/// In ESTABLISHED with SACK and ECN agreed on. MSS 1000, SND.UNA 1000, RCV.NXT 5000, a congestion window of ten segments.
struct sender {
    marked_tcb tcb;
    instant now{};

    sender() {
        prepare(tcb, {.mss = 1000, .receive_buffer = 50'000, .no_delay = true});
        open_passive(tcb, {.seq = {4999}, .window = 50'000, .syn = true, .ecn = ece | cwr, .mss = 1000, .sack_permitted = true}, {999}, now);
        (void)drain(tcb, now);
        (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .window = 50'000, .has_ack = true}, now);
        REQUIRE(tcb.ecn.capable);
        tcb.rtt.srtt = 100ms;
        tcb.rtt.rto = 350ms;
        tcb.ack = {};
    }
    std::vector<segment> send(std::uint32_t octets) {
        text_queued(tcb, octets);
        return drain(tcb, now);
    }
    std::vector<segment> acknowledged(std::uint32_t ack, std::uint8_t marks, std::initializer_list<sack_block> blocks = {}) {
        now += 100ms;
        const std::vector<sack_block> list{blocks};
        (void)segment_arrives(tcb, {.seq = {5000}, .ack = {ack}, .window = 50'000, .has_ack = true, .ecn = marks, .sack = list}, now);
        return drain(tcb, now);
    }
    /// Text of the peer; what is answered.
    std::vector<segment> received(std::uint32_t seq, std::uint8_t marks) {
        (void)segment_arrives(tcb, {.seq = {seq}, .ack = {1000}, .length = 100, .window = 50'000, .has_ack = true, .ecn = marks}, now);
        tcb.ack.now = true;
        return drain(tcb, now);
    }
};

} // namespace

TEST_CASE("ECN is used when the SYN says ECE and CWR, and its answer ECE alone (RFC 3168 section 6.1.1)") {
    CHECK(opened(ece).ecn.capable);
    CHECK_FALSE(opened(0).ecn.capable);
    CHECK_FALSE(opened(ece | cwr).ecn.capable); // a peer that reflects what it does not know
    CHECK(answer_to(ece | cwr) == ece);
    CHECK(answer_to(0) == 0);
    CHECK(answer_to(ece) == 0);
    CHECK(answer_to(cwr) == 0);
}

TEST_CASE("a SYN that is sent again does not ask for ECN, nor is it used then (RFC 3168 section 6.1.1.1)") {
    marked_tcb tcb;
    prepare(tcb, {.mss = 1000});
    open_active(tcb, {999});
    CHECK(drain(tcb, instant{}).at(0).ecn == (ece | cwr));
    const instant later = tcb.at.retransmit;
    (void)on_time(tcb, later);
    CHECK(drain(tcb, later).at(0).ecn == 0);
    (void)segment_arrives(tcb, {.seq = {4999}, .ack = {1000}, .window = 10'000, .syn = true, .has_ack = true, .ecn = ece}, later);
    CHECK(tcb.state == state::established);
    CHECK_FALSE(tcb.ecn.capable);
}

TEST_CASE("a peer whose SYN comes again without ECN does not get it (RFC 3168 section 6.1.1)") {
    marked_tcb tcb;
    prepare(tcb, {.mss = 1000});
    segment syn{.seq = {4999}, .window = 10'000, .syn = true, .ecn = ece | cwr, .mss = 1000};
    open_passive(tcb, syn, {999}, instant{});
    CHECK(drain(tcb, instant{}).at(0).ecn == ece);
    syn.ecn = 0;
    (void)segment_arrives(tcb, syn, instant{});
    CHECK(drain(tcb, instant{}).at(0).ecn == 0);
}

TEST_CASE("text may be marked when it is sent for the first time; nothing else may (RFC 3168 sections 6.1.1, 6.1.4, 6.1.5 and 6.1.6)") {
    sender s;
    const auto first = s.send(3000);
    REQUIRE(first.size() == 3);
    for (const segment& seg : first)
        CHECK(seg.ecn == ect0);
    CHECK(acknowledgement(s.tcb, s.now).ecn == 0);
    s.now = s.tcb.at.retransmit;
    (void)on_time(s.tcb, s.now);
    const auto again = drain(s.tcb, s.now);
    REQUIRE(again.size() >= 1);
    CHECK(again[0].seq.value == 1000);
    CHECK(again[0].ecn == 0);
    sender probing;
    probing.tcb.snd.wnd = 0;
    CHECK(probing.send(10).empty());
    probing.now = probing.tcb.at.persist;
    (void)on_time(probing.tcb, probing.now);
    const auto probe = drain(probing.tcb, probing.now);
    REQUIRE(probe.size() == 1);
    CHECK(probe[0].length == 1);
    CHECK(probe[0].ecn == 0);
}

TEST_CASE("a mark is echoed with every acknowledgement until the peer has reduced its window (RFC 3168 section 6.1.3)") {
    sender s;
    CHECK(s.received(5000, ect0).at(0).ecn == 0);
    CHECK(s.received(5100, ce).at(0).ecn == ece);
    CHECK(s.received(5200, ect0).at(0).ecn == ece);
    CHECK(s.send(100).at(0).ecn == (ect0 | ece)); // text acknowledges, too
    CHECK(s.received(5300, ect0 | cwr).at(0).ecn == 0);
    CHECK(s.received(5400, ce | cwr).at(0).ecn == ece); // and marked again
    CHECK(s.tcb.ecn.marked == 2);
    SUBCASE("the first mark is told at once") {
        sender quiet;
        (void)segment_arrives(quiet.tcb, {.seq = {5000}, .ack = {1000}, .length = 100, .window = 50'000, .has_ack = true, .ecn = ce}, quiet.now);
        CHECK(drain(quiet.tcb, quiet.now).size() == 1);
    }
    SUBCASE("what lies outside of the window is not heard, nor what carries no text (RFC 3168 sections 6.1.4 and 6.1.5)") {
        sender quiet;
        (void)segment_arrives(quiet.tcb, {.seq = {4000}, .ack = {1000}, .length = 100, .window = 50'000, .has_ack = true, .ecn = ce}, quiet.now);
        (void)segment_arrives(quiet.tcb, {.seq = {5000}, .ack = {1000}, .window = 50'000, .has_ack = true, .ecn = ce}, quiet.now);
        CHECK_FALSE(quiet.tcb.ecn.echo);
    }
}

TEST_CASE("an echo halves the window once per window of text, and the peer is told (RFC 3168 section 6.1.2)") {
    sender s;
    REQUIRE(s.tcb.congestion.window() == 10'000);
    CHECK(s.send(30'000).size() == 10);
    (void)s.acknowledged(2000, ece);
    CHECK(s.tcb.congestion.window() == 5000);
    CHECK(s.tcb.ecn.reductions == 1);
    CHECK(s.tcb.statistics.retransmits == 0);
    (void)s.acknowledged(4000, ece); // it cannot have heard of that
    CHECK(s.tcb.congestion.window() == 5000); // nor does the window grow meanwhile
    const auto next = s.acknowledged(8000, ece);
    CHECK(s.tcb.congestion.window() == 5000);
    REQUIRE(next.size() == 2);
    CHECK(next[0].seq.value == 11'000);
    CHECK(next[0].ecn == (ect0 | cwr));
    CHECK(next[1].ecn == ect0);
    (void)s.acknowledged(11'000, 0);
    CHECK(s.tcb.congestion.window() == 5000 + 1000); // grows again: in slow start's place a segment per window
    (void)s.acknowledged(12'000, ece);               // and the next window is reduced, too
    CHECK(s.tcb.ecn.reductions == 2);
}

TEST_CASE("a loss in a window that was reduced for a mark does not reduce it again, nor the other way round (RFC 3168 section 6.1.2)") {
    SUBCASE("the mark first") {
        sender s;
        CHECK(s.send(30'000).size() == 10);
        (void)s.acknowledged(2000, ece);
        REQUIRE(s.tcb.congestion.window() == 5000);
        const auto again = s.acknowledged(2000, ece, {{{3000}, {6000}}});
        REQUIRE(s.tcb.recovery.active);
        CHECK(again.at(0).seq.value == 2000);
        CHECK(again.at(0).ecn == 0);
        CHECK(s.tcb.congestion.window() == 5000);
    }
    SUBCASE("the loss first") {
        sender s;
        CHECK(s.send(30'000).size() == 10);
        (void)s.acknowledged(1000, 0, {{{2000}, {5000}}});
        REQUIRE(s.tcb.recovery.active);
        CHECK(s.tcb.congestion.window() == 5000);
        const auto sent = s.acknowledged(5000, ece);
        CHECK(s.tcb.congestion.window() == 5000);
        CHECK(s.tcb.ecn.reductions == 0);
        const auto fresh = s.acknowledged(9000, 0); // the peer is told of that reduction, too
        const auto told = [](const std::vector<segment>& list) {
            return std::ranges::any_of(list, [](const segment& seg) { return (seg.ecn & cwr) != 0; });
        };
        CHECK((told(sent) || told(fresh)));
    }
}

TEST_CASE("after a timeout the first new text says that the window was reduced (RFC 3168 section 6.1.2)") {
    sender s;
    (void)s.send(1000);
    s.now = s.tcb.at.retransmit;
    (void)on_time(s.tcb, s.now);
    CHECK(drain(s.tcb, s.now).at(0).ecn == 0);
    (void)s.acknowledged(2000, 0);
    const auto next = s.send(2000);
    REQUIRE(next.size() == 2);
    CHECK(next[0].ecn == (ect0 | cwr));
    CHECK(next[1].ecn == ect0);
}

TEST_CASE("text that says CWR is one segment, where devices cut long ones apart (RFC 3168 section 6.1.2: the first new packet)") {
    sender s;
    text_queued(s.tcb, 10'000);
    REQUIRE(drain(s.tcb, s.now, 50'000).size() == 1);
    text_queued(s.tcb, 30'000);
    (void)segment_arrives(s.tcb, {.seq = {5000}, .ack = {2000}, .window = 50'000, .has_ack = true, .ecn = ece}, s.now += 100ms);
    (void)segment_arrives(s.tcb, {.seq = {5000}, .ack = {11'000}, .window = 50'000, .has_ack = true}, s.now += 100ms);
    const auto next = drain(s.tcb, s.now, 50'000);
    REQUIRE(next.size() == 2);
    CHECK(next[0].length == 1000);
    CHECK((next[0].ecn & cwr) != 0);
    CHECK(next[1].length > 1000);
    CHECK(next[1].ecn == ect0);
}
