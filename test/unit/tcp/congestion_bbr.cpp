// SPDX-License-Identifier: MIT
#include "machine.hpp"

using namespace test;

namespace {

constexpr std::uint32_t mss = 1000;

/// A path of a bandwidth and a round trip with a queue without end, and a sender that always has text. Every segment is
/// acknowledged alone; the clock goes from event to event.
struct path {
    bbr policy{};
    double rate;           ///< octets per second
    duration round_trip;
    instant now{};
    sequence nxt{1000}, una{1000};
    instant free{};        ///< when the bottleneck has sent what it has
    std::deque<std::pair<instant, sequence>> acknowledgements{};
    std::uint32_t dropping = 0; ///< of so many segments one is lost; 0: none
    duration queue = 1h;   ///< what waits longer at the bottleneck is lost
    std::uint32_t count = 0, lost = 0, most_in_flight = 0;
    std::uint64_t arrived = 0;

    path(double octets_per_second, duration propagation) : rate{octets_per_second}, round_trip{propagation} {
        now += 1s;
        policy.on_start({.mss = mss, .now = now});
    }
    std::uint32_t flight() const { return octets_between(una, nxt); }

    void depart(bool again) {
        policy.on_departure({.end = again ? nxt : nxt + mss, .octets = mss, .flight = flight() + (again ? 0 : mss), .mss = mss,
                             .again = again, .now = now, .srtt = round_trip});
    }
    void send() {
        while (flight() + mss <= policy.window() && policy.may_leave(now)) {
            depart(false);
            nxt += mss;
            const bool full = free > now + queue;
            if (full || (dropping != 0 && ++count % dropping == 0)) { // sent again at once, and that arrives
                ++lost;
                policy.on_loss({.mss = mss, .now = now});
                depart(true);
            }
            if (full)
                free -= duration{static_cast<std::int64_t>(mss / rate * 1e9)};
            free = std::max(free, now) + duration{static_cast<std::int64_t>(mss / rate * 1e9)};
            acknowledgements.emplace_back(free + round_trip, nxt);
        }
        most_in_flight = std::max(most_in_flight, flight());
    }
    void pass(duration d) {
        const instant end = now + d;
        for (send(); now < end; send()) {
            const instant next = acknowledgements.empty() ? never : acknowledgements.front().first;
            now = std::min({next, std::max(policy.release(), now + 10us), end});
            if (next > now)
                continue;
            una = acknowledgements.front().second;
            acknowledgements.pop_front();
            arrived += mss;
            policy.on_delivery({.octets = mss, .flight = flight(), .mss = mss, .newest = una, .now = now});
        }
    }
    double rate_over(duration d) {
        arrived = 0;
        pass(d);
        return static_cast<double>(arrived) * 1e9 / static_cast<double>(d.count());
    }
    double product() const { return rate * static_cast<double>(round_trip.count()) / 1e9; }
};

} // namespace

