// SPDX-License-Identifier: MIT
#include "mirage/net/reassembly.hpp"
#include <doctest/doctest.h>
#include <random>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::holes;

constexpr ipv4_address peer{10, 0, 0, 9}, own{10, 0, 0, 2};

std::vector<std::byte> pattern(std::size_t size, unsigned seed = 0) {
    std::vector<std::byte> text(size);
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<std::byte>((i * 7 + i / 251 + seed) & 0xff);
    return text;
}

struct piece {
    std::size_t offset = 0;
    std::vector<std::byte> text{};
    bool more = true;
    std::uint16_t id = 1;
    ipv4_address from = peer;
};

/// The packet of a fragment, as it would be on the wire; `options` octets of no-operation in its header.
std::vector<std::byte> packet_of(const piece& p, std::size_t options = 0) {
    const std::size_t header = 20 + options;
    std::vector<std::byte> raw(header + p.text.size(), std::byte{1});
    wire::ipv4_header{.source = p.from,
                      .destination = own,
                      .protocol = wire::ip_protocol::udp,
                      .dont_fragment = false,
                      .more_fragments = p.more,
                      .identification = p.id,
                      .fragment_offset = static_cast<std::uint16_t>(p.offset),
                      .total_length = static_cast<std::uint16_t>(raw.size())}
        .emit(raw);
    if (options != 0) {
        raw[0] = static_cast<std::byte>(0x40 | header / 4);
        wire::ipv4_at::checksum::store(raw.data(), 0);
        wire::ipv4_at::checksum::store(raw.data(), wire::checksum(octets{raw}.first(header)));
    }
    std::ranges::copy(p.text, raw.begin() + static_cast<std::ptrdiff_t>(header));
    return raw;
}

struct bench {
    buffer_pool pool{4, 70000};
    net::reassembly<4> machine{pool};
    instant now{1h};

    result<slice> add(const piece& p, std::size_t options = 0) {
        const auto raw = packet_of(p, options);
        const auto view = wire::ipv4_view::parse(raw);
        REQUIRE(view);
        return machine.add(*view, now);
    }
    errc refused(const piece& p) {
        const auto r = add(p);
        return r ? errc{} : r.error();
    }
};

std::vector<piece> cut(const std::vector<std::byte>& whole, std::size_t each, std::uint16_t id = 1) {
    std::vector<piece> pieces;
    for (std::size_t at = 0; at < whole.size(); at += each) {
        const auto end = std::min(at + each, whole.size());
        pieces.push_back({.offset = at,
                          .text = {whole.begin() + static_cast<std::ptrdiff_t>(at),
                                   whole.begin() + static_cast<std::ptrdiff_t>(end)},
                          .more = end != whole.size(),
                          .id = id});
    }
    return pieces;
}

bool carries(const slice& datagram, const std::vector<std::byte>& text) {
    const auto view = wire::ipv4_view::parse(datagram.view());
    return view && !view->is_fragment() && view->source() == peer && view->destination() == own
           && view->total_length() == datagram.size() && std::ranges::equal(view->payload(), text);
}

} // namespace

