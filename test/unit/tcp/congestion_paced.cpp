// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

namespace {

/// A window that is given, and nothing else.
struct fixed_window {
    std::uint32_t cwnd = 0, threshold = 0xffff'ffff;
    [[maybe_unused]] friend constexpr bool operator==(const fixed_window&, const fixed_window&) noexcept = default;
    constexpr std::uint32_t window() const noexcept { return cwnd; }
    constexpr std::uint32_t ssthresh() const noexcept { return threshold; }
    constexpr void on_start(const congestion_sample&) noexcept {}
    constexpr void on_ack(const congestion_sample&) noexcept {}
    constexpr void on_loss(const congestion_sample&) noexcept {}
    constexpr void on_recovered(const congestion_sample&) noexcept {}
    constexpr void on_timeout(const congestion_sample&) noexcept {}
    constexpr void on_spurious(std::uint32_t, std::uint32_t) noexcept {}
    constexpr void on_idle(const congestion_sample&) noexcept {}
};
using spread_tcb = control_block<paced<fixed_window>, rack>;
static_assert(paces<paced<cubic>> && !paces<cubic>);

/// In ESTABLISHED with a window of `segments` of 1000 octets, ten times as much to send, and a round trip of 20 ms.
struct sender {
    spread_tcb tcb = established<spread_tcb>({.mss = 1000, .receive_buffer = 10'000, .no_delay = true});
    instant now{};

    explicit sender(std::uint32_t segments, duration round_trip = 20ms) {
        tcb.snd.wnd = tcb.snd.max_wnd = 10'000'000;
        tcb.congestion.cwnd = segments * 1000;
        tcb.rtt.srtt = round_trip;
        tcb.rtt.rto = 400ms;
        text_queued(tcb, segments * 10'000);
        now += 1s;
    }
    std::size_t leaves() { return drain(tcb, now).size(); }
};

} // namespace

TEST_CASE("a large window leaves in bursts of a millisecond, at twice its rate in slow start (RFC 9002 section 7.7)") {
    sender s{400}; // 40 segments in a millisecond
    std::size_t sent = s.leaves();
    CHECK(sent <= 42);
    while (sent < 400) {
        REQUIRE(next_deadline(s.tcb) > s.now);
        REQUIRE(next_deadline(s.tcb) <= s.now + 2ms);
        s.now = next_deadline(s.tcb);
        (void)on_time(s.tcb, s.now);
        const auto burst = s.leaves();
        REQUIRE(burst > 0);
        CHECK(burst <= 42);
        sent += burst;
    }
    CHECK(sent == 400);
    CHECK(s.now - instant{} - 1s >= 8ms);
    CHECK(s.now - instant{} - 1s <= 11ms);
    SUBCASE("and is full then: no timer is left but those of retransmission") {
        (void)s.leaves();
        s.now += 1ms;
        (void)on_time(s.tcb, s.now);
        (void)s.leaves();
        CHECK(next_deadline(s.tcb) > s.now);
    }
}

TEST_CASE("beyond slow start it leaves in five sixths of the round trip") {
    sender s{400};
    s.tcb.congestion.threshold = 1000;
    const auto sent = s.leaves();
    CHECK(sent >= 20);
    CHECK(sent <= 26);
}

TEST_CASE("a timer that comes late is made up for, within limits") {
    sender s{400};
    (void)s.leaves();
    s.now += 15ms;
    (void)on_time(s.tcb, s.now);
    const auto sent = s.leaves();
    CHECK(sent > 82);
    CHECK(sent <= 124); // two bursts that were missed, and one
}

TEST_CASE("nothing is held back on a short path, or of a small window") {
    CHECK(sender{400, 1ms}.leaves() == 400);
    CHECK(sender{15}.leaves() == 15);
}

TEST_CASE("what pacing holds back counts as held back by the window, which may grow (RFC 7661 section 4.1)") {
    sender s{400};
    (void)s.leaves();
    CHECK(s.tcb.snd.limited == s.tcb.snd.max);
}