TEST_CASE("a rate is what has arrived since a segment was sent, by the longer of two times (draft-cheng-iccrg-delivery-rate-estimation-02)") {
    delivery_rate rate;
    instant now = instant{} + 1s;
    const auto send = [&](std::uint32_t end, std::uint32_t flight, bool again = false) {
        rate.departed({.end = {end}, .octets = 1000, .flight = flight, .mss = 1000, .again = again, .now = now});
    };
    const auto deliver = [&](std::uint32_t newest, std::uint32_t octets = 1000) {
        return rate.delivered({.octets = octets, .mss = 1000, .newest = {newest}, .now = now});
    };
    send(1000, 1000);
    now += 1ms;
    send(2000, 2000);
    now += 9ms;
    const auto first = deliver(1000);
    CHECK(first.known);
    CHECK(first.rate == 100'000); // 1000 octets in 10 ms
    CHECK(first.round_trip == 10'000);
    now += 1ms;
    const auto second = deliver(2000);
    CHECK(second.delivered == 2000);
    CHECK(second.rate == 2'000'000 / 11); // 2000 octets since what was under way was sent
    SUBCASE("what was sent slowly does not count as fast because its acknowledgements come together") {
        send(3000, 1000);
        for (std::uint32_t end : {4000u, 5000u, 6000u}) {
            now += 10ms;
            send(end, end - 2000);
        }
        now += 1ms;
        CHECK(deliver(6000, 4000).rate == 4'000'000 / 31);
    }
    SUBCASE("a pause does not count: what leaves after it has nothing before it") {
        now += 1h;
        send(3000, 1000);
        now += 10ms;
        CHECK(deliver(3000).rate == 100'000);
    }
    SUBCASE("losses are counted for what was under way with them") {
        send(3000, 1000);
        now += 1ms;
        send(4000, 2000);
        send(3000, 2000, true);
        now += 10ms;
        CHECK(deliver(4000).lost == 1000);
    }
    SUBCASE("of what is not known nothing is said") {
        CHECK(!deliver(9000).known);
    }
    SUBCASE("more runs than there is room for: the oldest are forgotten, the newest are not") {
        for (std::uint32_t i = 0; i < 100; ++i, now += 1ms)
            send(3000 + i * 1000, (i + 1) * 1000);
        const auto s = deliver(102'000);
        CHECK(s.known);
        CHECK(s.round_trip == 1'000);
    }
}

TEST_CASE("bbr finds the bandwidth, and keeps little more than the path holds under way (draft-cardwell-iccrg-bbr-congestion-control-02 section 4.3)") {
    for (const auto& [rate, round_trip] : {std::pair{1.25e6, duration{20ms}}, {12.5e6, 20ms}, {12.5e6, 2ms}, {125e6, 10ms}, {1.25e6, 200ms}}) {
        path p{rate, round_trip};
        CAPTURE(rate);
        CAPTURE(round_trip);
        p.pass(5s);
        p.most_in_flight = 0;
        CHECK(p.rate_over(10s) >= 0.9 * rate);
        // Probes for more take a quarter more; a burst of a millisecond is held back at three places.
        CHECK(p.most_in_flight <= 1.35 * p.product() + 4 * std::max(rate / 1000, 2.0 * mss) + 10 * mss);
    }
}

TEST_CASE("bbr does not slow down for a per cent that is lost, and does for more (section 4.5.6.2)") {
    path p{12.5e6, 20ms};
    p.dropping = 100;
    p.pass(5s);
    CHECK(p.rate_over(10s) >= 0.8 * p.rate);
    p.dropping = 12;
    p.pass(10s);
    CHECK(p.rate_over(5s) < 0.7 * p.rate);
    p.dropping = 0;
    p.pass(10s);
    CHECK(p.rate_over(5s) >= 0.8 * p.rate);
}

TEST_CASE("bbr: what a probe lost bounds the next, which go a little further each time (sections 4.5.6.2 and 4.3.3.4)") {
    path p{12.5e6, 20ms};
    p.queue = 4ms; // a fifth of what is under way
    p.pass(10s);
    p.lost = 0;
    CHECK(p.rate_over(30s) >= 0.8 * p.rate);
    CHECK(p.lost > 0);
    CHECK(p.lost < 0.01 * 30 * p.rate / mss);
}

TEST_CASE("bbr follows a path that becomes faster within some cycles, and one that becomes slower within two (section 4.5.2.4)") {
    path p{2.5e6, 20ms};
    p.pass(5s);
    p.rate = 25e6;
    p.pass(20s);
    CHECK(p.rate_over(5s) >= 0.85 * p.rate);
    p.rate = 2.5e6;
    p.pass(10s);
    p.most_in_flight = 0;
    CHECK(p.rate_over(5s) >= 0.9 * p.rate);
    CHECK(p.most_in_flight <= 2.5 * p.product());
}

TEST_CASE("bbr empties the path for a moment to see its round trip (section 4.3.4)") {
    path p{12.5e6, 20ms};
    p.pass(4s);
    std::uint32_t least = ~0u;
    for (int i = 0; i < 1200; ++i) {
        p.pass(5ms);
        least = std::min(least, p.flight());
    }
    CHECK(least <= 0.55 * p.product());
    CHECK(p.rate_over(3s) >= 0.9 * p.rate);
}

TEST_CASE("a timeout leaves one segment, and what arrives brings the window back (section 4.6.4.4)") {
    path p{12.5e6, 20ms};
    p.pass(5s);
    const auto before = p.policy.window();
    p.policy.on_timeout({.flight = p.flight(), .mss = mss, .now = p.now});
    CHECK(p.policy.window() == mss);
    p.pass(1s);
    CHECK(p.policy.window() >= before / 2);
    SUBCASE("and all of it, when the timeout proves needless") {
        p.policy.on_timeout({.flight = p.flight(), .mss = mss, .now = p.now});
        p.policy.on_spurious(before, before);
        CHECK(p.policy.window() >= before);
    }
}

TEST_CASE("bbr: a writer that pauses sets no pace (section 4.1.2.4), and no acknowledgement is made up of nothing") {
    path p{12.5e6, 20ms};
    p.pass(5s);
    const auto window = p.policy.window();
    for (int i = 0; i < 200; ++i) { // one segment every now and then
        p.now += 100ms;
        p.depart(false);
        p.nxt += mss;
        p.now += p.round_trip;
        p.una = p.nxt;
        p.policy.on_delivery({.octets = mss, .flight = 0, .mss = mss, .newest = p.una, .limited = true, .now = p.now});
    }
    p.acknowledgements.clear();
    CHECK(p.policy.window() >= window / 2);
    CHECK(p.rate_over(2s) >= 0.8 * p.rate);
}

TEST_CASE("bbr in a connection: text leaves at the pace of the model, with and without SACK") {
    using modelled = control_block<bbr, rack>;
    using plain = control_block<bbr, newreno>;
    static_assert(paces<bbr> && !measures_delivery<cubic>);
    const auto exchange = [](auto tcb) {
        tcb.snd.wnd = tcb.snd.max_wnd = 1'000'000;
        text_queued(tcb, 200'000);
        instant now = instant{} + 1s;
        std::size_t sent = 0;
        for (int i = 0; i < 2000 && tcb.snd.una != tcb.snd.end; ++i) {
            sent += drain(tcb, now).size();
            now += 10ms;
            (void)segment_arrives(tcb, {.seq = {5000}, .ack = tcb.snd.max, .window = 60'000, .has_ack = true}, now);
            if (next_deadline(tcb) <= now)
                (void)on_time(tcb, now);
        }
        CHECK(tcb.snd.una == tcb.snd.end);
        CHECK(sent == 200);
        CHECK(tcb.congestion.window() >= 10'000);
    };
    exchange(established<modelled>());
    exchange(established<plain>());
}