SCENARIO("a datagram in pieces (RFC 791 section 3.2)") {
    bench b;
    const auto whole = pattern(4000);
    auto pieces = cut(whole, 1480);
    const auto all = [&] {
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i)
            CHECK(b.refused(pieces[i]) == errc::would_block);
        return b.add(pieces.back());
    };
    WHEN("they come in order") {
        const auto datagram = all();
        THEN("it is whole, under a mended header") {
            REQUIRE(datagram);
            CHECK(carries(*datagram, whole));
            CHECK(b.machine.in_progress() == 0);
            CHECK(b.machine.next_deadline() == never);
        }
    }
    WHEN("they come in any other order") {
        std::ranges::sort(pieces, {}, &piece::offset);
        do {
            const auto datagram = all();
            REQUIRE(datagram);
            CHECK(carries(*datagram, whole));
        } while (std::ranges::next_permutation(pieces, {}, &piece::offset).found);
        THEN("it is the same, and every page is returned") {
            CHECK(b.machine.count().reassembled == 6);
            CHECK(b.pool.available() == b.pool.size());
        }
    }
    WHEN("some come twice (RFC 8200 section 4.5: exact duplicates may be ignored)") {
        CHECK(b.refused(pieces[1]) == errc::would_block);
        CHECK(b.refused(pieces[1]) == errc::would_block);
        const auto datagram = all();
        THEN("it is whole") {
            REQUIRE(datagram);
            CHECK(carries(*datagram, whole));
        }
    }
    WHEN("the first has options") {
        CHECK_FALSE(b.add(pieces[2]));
        CHECK_FALSE(b.add(pieces[0], 12));
        const auto datagram = b.add(pieces[1]);
        THEN("its header is that of the datagram") {
            REQUIRE(datagram);
            CHECK(wire::ipv4_view::parse(datagram->view())->header_length() == 32);
            CHECK(carries(*datagram, whole));
        }
    }
    WHEN("another datagram is in between") {
        const auto other = pattern(3000, 5);
        for (piece& p : cut(other, 1480, 2))
            if (p.more)
                CHECK_FALSE(b.add(p));
        const auto datagram = all();
        THEN("they are not mixed") {
            REQUIRE(datagram);
            CHECK(carries(*datagram, whole));
            CHECK(b.machine.in_progress() == 1);
        }
    }
    WHEN("the same identification comes from another source") {
        for (piece p : pieces) {
            p.from = {10, 0, 0, 10};
            if (p.more)
                CHECK_FALSE(b.add(p));
        }
        THEN("it is another datagram") {
            CHECK_FALSE(b.add(pieces.back()));
        }
    }
}

TEST_CASE("fragments that no honest sender makes spoil their datagram (RFC 1858, RFC 5722 section 4)") {
    bench b;
    const auto whole = pattern(64);
    const auto part = [&](std::size_t begin, std::size_t end, bool more = true) {
        return piece{begin,
                     {whole.begin() + static_cast<std::ptrdiff_t>(begin),
                      whole.begin() + static_cast<std::ptrdiff_t>(end)},
                     more};
    };
    const auto spoilt = [&](const piece& bad) {
        CHECK(b.refused(bad) == errc::malformed);
        // and nothing makes it good again
        CHECK(b.refused(part(0, 32)) == errc::malformed);
        CHECK(b.refused(part(32, 64, false)) == errc::malformed);
        CHECK(b.machine.count().malformed == 1);
        CHECK(b.machine.count().reassembled == 0);
        CHECK(b.pool.available() == b.pool.size());
    };
    SUBCASE("overlap at the front") {
        CHECK_FALSE(b.add(part(16, 32)));
        spoilt(part(8, 24));
    }
    SUBCASE("overlap at the back") {
        CHECK_FALSE(b.add(part(16, 32)));
        spoilt(part(24, 40));
    }
    SUBCASE("one around another") {
        CHECK_FALSE(b.add(part(16, 32)));
        spoilt(part(8, 40));
    }
    SUBCASE("teardrop: the second inside of the first, with other octets") {
        CHECK_FALSE(b.add(part(0, 40)));
        spoilt({.offset = 24, .text = pattern(8, 99), .more = false});
    }
    SUBCASE("the same place with other octets") {
        CHECK_FALSE(b.add(part(0, 40)));
        spoilt({.offset = 0, .text = pattern(40, 3)});
    }
    SUBCASE("two different ends") {
        CHECK_FALSE(b.add(part(48, 64, false)));
        spoilt({.offset = 64, .text = pattern(8), .more = false});
    }
    SUBCASE("octets behind the end") {
        CHECK_FALSE(b.add(part(16, 24, false)));
        spoilt(part(24, 32));
    }
    SUBCASE("the end before octets that have come") {
        CHECK_FALSE(b.add(part(32, 48)));
        spoilt(part(8, 16, false));
    }
    SUBCASE("more after the end") {
        CHECK_FALSE(b.add(part(48, 64, false)));
        spoilt(part(40, 64));
    }
}

