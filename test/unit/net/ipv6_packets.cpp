// SPDX-License-Identifier: MIT
// IPv6: Packets in and out, in pieces, and ICMPv6 errors.
#include "over_ipv6.hpp"

using namespace test::over_ipv6;

TEST_CASE("echo is answered, in pieces when it must be (RFC 4443 section 4.2, RFC 8200 section 4.5)") {
    bench b;
    b.settle();
    b.meet_peer();
    b.icmp(peer_address, here_address, echo(100));
    const auto small = bench::only(b.run(1ms), 129);
    REQUIRE(small.size() == 1);
    CHECK(small[0].text().size() == 108);
    CHECK(std::ranges::equal(small[0].text().subspan(4), octets{echo(100)}.subspan(4)));

    // 3000 octets in three pieces, last first; the answer is in pieces, too.
    auto whole = echo(2992);
    const auto pseudo = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{3000});
    wire::icmpv6_at::checksum::store(whole.data(), wire::sum(whole, pseudo).finish());
    for (const std::size_t at : {std::size_t{2400}, std::size_t{1200}, std::size_t{0}}) {
        const std::size_t size = std::min<std::size_t>(1200, 3000 - at);
        std::vector<std::byte> piece(8 + size);
        wire::ipv6_fragment_header{58, at + size < 3000, static_cast<std::uint16_t>(at), 0xabcd}.emit(piece);
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(at), size, piece.begin() + 8);
        b.inject(peer_address, here_address, 44, piece);
    }
    const auto pieces = b.run(1ms);
    CHECK(pieces.size() == 3);
    std::size_t total = 0;
    for (const seen& s : pieces) {
        CHECK(s.chain.verdict == wire::ipv6_verdict::reassemble);
        CHECK(s.octets_.size() <= 1514);
        total += s.octets_.size() - 14 - 48;
    }
    CHECK(total == 3000);
    CHECK(b.here.ip6().statistics().echo_replies == 2);
}

TEST_CASE("overlapping fragments spoil their packet (RFC 5722 section 4)") {
    bench b;
    b.settle();
    b.meet_peer();
    auto whole = echo(1592);
    const auto pseudo = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{1600});
    wire::icmpv6_at::checksum::store(whole.data(), wire::sum(whole, pseudo).finish());
    const auto send = [&](std::size_t at, std::size_t size, bool more) {
        std::vector<std::byte> piece(8 + size);
        wire::ipv6_fragment_header{58, more, static_cast<std::uint16_t>(at), 0xabcd}.emit(piece);
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(at), size, piece.begin() + 8);
        b.inject(peer_address, here_address, 44, piece);
    };
    send(0, 800, true);
    send(792, 800, true);
    send(800, 800, false);
    CHECK(b.run(1ms).empty());
    // An atomic fragment has nothing to overlap with: RFC 6946 section 4
    auto small = echo(8);
    const auto sum16 = wire::pseudo_header_sum(peer_address, here_address, 58, std::uint32_t{16});
    wire::icmpv6_at::checksum::store(small.data(), wire::sum(small, sum16).finish());
    std::vector<std::byte> atomic(8);
    wire::ipv6_fragment_header{58, false, 0, 0xabcd}.emit(atomic);
    atomic.insert(atomic.end(), small.begin(), small.end());
    b.inject(peer_address, here_address, 44, atomic);
    CHECK(bench::only(b.run(1ms), 129).size() == 1);
}

TEST_CASE("errors are sent about what cannot be delivered, and never without end (RFC 4443 section 2.4)") {
    bench b;
    b.settle();
    b.meet_peer();
    std::vector<std::byte> datagram(8);
    wire::udp_header{5353, 9, 8}.emit(datagram, wire::pseudo_header_sum(peer_address, here_address, 17, std::uint32_t{8}));
    b.inject(peer_address, here_address, 17, datagram);
    auto sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 1);
    CHECK(sent[0].code() == 4);
    CHECK(sent[0].text().size() == 8 + 40 + 8); // all of it is quoted

    b.inject(peer_address, here_address, 132, datagram); // nobody speaks SCTP
    sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].type() == 4);
    CHECK(sent[0].code() == 1);
    CHECK(wire::load<std::uint32_t>(sent[0].text().data() + 4) == 6);

    b.inject(peer_address, ipv6_address::all_nodes(), 132, datagram); // to a group
    b.inject({}, here_address, 132, datagram);                        // from nobody
    b.icmp(peer_address, here_address, bench::message(0x01040000u, 0)); // an error is not answered
    CHECK(b.run(1ms).empty());
    for (int i = 0; i < 200; ++i)
        b.inject(peer_address, here_address, 132, datagram);
    CHECK(b.run(1ms).size() <= 21);
    // IPv6 has no datagrams without a checksum: RFC 8200 section 8.1
    wire::store<std::uint16_t>(datagram.data() + 6, 0);
    b.inject(peer_address, here_address, 17, datagram);
    CHECK(b.run(1s).empty());
    CHECK(b.here.udp().statistics().bad_checksum == 1);
}

TEST_CASE("what is sent to a group stays on the link (RFC 3493 section 5.2)") {
    bench b;
    b.settle();
    auto socket = b.here.udp().bind(0);
    CHECK(socket.send_to({of("ff02::fb"), 5353}, as_octets("everybody")));
    const auto sent = b.run(1ms);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].hop_limit == 1);
    CHECK(sent[0].to == mac_address{{0x33, 0x33, 0, 0, 0, 0xfb}});
    CHECK(sent[0].source.is_link_local());
}

TEST_CASE("a packet that was too big is sent smaller (RFC 8201 section 4)") {
    bench b;
    b.settle();
    b.meet_peer();
    CHECK(b.here.ip6().path_mtu(peer_address) == 1500);
    const auto too_big = [&](std::uint32_t mtu, const ipv6_address& source) {
        auto m = bench::message(0x02000000u, mtu);
        std::vector<std::byte> quote(48);
        wire::ipv6_header{.source = source, .destination = peer_address, .next = wire::next_header::icmpv6,
                          .payload_length = 8}
            .emit(quote);
        m.insert(m.end(), quote.begin(), quote.end());
        b.icmp(router_address, here_address, m, 64);
        (void)b.run(1ms);
        return b.here.ip6().path_mtu(peer_address);
    };
    CHECK(too_big(1400, peer_address) == 1500); // not about a packet of ours
    CHECK(too_big(1400, here_address) == 1400);
    CHECK(too_big(1450, here_address) == 1400); // never larger
    b.icmp(peer_address, here_address, echo(1400));
    CHECK(b.run(1ms).size() == 2);
    CHECK(too_big(600, here_address) == 1280); // never below the minimum
    (void)b.run(11min);
    CHECK(b.here.ip6().path_mtu(peer_address) == 1500);
}
