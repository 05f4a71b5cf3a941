// SPDX-License-Identifier: MIT
#include "machine.hpp"
#include "two_hosts.hpp"

using namespace test;

namespace {

using selective_tcb = control_block<reno, rack>;

sack_block block(std::uint32_t left, std::uint32_t right) { return {{left}, {right}}; }

/// In ESTABLISHED with SACK agreed on; `segments` of 1000 octets were sent from 1000 on, all at once, a round-trip time of 100 ms
/// ago.
struct sender {
    selective_tcb tcb = established<selective_tcb>({.mss = 1000, .receive_buffer = 10'000, .no_delay = true});
    instant now{};
    instant echo{}; ///< when what the peer answers was sent, where timestamps are on

    explicit sender(std::uint32_t segments, std::uint32_t queued = 0) {
        tcb.snd.wnd = tcb.snd.max_wnd = 50'000;
        REQUIRE(tcb.selective);
        tcb.rtt.srtt = 100ms;
        tcb.rtt.rto = 350ms;
        text_queued(tcb, std::max(segments, queued) * 1000);
        for (std::uint32_t i = 0; i < segments; ++i) {
            const auto t = next_transmission(tcb, now, 1000);
            REQUIRE(t);
            (void)header_for(tcb, *t, now);
            transmitted(tcb, *t, now);
        }
        now += 100ms;
    }

    /// An acknowledgement with blocks; what is sent in answer.
    std::vector<segment> acknowledged(std::uint32_t ack, std::initializer_list<sack_block> blocks = {}) {
        const std::vector<sack_block> list{blocks};
        segment seg{.seq = {5000}, .ack = {ack}, .window = 50'000, .has_ack = true, .sack = list};
        seg.has_timestamps = tcb.timestamps.on;
        seg.timestamps.echo = timestamp_at(echo);
        (void)segment_arrives(tcb, seg, now);
        return drain(tcb, now);
    }
    std::vector<segment> wait() {
        now = next_deadline(tcb);
        (void)on_time(tcb, now);
        return drain(tcb, now);
    }
};

std::vector<std::uint32_t> places(const std::vector<segment>& sent) {
    std::vector<std::uint32_t> found;
    for (const segment& s : sent)
        found.push_back(s.seq.value);
    return found;
}
using list = std::vector<std::uint32_t>;

} // namespace

TEST_CASE("the scoreboard keeps blocks in order and apart (RFC 2018 section 5)") {
    scoreboard known;
    CHECK(known.add(block(3000, 4000)) == 1000);
    CHECK(known.add(block(3000, 4000)) == 0);
    CHECK(known.add(block(5000, 6000)) == 1000);
    CHECK(known.add(block(1000, 2000)) == 1000);
    CHECK(known.size() == 3);
    CHECK(known.octets_before({3500}) == 1500);
    CHECK(known.add(block(2000, 2500)) == 500); // touches the first
    CHECK(known.size() == 3);
    CHECK(known.add(block(2400, 5500)) == 1500); // joins all
    REQUIRE(known.size() == 1);
    CHECK(known[0] == block(1000, 6000));
    SUBCASE("what is acknowledged goes") {
        known.add(block(7000, 8000));
        CHECK(known.acknowledged({6500}) == 5000);
        REQUIRE(known.size() == 1);
        CHECK(known[0] == block(7000, 8000));
    }
    SUBCASE("a block at SND.UNA shows that the peer has thrown it away (RFC 2018 section 8)") {
        known.add(block(7000, 8000));
        (void)known.acknowledged({3000});
        CHECK(known.empty());
    }
    SUBCASE("memory is bounded") {
        for (std::uint32_t i = 10; i < 100; ++i)
            known.add(block(i * 1000, i * 1000 + 500));
        CHECK(known.size() == 16);
        CHECK(known.add(block(1'000'000, 1'000'001)) == 0);
        CHECK(known.add(block(1000, 200'000)) > 0); // what joins others always has a place
        CHECK(known.size() == 1);
    }
    SUBCASE("the number space wraps") {
        scoreboard wrapped;
        CHECK(wrapped.add(block(0xffff'fe00, 0x200)) == 1024);
        CHECK(wrapped.add(block(0x200, 0x400)) == 512);
        CHECK(wrapped.size() == 1);
    }
}

TEST_CASE("a hole is lost when three blocks, or more than two segments, arrived above it (RFC 8985 section 6.2, RFC 6675 section 4)") {
    sender s{10};
    CHECK(s.acknowledged(1000, {block(2000, 3000)}).empty());
    CHECK(s.acknowledged(1000, {block(2000, 4000)}).empty());
    CHECK_FALSE(s.tcb.recovery.active);
    CHECK(places(s.acknowledged(1000, {block(2000, 5000)})) == list{1000});
    CHECK(s.tcb.recovery.active);
    CHECK(s.tcb.statistics.fast_recoveries == 1);
    CHECK(s.tcb.recovery.recover == sequence{11'000});
}

TEST_CASE("several losses of one window are repaired within a round trip (RFC 6675 section 5, RFC 6937 section 3)") {
    sender s{10}; // 1000, 4000 and 7000 are lost
    CHECK(s.acknowledged(1000, {block(2000, 3000)}).empty());
    CHECK(s.acknowledged(1000, {block(2000, 4000)}).empty());
    CHECK(s.acknowledged(1000, {block(5000, 6000), block(2000, 4000)}) .size() == 1); // 1000
    list again;
    for (const auto& blocks : {std::initializer_list<sack_block>{block(5000, 7000), block(2000, 4000)},
                               {block(8000, 9000), block(5000, 7000), block(2000, 4000)},
                               {block(8000, 10'000), block(5000, 7000), block(2000, 4000)},
                               {block(8000, 11'000), block(5000, 7000), block(2000, 4000)}})
        for (const auto place : places(s.acknowledged(1000, blocks)))
            again.push_back(place);
    CHECK(again == list{4000, 7000});
    CHECK(s.tcb.statistics.timeouts == 0);
    SUBCASE("and nothing is sent twice") {
        CHECK(s.acknowledged(4000, {block(8000, 11'000), block(5000, 7000)}).empty());
        CHECK(s.acknowledged(7000, {block(8000, 11'000)}).empty());
        (void)s.acknowledged(11'000);
        CHECK_FALSE(s.tcb.recovery.active);
        CHECK(s.tcb.congestion.window() <= s.tcb.congestion.ssthresh());
    }
}

TEST_CASE("in recovery one segment goes out for about two that arrive: half the window (RFC 6937 section 3.1)") {
    sender s{10, 40};
    std::size_t sent = 0;
    for (std::uint32_t right = 3000; right <= 11'000; right += 1000)
        sent += s.acknowledged(1000, {block(2000, right)}).size();
    CHECK(sent >= 4);
    CHECK(sent <= 6);
    CHECK(s.tcb.congestion.ssthresh() == 5000); // what limited transmit sent does not count (RFC 5681 section 3.1)
}

TEST_CASE("blocks of what was never sent, below the acknowledgement, or turned round are ignored (RFC 2018 section 4)") {
    sender s{5};
    CHECK(s.acknowledged(1000, {block(5000, 7000), block(900, 1000), block(4000, 3000), block(0x9000'0000, 0x9000'1000)}).empty());
    CHECK(s.acknowledged(1000, {block(1000, 6000)}).empty()); // would be an acknowledgement
    CHECK(s.tcb.recovery.sacked.empty());
    CHECK_FALSE(s.tcb.recovery.active);
    CHECK(s.tcb.recovery.duplicates == 0);
}

TEST_CASE("a retransmission that is lost, too, is found when what was sent after it arrives") {
    sender s{10, 60};
    for (std::uint32_t right = 3000; right <= 11'000; right += 1000)
        (void)s.acknowledged(1000, {block(2000, right)});
    REQUIRE(after(s.tcb.snd.max, sequence{13'999})); // new text went out in recovery
    s.now += 100ms;
    list again;
    for (std::uint32_t right = 12'000; right <= s.tcb.snd.max.value && right <= 16'000; right += 1000)
        for (const auto place : places(s.acknowledged(1000, {block(2000, right)})))
            again.push_back(place);
    CHECK(std::ranges::count(again, 1000u) == 1);
    CHECK(s.tcb.statistics.timeouts == 0);
}

TEST_CASE("after a timeout what has arrived is not sent again (RFC 6675 section 5.1)") {
    sender s{6};
    (void)s.acknowledged(1000, {block(3000, 4000)});
    (void)s.acknowledged(1000, {block(3000, 4000), block(6000, 7000)});
    list again;
    while (s.tcb.statistics.timeouts == 0)
        for (const auto place : places(s.wait()))
            again.push_back(place);
    for (const std::uint32_t ack : {2000u, 4000u, 5000u})
        for (const auto place : places(s.acknowledged(ack, {block(6000, 7000)})))
            again.push_back(place);
    CHECK(std::ranges::count(again, 3000u) == 0);
    CHECK(std::ranges::count(again, 2000u) == 1);
    CHECK(std::ranges::count(again, 4000u) == 1);
}

TEST_CASE("a second timeout believes no block any more (RFC 2018 section 8)") {
    sender s{4};
    (void)s.acknowledged(1000, {block(3000, 4000)});
    while (s.tcb.statistics.timeouts < 2)
        (void)s.wait();
    CHECK(s.tcb.recovery.sacked.empty());
}

TEST_CASE("the end of a burst is probed after two round trips (RFC 8985 section 7)") {
    sender s{4};
    CHECK(s.tcb.at.loss_probe == instant{} + 210ms);
    SUBCASE("with the last segment, when there is nothing new") {
        CHECK(places(s.wait()) == list{4000});
        CHECK(s.tcb.statistics.timeouts == 0);
        SUBCASE("its arrival shows what else is lost") {
            CHECK(places(s.acknowledged(1000, {block(4000, 5000)})) == list{1000, 2000});
            CHECK(s.tcb.recovery.active);
            CHECK(places(s.acknowledged(2000, {block(4000, 5000)})) == list{3000});
            CHECK(s.acknowledged(3000, {block(4000, 5000)}).empty());
            CHECK(s.acknowledged(5000).empty());
            CHECK(s.tcb.statistics.timeouts == 0);
        }
        SUBCASE("it is the only probe; then the retransmission timer fires") {
            (void)s.wait();
            CHECK(s.tcb.statistics.timeouts == 1);
        }
        SUBCASE("a D-SACK says that nothing was lost: the window stays (section 7.4.2)") {
            const auto before = s.tcb.congestion.window();
            (void)s.acknowledged(5000);
            (void)s.acknowledged(5000, {block(4000, 5000)});
            text_queued(s.tcb, 1000);
            (void)drain(s.tcb, s.now);
            (void)s.acknowledged(6000);
            CHECK(s.tcb.congestion.window() >= before);
        }
        SUBCASE("without one the probe repaired a loss: the window shrinks") {
            const auto before = s.tcb.congestion.window();
            (void)s.acknowledged(5000);
            text_queued(s.tcb, 1000);
            (void)drain(s.tcb, s.now);
            (void)s.acknowledged(6000);
            CHECK(s.tcb.congestion.window() < before);
        }
    }
    SUBCASE("with new text, when there is some") {
        sender more{10, 12}; // the window is full
        CHECK(places(more.wait()) == list{11'000});
    }
    SUBCASE("not before an acknowledgement that may be delayed is overdue, when one segment is out") {
        sender one{1};
        CHECK(one.tcb.at.loss_probe == never); // 400 ms is later than the RTO
    }
}

TEST_CASE("with a peer that knows no SACK, recovery is NewReno's (RFC 6582 section 3.2)") {
    sender s{10};
    s.tcb.selective = false;
    CHECK(s.acknowledged(1000).empty());
    CHECK(s.acknowledged(1000).empty());
    CHECK(places(s.acknowledged(1000)) == list{1000});
    CHECK(places(s.acknowledged(3000)) == list{3000}); // partial: the next hole
    (void)s.acknowledged(11'000);
    CHECK_FALSE(s.tcb.recovery.active);
    CHECK(s.tcb.statistics.timeouts == 0);
}

TEST_CASE("segments that overtake each other are waited for: a quarter of the shortest round trip (RFC 8985 section 6.2)") {
    sender s{10};
    SUBCASE("when too little has arrived for three duplicate acknowledgements") {
        CHECK(s.acknowledged(1000, {block(2000, 3000)}).empty());
        CHECK(s.tcb.at.loss_probe == s.now + 25ms);
        SUBCASE("and then what is missing is lost") {
            CHECK(places(s.wait()) == list{1000});
            CHECK(s.tcb.recovery.active);
        }
        SUBCASE("it arrives in time: nothing is sent again, now or later") {
            s.now += 20ms;
            CHECK(s.acknowledged(3000).empty());
            CHECK_FALSE(s.tcb.recovery.waiting);
            CHECK(s.tcb.recovery.order.seen);
            CHECK(s.acknowledged(3000, {block(4000, 10'000)}).empty());
            CHECK_FALSE(s.tcb.recovery.active);
            CHECK(s.acknowledged(11'000).empty());
            CHECK(s.tcb.statistics.retransmits == 0);
        }
    }
    SUBCASE("longer for each round trip in which something was sent again in vain") {
        s.tcb.recovery.order.seen = true;
        (void)s.acknowledged(2000);
        (void)s.acknowledged(2000, {block(1000, 2000)}); // a D-SACK
        (void)s.acknowledged(2000, {block(1000, 2000)}); // one more in the same round counts no more
        CHECK(s.acknowledged(2000, {block(3000, 10'000)}).empty());
        CHECK(s.tcb.at.loss_probe == s.now + 50ms);
        SUBCASE("and for no more than a round trip") {
            s.tcb.recovery.order.multiple = 200;
            CHECK(s.acknowledged(2000, {block(3000, 11'000)}).empty());
            CHECK(s.tcb.at.loss_probe == s.now + s.tcb.rtt.srtt);
        }
        SUBCASE("until sixteen recoveries have passed (step 4)") {
            for (int i = 0; i < 16; ++i)
                s.tcb.recovery.order.recovered();
            CHECK(s.tcb.recovery.order.multiple == 1);
        }
    }
}

TEST_CASE("what went out earlier than something that arrived is lost, however little that is (RFC 8985 section 6.2)") {
    sender s{4, 10};
    (void)s.acknowledged(3000); // 3000 and 4000 are lost; more goes out now
    REQUIRE(s.tcb.snd.max == sequence{11'000});
    s.now += 100ms;
    CHECK(places(s.acknowledged(3000, {block(10'000, 11'000)})).front() == 3000);
    CHECK(s.tcb.recovery.active);
}

TEST_CASE("a reduction that proves needless is undone (RFC 3522 section 3.2, RFC 4015 section 3)") {
    sender s{10};
    s.tcb.timestamps.on = true;
    const auto window = s.tcb.congestion.window(), threshold = s.tcb.congestion.ssthresh();
    s.echo = instant{} + 1ms;
    SUBCASE("after a fast retransmission: the peer answers the first copy") {
        (void)s.acknowledged(1000, {block(2000, 8000)});
        REQUIRE(s.tcb.recovery.active);
        CHECK(s.tcb.congestion.window() < window);
        s.now += 5ms;
        (void)s.acknowledged(8000);
        CHECK_FALSE(s.tcb.recovery.active);
        CHECK(s.tcb.congestion.window() >= window);
        CHECK(s.tcb.congestion.ssthresh() == threshold);
        CHECK(s.tcb.statistics.needless_reductions == 1);
        CHECK(s.tcb.recovery.order.seen); // the next to be late is waited for
    }
    SUBCASE("not when it answers the second") {
        (void)s.acknowledged(1000, {block(2000, 8000)});
        s.echo = s.now;
        s.now += 100ms;
        (void)s.acknowledged(8000);
        CHECK(s.tcb.congestion.window() < window);
        CHECK(s.tcb.statistics.needless_reductions == 0);
    }
    SUBCASE("after a timeout: what it would have sent again is not sent (RFC 5682 has the same aim)") {
        while (s.tcb.statistics.timeouts == 0)
            (void)s.wait();
        CHECK(s.tcb.congestion.window() == 1000);
        (void)s.acknowledged(3000);
        CHECK(s.tcb.congestion.window() >= window);
        CHECK(s.tcb.snd.nxt == s.tcb.snd.max);
        CHECK(s.tcb.statistics.needless_reductions == 1);
    }
    SUBCASE("never without timestamps") {
        s.tcb.timestamps.on = false;
        (void)s.acknowledged(1000, {block(2000, 8000)});
        (void)s.acknowledged(8000);
        CHECK(s.tcb.statistics.needless_reductions == 0);
    }
}

TEST_CASE("the log tells when what is under way was last sent (RFC 8985 section 5.2)") {
    transmission_log log;
    const auto at = [](std::uint32_t us) { return send_time{us}; };
    log.sent({1000}, {2000}, false, at(100), 50);
    log.sent({2000}, {3000}, false, at(140), 50); // the same run
    log.sent({3000}, {4000}, false, at(200), 50);
    log.sent({1500}, {2500}, true, at(300), 50);
    SUBCASE("piece by piece") {
        const auto piece = [&](std::uint32_t from) { return log.last_sent({from}, {4000}); };
        CHECK(piece(1000).end == sequence{1500});
        CHECK(piece(1000).sent->at().value == 100);
        CHECK(piece(1500).end == sequence{2500});
        CHECK(piece(1500).sent->again());
        CHECK(piece(2500).end == sequence{3000});
        CHECK(piece(2500).sent->at().value == 100);
        CHECK(piece(3000).sent->at().value == 200);
        CHECK(log.newest_in({1000}, {4000})->again());
        CHECK(log.newest_in({4000}, {5000}) == nullptr);
    }
    SUBCASE("in bounded memory: the oldest is taken for younger than it is") {
        for (std::uint32_t i = 4; i < 20; ++i)
            log.sent({i * 1000}, {i * 1000 + 1000}, false, at(i * 1000), 50);
        CHECK(log.last_sent({1000}, {1500}).sent->at().value == 8000);
    }
    SUBCASE("until it is acknowledged") {
        log.acknowledged({4000});
        CHECK(log.newest_in({1000}, {4000}) == nullptr);
    }
    SUBCASE("its clock wraps") {
        CHECK(send_time{0x7fff'fff0}.age({0x10}) == 0x20);
    }
}

TEST_CASE("text that came before is told as a D-SACK, once (RFC 2883 section 4)") {
    auto tcb = established<selective_tcb>();
    (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .length = 1000, .window = 10'000, .has_ack = true}, instant{});
    CHECK(tcb.rcv.twice == sack_block{});
    (void)segment_arrives(tcb, {.seq = {5000}, .ack = {1000}, .length = 1000, .window = 10'000, .has_ack = true}, instant{});
    CHECK(tcb.rcv.twice == block(5000, 6000));
    CHECK(tcb.ack.now);
    tcb.rcv.twice = {};
    (void)segment_arrives(tcb, {.seq = {5500}, .ack = {1000}, .length = 1000, .window = 10'000, .has_ack = true}, instant{});
    CHECK(tcb.rcv.twice == block(5500, 6000));
}

TEST_CASE("an acknowledgement names first what came last (RFC 2018 section 4)") {
    buffer_pool pages{8, 4096};
    slice_node_pool nodes{16};
    receive_queue queue;
    const auto keep = [&](std::uint32_t seq, std::size_t length) {
        page p = pages.take();
        REQUIRE(queue.keep({seq}, std::move(p).freeze(0, length), nodes));
    };
    keep(2000, 100);
    keep(2100, 100);
    keep(4000, 100);
    keep(6000, 100);
    keep(8000, 100);
    std::array<sack_block, 4> blocks{};
    REQUIRE(queue.early_blocks({6000}, std::span{blocks}.first(3)) == 3);
    CHECK(blocks[0] == block(6000, 6100));
    CHECK(blocks[1] == block(2000, 2200));
    CHECK(blocks[2] == block(4000, 4100));
    REQUIRE(queue.early_blocks({8000}, blocks) == 4);
    CHECK(blocks[0] == block(8000, 8100));
    CHECK(queue.early_blocks({8000}, {}) == 0);
    queue.clear(nodes);
}

TEST_CASE("a bulk transfer over a line that loses two of a hundred needs hardly a timeout (RFC 6675, RFC 8985 section 7)") {
    two_hosts<> net{5, {}, {.receive_buffer = 256 * 1024, .send_buffer = 256 * 1024}};
    net.link.impair({.delay = 10ms, .loss = 2 * memory::impairment::percent, .seed = 9});
    struct {
        std::size_t received = 0;
        std::uint32_t timeouts = 0, repaired = 0, needless = 0;
        bool done = false;
    } out;
    net.spawn([](auto& hosts, auto& o) -> task<> {
        auto listener = hosts.server.tcp().listen(80);
        auto s = co_await listener.accept();
        while (const auto part = co_await s->async_receive())
            o.received += part->size();
        o.done = true;
    }(net, out));
    net.spawn([](auto& hosts, auto& o) -> task<> {
        auto s = co_await hosts.client.tcp().connect({two_hosts<>::server_address, 80});
        static const std::vector<std::byte> text(4 << 20);
        for (octets left{text}; !left.empty();) {
            const auto n = co_await s->async_write_some(left);
            if (!n)
                co_return;
            left = left.subspan(*n);
        }
        s->shutdown_send();
        while (!o.done)
            co_await hosts.sim.loop().sleep_for(10ms);
        o.timeouts = s->control().statistics.timeouts;
        o.repaired = s->control().statistics.fast_recoveries;
        o.needless = s->control().statistics.needless_reductions;
    }(net, out));
    REQUIRE(net.until([&] { return out.done && out.repaired != 0; }, 10min));
    CHECK(out.received == 4 << 20);
    CHECK(out.repaired >= 10);
    CHECK(out.timeouts <= out.repaired / 10);
    CHECK(out.needless <= out.timeouts); // every loss is one; a timeout may come while its repair is on the way
    MESSAGE("recoveries " << out.repaired << ", needless " << out.needless << ", timeouts " << out.timeouts << ", seconds "
                          << std::chrono::duration<double>(net.sim.now().time_since_epoch()).count());
}

TEST_CASE("wherever the sequence numbers begin, the first loss starts recovery (RFC 6582 section 3.2)") {
    for (const std::uint32_t iss : {0u, 0x7fff'ff00u, 0x8000'0000u, 0xffff'f000u}) {
        CAPTURE(iss);
        selective_tcb tcb;
        prepare(tcb, {.mss = 1000, .receive_buffer = 10'000, .no_delay = true});
        open_active(tcb, {iss});
        (void)drain(tcb, instant{});
        (void)segment_arrives(tcb, {.seq = {77}, .ack = {iss + 1}, .window = 50'000, .syn = true, .has_ack = true, .mss = 1000,
                                    .sack_permitted = true}, instant{});
        text_queued(tcb, 10'000);
        REQUIRE(drain(tcb, instant{}).size() == 10);
        const sack_block arrived[] = {block(iss + 1001, iss + 5001)};
        (void)segment_arrives(tcb, {.seq = {78}, .ack = {iss + 1}, .window = 50'000, .has_ack = true, .sack = arrived}, instant{} + 1ms);
        CHECK(tcb.recovery.active);
    }
}