TEST_CASE("fragments that are dropped alone") {
    bench b;
    CHECK(b.refused({.offset = 0, .text = pattern(12)}) == errc::malformed);       // not a multiple of 8
    CHECK(b.refused({.offset = 8, .text = {}, .more = false}) == errc::malformed); // empty
    CHECK(b.refused({.offset = 0, .text = pattern(8), .more = false})
          == errc::malformed); // no fragment at all
    CHECK(b.machine.in_progress() == 0);
}

TEST_CASE("ping of death: nothing grows past 65,535 octets") {
    bench b;
    CHECK_FALSE(b.add({.offset = 0, .text = pattern(8)}, 40));
    // Ends at 65,512: with 20 octets of header it would fit, with the 60 of the first fragment it does not.
    CHECK(b.refused({.offset = 65504, .text = pattern(8), .more = false}) == errc::too_large);
    CHECK(b.machine.count().too_large == 1);
    CHECK(b.pool.available() == b.pool.size());

    SUBCASE("also when the long header comes last") {
        auto pieces = cut(pattern(65500), 1480, 7);
        for (std::size_t i = 1; i < pieces.size(); ++i)
            CHECK_FALSE(b.add(pieces[i]));
        const auto datagram = b.add(pieces[0], 40);
        REQUIRE_FALSE(datagram);
        CHECK(datagram.error() == errc::too_large);
    }
}

TEST_CASE("the largest datagram of all, in Ethernet's fragments, last one first") {
    bench b;
    const auto whole = pattern(65515);
    auto pieces = cut(whole, 1480);
    CHECK(pieces.size() == 45);
    for (std::size_t i = pieces.size() - 1; i > 0; --i)
        CHECK(b.refused(pieces[i]) == errc::would_block);
    const auto datagram = b.add(pieces[0]);
    REQUIRE(datagram);
    CHECK(datagram->size() == 65535);
    CHECK(carries(*datagram, whole));
}

TEST_CASE("a datagram that does not fit the page is refused, one that does is not") {
    buffer_pool pool{2, 640};
    net::reassembly<2> machine{pool};
    const auto add = [&](const piece& p) {
        const auto raw = packet_of(p);
        return machine.add(*wire::ipv4_view::parse(raw), instant{});
    };
    CHECK(add({.offset = 576, .text = pattern(8), .more = false}).error() == errc::too_large);
    CHECK_FALSE(add({.offset = 0, .text = pattern(576), .id = 2}));
    CHECK(add({.offset = 576, .text = pattern(4), .more = false, .id = 2}));
}

SCENARIO("a datagram that never becomes whole (RFC 1122 section 3.3.2)") {
    bench b;
    unsigned expired = 0;
    std::vector<std::byte> quoted;
    const auto at = [&](instant when) {
        b.machine.on_time(when, [&](octets first) {
            ++expired;
            quoted.assign(first.begin(), first.end());
        });
    };
    WHEN("its first fragment has come") {
        const piece first{.offset = 0, .text = pattern(16)};
        CHECK_FALSE(b.add(first));
        CHECK_FALSE(b.add({.offset = 32, .text = pattern(16)}));
        CHECK(b.machine.next_deadline() == b.now + 30s);
        at(b.now + 30s - 1ns);
        CHECK(b.machine.in_progress() == 1);
        at(b.now + 30s);
        THEN("that is given back for the ICMP message") {
            CHECK(expired == 1);
            CHECK(quoted == packet_of(first));
            CHECK(b.machine.in_progress() == 0);
            CHECK(b.pool.available() == b.pool.size());
        }
    }
    WHEN("it has not") {
        CHECK_FALSE(b.add({.offset = 32, .text = pattern(16)}));
        at(b.now + 30s);
        THEN("it goes silently") {
            CHECK(expired == 0);
            CHECK(b.machine.in_progress() == 0);
            CHECK(b.machine.count().timed_out == 1);
        }
    }
    WHEN("later fragments come") {
        CHECK_FALSE(b.add({.offset = 0, .text = pattern(16)}));
        b.now += 20s;
        CHECK_FALSE(b.add({.offset = 32, .text = pattern(16)}));
        THEN("they do not prolong the time") {
            CHECK(b.machine.next_deadline() == b.now + 10s);
        }
    }
}

TEST_CASE("a flood of first fragments costs a bounded number of pages") {
    bench b;
    for (std::uint16_t id = 100; id < 1000; ++id) {
        CHECK(b.refused({.offset = 0, .text = pattern(8), .id = id}) == errc::would_block);
        b.now += 1ms;
    }
    CHECK(b.machine.in_progress() == 4);
    CHECK(b.machine.count().displaced == 896);
    CHECK(b.pool.available() == 0);
    // and a datagram whose pieces come together still gets through
    const auto whole = pattern(2000);
    const auto pieces = cut(whole, 1480);
    CHECK_FALSE(b.add(pieces[0]));
    const auto datagram = b.add(pieces[1]);
    REQUIRE(datagram);
    CHECK(carries(*datagram, whole));
}

TEST_CASE("when others have taken every page, fragments are dropped and counted") {
    bench b;
    std::vector<page> taken;
    while (b.pool.available() != 0)
        taken.push_back(b.pool.take());
    CHECK(b.refused({.offset = 0, .text = pattern(8)}) == errc::no_buffers);
    CHECK(b.machine.count().no_buffers == 1);
    taken.pop_back();
    CHECK(b.refused({.offset = 0, .text = pattern(8)}) == errc::would_block);
}

TEST_CASE("holes: too many of them are not worth their memory (RFC 815)") {
    holes h;
    for (std::uint32_t i = 0; i < holes::max_holes - 1; ++i)
        CHECK(h.fill(8 + 16 * i, 16 + 16 * i, false) == holes::outcome::filled);
    CHECK(h.fill(4000, 4008, false) == holes::outcome::contradiction);
    CHECK(h.fill(0, 8, false) == holes::outcome::filled); // closing one makes room
    CHECK(h.fill(4000, 4008, false) == holes::outcome::filled);
}

TEST_CASE("holes agree with a bitmap, for random fragments") {
    std::mt19937 random{20}; // the same sequence every time
    const auto yes = [](bool there) { return there; };
    for (int round = 0; round < 2000; ++round) {
        holes h;
        std::array<bool, 20> there{};
        std::size_t total = 0;
        for (int step = 0; step < 40; ++step) {
            const std::size_t begin = random() % 16, end = begin + 1 + random() % 4;
            const bool last = random() % 8 == 0;
            const auto covered = std::span{there}.subspan(begin, end - begin);
            const bool any = std::ranges::any_of(covered, yes), all = std::ranges::all_of(covered, yes);
            bool wrong = any && !all;
            if (total != 0)
                wrong = wrong || (last ? end != total : end >= total);
            else if (last)
                wrong = any || std::ranges::any_of(std::span{there}.subspan(end), yes);
            const auto expected = wrong ? holes::outcome::contradiction
                                  : all ? holes::outcome::present
                                        : holes::outcome::filled;
            REQUIRE(h.fill(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), last)
                    == expected);
            if (wrong)
                break;
            std::ranges::fill(covered, true);
            if (last)
                total = end;
            const bool whole = total != 0 && std::ranges::all_of(std::span{there}.first(total), yes);
            REQUIRE(h.none() == whole);
            if (whole)
                REQUIRE(h.total() == total);
        }
    }
}
