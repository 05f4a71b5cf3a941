// SPDX-License-Identifier: MIT
// The two rings of netfront, against a backend that does what it should, and one that does what it likes.
#include "grant_book.hpp"
#include "mirage/xen/netfront/receiver.hpp"
#include "mirage/xen/netfront/transmitter.hpp"
#include "netback.hpp"
#include <deque>
#include <doctest/doctest.h>
#include <random>

using namespace mirage;
using namespace mirage::xen;
using xen::test::grant_book;
using xen::test::netback;

namespace {

constexpr domid_t backend = 7;

/// As much of a domain as the rings need.
struct domain {
    grant_book book{};
    grant_book& grants() noexcept { return book; }
};

std::string text(std::size_t size, unsigned seed = 0) {
    std::string s(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        s[i] = static_cast<char>('a' + (i * 7 + i / 251 + seed) % 26);
    return s;
}

constexpr transmit_features all_features{.scatter = true, .checksum = true, .checksum_ipv6 = true, .gso_ipv4 = true, .gso_ipv6 = true};

struct sending {
    domain home{};
    transmitter<domain> front;
    netback<grant_book> back{home.book};

    explicit sending(const transmit_features& features = all_features, std::size_t slots = 256, std::size_t copies = 32)
        : front{home, slots, copies} {
        home.book.peer = backend;
        REQUIRE(front.ready());
        REQUIRE(front.open(backend, features).has_value());
        back.tx.open(home.book.map(front.ring_ref(), true));
    }
    ~sending() {
        back.answer_held();
        CHECK_FALSE(front.close()); // the ring is mapped
        home.book.unmap(front.ring_ref());
        CHECK(front.close());
        CHECK(home.book.in_use() == 0);
        CHECK(back.bad_packets == 0);
        CHECK(back.bad_grants == 0);
    }
    bool turn() {
        (void)front.push();
        back.serve();
        (void)back.tx.push();
        return front.reclaim();
    }
    /// What arrives when `headers` and `parts` are sent.
    std::string send(std::string_view headers, std::span<const slice> parts, transmit_frame how = {}) {
        how.headers = as_octets(headers);
        how.payload = parts;
        const auto r = front.transmit(how);
        CHECK(r.has_value());
        CHECK(turn());
        CHECK(!back.sent.empty());
        if (back.sent.empty())
            return {};
        auto got = std::move(back.sent.back());
        back.sent.clear();
        last = got;
        return got.octets;
    }
    xen::test::sent_frame last{};
};

/// A pool's buffer with this text in it, `offset` octets from its begin.
slice pooled(buffer_pool& pool, std::string_view s, std::size_t offset = 0) {
    page p = pool.take();
    REQUIRE(static_cast<bool>(p));
    REQUIRE(offset + s.size() <= p.room().size());
    std::ranges::copy(as_octets(s), p.room().begin() + static_cast<std::ptrdiff_t>(offset));
    return std::move(p).freeze(offset, s.size());
}

} // namespace

TEST_CASE("netfront sends headers and slices") {
    sending s;
    const std::string headers = text(66, 3);

    SUBCASE("headers alone take one slot, and no grant is made") {
        const auto before = s.home.book.granted;
        CHECK(s.send(headers, {}) == headers);
        CHECK(s.last.slots == 1);
        CHECK(s.last.flags == 0);
        CHECK(s.home.book.granted == before);
    }
    SUBCASE("a short payload travels beside the headers") {
        buffer_pool pool{2, 4096};
        std::array parts{pooled(pool, text(100)), pooled(pool, text(20))};
        CHECK(s.send(headers, parts) == headers + text(100) + text(20));
        CHECK(s.last.slots == 1);
        parts = {};
        CHECK(pool.available() == 2);
    }
    SUBCASE("a long payload is not copied, and kept until it is answered") {
        buffer_pool pool{2, 8192};
        s.back.answers = false;
        std::array parts{pooled(pool, text(6000), 1000)};
        const void* const memory = parts[0].data();
        CHECK(s.send(headers, parts) == headers + text(6000));
        CHECK(s.last.slots == 3);
        CHECK(s.front.statistics().gathered == 0);
        parts = {};
        CHECK(pool.available() == 1);
        CHECK(s.home.book.shows(memory));
        s.back.answer_held();
        (void)s.back.push();
        CHECK(s.front.reclaim());
        CHECK(pool.available() == 2);
        CHECK_FALSE(s.home.book.shows(memory));
    }
    SUBCASE("static text, at every offset in its page") {
        alignas(4096) static std::array<char, 3 * 4096> memory;
        std::ranges::copy(text(memory.size()), memory.begin());
        for (const std::size_t offset : {0u, 1u, 2047u, 4095u})
            for (const std::size_t size : {300u, 4095u, 4096u, 4097u, 8000u}) {
                const std::string_view part{memory.data() + offset, size};
                std::array parts{slice::of_static(part)};
                CHECK(s.send(headers, parts) == headers + std::string{part});
                CHECK(s.last.slots == 1 + (offset + size + 4095) / 4096);
            }
        CHECK(s.front.statistics().gathered == 0);
        CHECK_FALSE(s.home.book.shows(memory.data()));
    }
    SUBCASE("checksum and segmentation are described to the backend") {
        buffer_pool pool{1, 65536};
        std::string tcp = headers;
        tcp[12] = 8, tcp[13] = 0;
        std::array parts{pooled(pool, text(60'000), 0)};
        CHECK(s.send(tcp, parts, {.checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}) == tcp + text(60'000));
        CHECK(s.last.gso_size == 1448);
        CHECK(s.last.gso_type == XEN_NETIF_GSO_TYPE_TCPV4);
        CHECK((s.last.flags & NETTXF_csum_blank) != 0);
        CHECK((s.last.flags & NETTXF_data_validated) != 0);
        CHECK(s.last.slots == 1 + 15);
        tcp = text(86), tcp[12] = '\x86', tcp[13] = '\xdd';
        CHECK(s.send(tcp, parts, {.checksum_start = 54, .checksum_offset = 16, .gso_size = 1428}) == tcp + text(60'000));
        CHECK(s.last.gso_type == XEN_NETIF_GSO_TYPE_TCPV6);
        CHECK(s.front.outstanding() == 0); // the extras' places were counted
    }
    SUBCASE("the largest frame there can be, wherever it lies") {
        buffer_pool pool{1, 65536 + 4096};
        std::string tcp = text(66);
        tcp[12] = 8, tcp[13] = 0;
        const std::size_t size = transmitter<domain>::largest - tcp.size();
        std::array parts{pooled(pool, text(size), 4095)};
        CHECK(s.send(tcp, parts, {.checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}) == tcp + text(size));
        CHECK(s.last.slots <= XEN_NETIF_NR_SLOTS_MIN);
        CHECK(s.front.statistics().gathered == 0);
    }
    SUBCASE("two slices that begin and end within pages: their ends are gathered, not their pages") {
        alignas(4096) static std::array<char, 20 * 4096> memory;
        std::ranges::copy(text(memory.size()), memory.begin());
        const std::string_view all{memory.data(), memory.size()}, first = all.substr(100, 32'000), second = all.substr(40'900, 33'000);
        std::string tcp = text(66);
        tcp[12] = 8, tcp[13] = 0;
        std::array parts{slice::of_static(first), slice::of_static(second)};
        CHECK(s.send(tcp, parts, {.checksum_start = 34, .checksum_offset = 16, .gso_size = 1448})
              == tcp + std::string{first} + std::string{second});
        CHECK(s.last.slots == XEN_NETIF_NR_SLOTS_MIN);
        CHECK(s.front.statistics().gathered == 3996 + 3428 + 60 + 172);
    }
    SUBCASE("more slices than slots: the smallest are gathered, nothing is lost") {
        buffer_pool pool{40, 8192};
        std::mt19937 random{1};
        for (int round = 0; round < 200; ++round) {
            std::vector<slice> parts;
            std::string whole = headers;
            const auto count = static_cast<unsigned>(random() % 41);
            for (unsigned i = 0; i < count; ++i) {
                const std::size_t most = std::array{3u, 300u, 2000u, 1600u}[random() % 4];
                const std::string part = text(random() % most, i);
                whole += part;
                parts.push_back(pooled(pool, part, random() % 4096));
            }
            const auto before = s.front.statistics().gathered;
            CHECK(s.send(headers, parts) == whole);
            CHECK(s.last.slots <= XEN_NETIF_NR_SLOTS_MIN);
            CHECK(s.front.statistics().gathered - before <= whole.size());
            if (count < XEN_NETIF_NR_SLOTS_MIN / 2 && whole.size() > 256) // each crosses one page at most
                CHECK(s.front.statistics().gathered == before);
            parts.clear();
            CHECK(pool.available() == 40);
        }
    }
    SUBCASE("what cannot be sent is refused whole") {
        CHECK(s.front.transmit({.headers = as_octets(headers).first(13)}).error() == errc::invalid_argument);
        const std::string long_headers = text(257);
        CHECK(s.front.transmit({.headers = as_octets(long_headers)}).error() == errc::too_large);
        static const std::string huge = text(65'536);
        std::array parts{slice::of_static(huge)};
        CHECK(s.front.transmit({.headers = as_octets(headers), .payload = parts}).error() == errc::too_large);
        CHECK(s.turn());
        CHECK(s.back.sent.empty());
    }
    SUBCASE("a full ring refuses, and takes frames again when it has been served") {
        s.back.answers = false;
        std::size_t sent = 0;
        while (s.front.transmit({.headers = as_octets(headers)}))
            REQUIRE(++sent <= 256);
        CHECK(sent > 128);
        CHECK(s.front.transmit({.headers = as_octets(headers)}).error() == errc::would_block);
        CHECK(s.turn());
        CHECK(s.front.transmit({.headers = as_octets(headers)}).error() == errc::would_block);
        s.back.answer_held();
        (void)s.back.push();
        CHECK(s.front.reclaim());
        CHECK(s.front.outstanding() == 0);
        CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
    }
    SUBCASE("no grant is left for the payload: it is refused, and nothing leaks") {
        static const std::string payload = text(9000);
        std::array parts{slice::of_static(payload)};
        const auto before = s.home.book.in_use();
        s.home.book.limit = before + 1;
        CHECK(s.front.transmit({.headers = as_octets(headers), .payload = parts}).error() == errc::would_block);
        CHECK(s.home.book.in_use() == before);
        s.home.book.limit = 1000;
        CHECK(s.send(headers, parts) == headers + payload);
    }
    SUBCASE("one notification for many frames, and none while the backend is awake") {
        CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
        CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
        CHECK(s.front.push());
        CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
        CHECK_FALSE(s.front.push()); // it has not said that it sleeps again
        CHECK_FALSE(s.front.push());
        CHECK(s.back.serve() == 3);
        CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
        CHECK(s.front.push());
        s.back.serve();
        CHECK(s.back.tx.push());
        CHECK(s.front.reclaim());
        CHECK(s.front.outstanding() == 0);

        // From now on answers wait for a turn of the loop, unless they become many.
        for (int i = 0; i < 128; ++i) {
            CHECK(s.front.transmit({.headers = as_octets(headers)}).has_value());
            (void)s.front.push();
            s.back.serve();
            CHECK(s.back.tx.push() == (i == 127));
        }
        CHECK(s.front.reclaim());
        CHECK(s.front.outstanding() == 0);
    }
    SUBCASE("multicast addresses are added and removed") {
        const mac_address group{{0x33, 0x33, 0, 0, 0, 1}};
        CHECK(s.front.filter(group, true).has_value());
        CHECK(s.turn());
        CHECK(s.back.groups == std::vector{group});
        CHECK(s.front.filter(group, false).has_value());
        CHECK(s.turn());
        CHECK(s.back.groups.empty());
        CHECK(s.front.outstanding() == 0);
    }
}

TEST_CASE("netfront sends by what the backend takes") {
    const std::string headers = text(54);
    static const std::string payload = text(1460, 5);
    SUBCASE("one slot per frame where there is no scatter-gather") {
        sending s{{}};
        std::array parts{slice::of_static(payload)};
        CHECK(s.send(headers, parts) == headers + payload);
        CHECK(s.last.slots == 1);
        CHECK_FALSE(s.home.book.shows(payload.data()));
        static const std::string longer = text(5000);
        std::array too_long{slice::of_static(longer)};
        CHECK(s.front.transmit({.headers = as_octets(headers), .payload = too_long}).error() == errc::too_large);
    }
    SUBCASE("no segmentation, no checksum") {
        sending s{{.scatter = true, .checksum = false}};
        std::array parts{slice::of_static(payload)};
        CHECK(s.front.transmit({.headers = as_octets(headers), .payload = parts, .checksum_start = 34,
                                .checksum_offset = 16, .gso_size = 500}).error() == errc::unsupported);
        CHECK(s.send(headers, parts) == headers + payload);
        // A checksum that was left open all the same is completed here; the field is at an even place: 34 + 16.
        const std::string got = s.send(headers, parts, {.checksum_start = 34, .checksum_offset = 16});
        CHECK(s.last.flags == NETTXF_more_data);
        CHECK(got.substr(0, 50) == headers.substr(0, 50));
        CHECK(got.substr(52) == headers.substr(52) + payload);
        std::string before = headers + payload;
        before[50] = before[51] = 0;
        const auto field = static_cast<std::uint16_t>(static_cast<unsigned char>(headers[50]) << 8
                                                      | static_cast<unsigned char>(headers[51]));
        const auto expected = static_cast<std::uint16_t>(
            ~(wire::sum(as_octets(before).subspan(34)) + wire::partial_sum::of(field)).fold());
        CHECK(static_cast<unsigned char>(got[50]) == expected >> 8);
        CHECK(static_cast<unsigned char>(got[51]) == (expected & 0xff));
        CHECK(s.front.transmit({.headers = as_octets(headers).first(51), .payload = parts, .checksum_start = 34,
                                .checksum_offset = 16}).error() == errc::invalid_argument);
    }
    SUBCASE("one that is not trusted sees no page that was not made for it") {
        auto features = all_features;
        features.trusted = false;
        sending s{features};
        s.back.answers = false;
        static const std::string longer = text(60'000);
        std::array parts{slice::of_static(longer)};
        std::string tcp = headers;
        tcp[12] = 8, tcp[13] = 0;
        CHECK(s.send(tcp, parts, {.checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}) == tcp + longer);
        for (std::size_t i = 0; i < longer.size(); i += 1000)
            CHECK_FALSE(s.home.book.shows(longer.data() + i));
        // The memory for copies is bounded, too.
        CHECK(s.send(tcp, parts, {.checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}) == tcp + longer);
        CHECK(s.front.transmit({.headers = as_octets(tcp), .payload = parts, .checksum_start = 34,
                                .checksum_offset = 16, .gso_size = 1448}).error() == errc::would_block);
    }
}

TEST_CASE("a backend that answers wrongly is found out") {
    sending s;
    s.back.answers = false;
    alignas(4096) static std::array<char, 5000> payload; // two pages, wherever it comes to lie
    std::ranges::copy(text(payload.size()), payload.begin());
    std::array parts{slice::of_static(std::string_view{payload.data(), payload.size()})};
    const std::string headers = text(54);
    REQUIRE(s.front.transmit({.headers = as_octets(headers), .payload = parts}).has_value());
    (void)s.front.push();
    s.back.serve();
    REQUIRE(s.back.held.size() == 3);
    auto& shared = s.back.tx.shared();

    SUBCASE("more answers than requests") {
        shared.rsp_prod = 4;
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an index far away") {
        shared.rsp_prod = 0x8000'0000;
        CHECK_FALSE(s.front.reclaim());
        shared.rsp_prod = 0xffff'ffff;
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an id that was never given") {
        s.back.answer(999, NETIF_RSP_OKAY);
        (void)s.back.tx.push();
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an id that is not outstanding") {
        s.back.answer(200, NETIF_RSP_OKAY);
        (void)s.back.tx.push();
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("the same id twice") {
        for (const auto& r : s.back.held)
            s.home.book.unmap(r.ref);
        s.back.answer(s.back.held[0].id, NETIF_RSP_OKAY);
        s.back.answer(s.back.held[0].id, NETIF_RSP_OKAY);
        (void)s.back.tx.push();
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an answer to an extra that there was not") {
        s.back.answer(0, NETIF_RSP_NULL);
        (void)s.back.tx.push();
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an answer while the page is mapped: nothing of it is used again") {
        s.back.answer(s.back.held[1].id, NETIF_RSP_OKAY);
        (void)s.back.tx.push();
        CHECK_FALSE(s.front.reclaim());
        CHECK(s.home.book.shows(payload.data()));
        CHECK_FALSE(s.front.close());
    }
    SUBCASE("an index that goes back") {
        s.back.answer_held();
        (void)s.back.tx.push();
        CHECK(s.front.reclaim());
        shared.rsp_prod = 1;
        CHECK_FALSE(s.front.reclaim());
    }
    SUBCASE("an error is counted, and no harm") {
        for (const auto& r : s.back.held) {
            s.home.book.unmap(r.ref);
            s.back.answer(r.id, NETIF_RSP_ERROR);
        }
        (void)s.back.tx.push();
        CHECK(s.front.reclaim());
        CHECK(s.front.statistics().failed == 3);
    }
}

namespace {

struct receiving {
    domain home{};
    receiver<domain> front;
    netback<grant_book> back{home.book};
    std::array<received_frame, 64> burst{};
    std::size_t count = 0;
    bool maps_stay = false;

    explicit receiving(std::size_t pages = 512, std::uint32_t lent = 256, std::size_t joined = 4)
        : front{home, pages, lent, joined} {
        home.book.peer = backend;
        REQUIRE(front.ready());
        REQUIRE(front.open(backend).has_value());
        CHECK(front.push());
        back.rx.open(home.book.map(front.ring_ref(), true));
    }
    ~receiving() {
        for (grant_ref_t ref = 0; ref < 2000; ++ref)
            home.book.unmap(ref), home.book.unmap(ref);
        CHECK(front.close());
        CHECK(home.book.in_use() == 0);
    }
    bool receive() {
        (void)back.rx.push();
        const bool good = front.receive(burst, count);
        front.lend();
        (void)front.push();
        return good;
    }
    std::string got(std::size_t i = 0) const { return std::string{as_text(burst[i].data.view())}; }
};

} // namespace

TEST_CASE("netfront receives pages and replaces them") {
    receiving r;
    CHECK(r.front.lent_pages() == 256);

    SUBCASE("frames are where the backend wrote them") {
        const auto before = r.front.pool().available();
        REQUIRE(r.back.send(text(60)));
        REQUIRE(r.back.send(text(1514, 1), {.flags = NETRXF_data_validated}));
        REQUIRE(r.back.send(text(100, 2), {.flags = NETRXF_csum_blank, .offset = 3996}));
        CHECK(r.receive());
        REQUIRE(r.count == 3);
        CHECK(r.got(0) == text(60));
        CHECK(r.got(1) == text(1514, 1));
        CHECK(r.got(2) == text(100, 2));
        CHECK_FALSE(r.burst[0].checksum_verified);
        CHECK(r.burst[1].checksum_verified);
        CHECK(r.burst[2].checksum_verified);
        CHECK(r.front.statistics().copied == 0);
        CHECK_FALSE(r.home.book.shows(r.burst[0].data.data()));
        CHECK(r.front.pool().available() == before);
    }
    SUBCASE("the ring is filled up again, and wraps") {
        for (unsigned i = 0; i < 2000; ++i) {
            REQUIRE(r.back.send(text(60 + i % 1000, i)));
            CHECK(r.receive());
            REQUIRE(r.count == 1);
            CHECK(r.got() == text(60 + i % 1000, i));
            CHECK(r.front.lent_pages() > 190);
        }
    }
    SUBCASE("a joined frame comes as one, with its segments' size") {
        for (const std::size_t size : {4097u, 9000u, 65'549u}) {
            REQUIRE(r.back.send(text(size), {.flags = NETRXF_csum_blank, .gso_size = 1448}));
            CHECK(r.receive());
            REQUIRE(r.count == 1);
            CHECK(r.got() == text(size));
            CHECK(r.burst[0].gso_size == 1448);
            CHECK(r.burst[0].checksum_verified);
            r.burst[0] = {};
        }
        CHECK(r.front.statistics().copied == 3 * 4096); // what was in front of the extra
        CHECK(r.receive());
        CHECK(r.front.pool().available() + r.front.lent_pages() == r.front.pool().size());
    }
    SUBCASE("pages of joined frames stay neighbours, whatever comes and goes") {
        std::mt19937 random{7};
        std::deque<std::pair<slice, std::string>> kept;
        std::size_t octets = 0;
        for (unsigned i = 0; i < 3000; ++i) {
            const std::size_t size = random() % 3 == 0 ? 60 + random() % 1400 : 20'000 + random() % 45'000;
            std::string frame = text(size, i);
            if (!r.back.send(frame, {.gso_size = 1448})) {
                CHECK(r.receive());
                continue;
            }
            octets += size;
            CHECK(r.receive());
            REQUIRE(r.count == 1);
            kept.emplace_back(std::move(r.burst[0].data), std::move(frame));
            // Usually what was read is gone soon; now and then something stays for a while.
            for (std::size_t k = 0; k < kept.size();)
                if (random() % 8 != 0 || kept.size() > 6) {
                    CHECK(as_text(kept[k].first.view()) == kept[k].second);
                    kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(k));
                } else {
                    ++k;
                }
        }
        MESSAGE("copied ", r.front.statistics().copied, " of ", octets);
        CHECK(r.front.statistics().copied < octets / 8);
        kept.clear();
        CHECK(r.receive());
        CHECK(r.front.pool().available() + r.front.lent_pages() == r.front.pool().size());
    }
    SUBCASE("pages that are not neighbours, or not full, are put together") {
        REQUIRE(r.back.send(text(5000), {.per_slot = 1000}));
        REQUIRE(r.back.send(text(5000, 1), {.per_slot = 3000, .offset = 100}));
        CHECK(r.receive());
        REQUIRE(r.count == 2);
        CHECK(r.got(0) == text(5000));
        CHECK(r.got(1) == text(5000, 1));
        CHECK(r.front.statistics().copied == 10'000);
    }
    SUBCASE("a part of a joined frame keeps all of its pages") {
        REQUIRE(r.back.send(text(9000)));
        CHECK(r.receive());
        REQUIRE(r.count == 1);
        CHECK(r.burst[0].data.pinned() == 3 * 4096);
        slice tail = r.burst[0].data.share(8000, 1000);
        r.burst[0] = {};
        for (unsigned i = 0; i < 600; ++i) {
            REQUIRE(r.back.send(text(1000, i)));
            CHECK(r.receive());
        }
        CHECK(as_text(tail.view()) == text(9000).substr(8000));
        tail.reset();
        r.burst[0] = {};
        CHECK(r.receive());
        CHECK(r.front.pool().available() + r.front.lent_pages() == r.front.pool().size());
    }
    SUBCASE("a frame of which only a part is there yet waits for the rest") {
        REQUIRE(r.back.send(text(5000)));
        r.back.rx.shared().rsp_prod = 1;
        CHECK(r.front.receive(r.burst, r.count));
        CHECK(r.count == 0);
        CHECK(r.receive());
        REQUIRE(r.count == 1);
        CHECK(r.got() == text(5000));
    }
    SUBCASE("never more than there is room for") {
        for (unsigned i = 0; i < 5; ++i)
            REQUIRE(r.back.send(text(60 + i)));
        (void)r.back.rx.push();
        std::array<received_frame, 2> two;
        std::size_t n = 0;
        for (unsigned i = 0; i < 5; i += 2) {
            CHECK(r.front.receive(two, n));
            CHECK(n == (i < 4 ? 2 : 1));
            CHECK(two[0].data.size() == 60 + i);
        }
        CHECK(r.front.receive({}, n));
        CHECK(n == 0);
    }
    SUBCASE("the backend is asked to notify only by who has found nothing") {
        REQUIRE(r.back.send(text(60)));
        CHECK(r.back.rx.push());
        REQUIRE(r.back.send(text(60)));
        CHECK_FALSE(r.back.rx.push());
        CHECK(r.receive());
        CHECK(r.count == 2);
        REQUIRE(r.back.send(text(60)));
        CHECK(r.back.rx.push());
    }
    SUBCASE("damaged frames are dropped, and what follows is not") {
        const auto place = [&] { return r.back.rx.at(r.back.rx.taken).req.id; };
        r.back.respond({.id = place(), .offset = 0, .flags = 0, .status = NETIF_RSP_ERROR});
        r.back.respond({.id = place(), .offset = 4000, .flags = 0, .status = 97});
        r.back.respond({.id = place(), .offset = 65'535, .flags = 0, .status = 1});
        r.back.respond({.id = place(), .offset = 0, .flags = 0, .status = 0});
        r.back.respond({.id = place(), .offset = 0, .flags = 0, .status = 13}); // not even an Ethernet header
        r.back.respond({.id = place(), .offset = 0, .flags = 0, .status = 32'767});
        r.back.respond({.id = place(), .offset = 0, .flags = NETRXF_more_data, .status = NETIF_RSP_DROPPED});
        r.back.respond({.id = place(), .offset = 0, .flags = 0, .status = 100});
        for (int i = 0; i < 30; ++i) // more pages than any frame has
            r.back.respond({.id = place(), .offset = 0, .flags = static_cast<std::uint16_t>(i < 29 ? NETRXF_more_data : 0),
                            .status = 4096});
        REQUIRE(r.back.send(text(77)));
        CHECK(r.receive());
        REQUIRE(r.count == 1);
        CHECK(r.got() == text(77));
        CHECK(r.front.statistics().dropped == 8);
        r.burst[0] = {};
        CHECK(r.front.pool().available() + r.front.lent_pages() == r.front.pool().size());
    }
    SUBCASE("an extra that was not asked for spoils its frame only") {
        netif_extra_info extra{};
        extra.type = XEN_NETIF_EXTRA_TYPE_HASH;
        r.back.respond({.id = 0, .offset = 0, .flags = NETRXF_extra_info, .status = 60});
        r.back.respond(std::bit_cast<netif_rx_response>(extra));
        REQUIRE(r.back.send(text(61)));
        CHECK(r.receive());
        REQUIRE(r.count == 1);
        CHECK(r.got() == text(61));
    }
    SUBCASE("answers to nothing are found out") {
        SUBCASE("more than requests") { r.back.rx.shared().rsp_prod = 257; }
        SUBCASE("an index far away") { r.back.rx.shared().rsp_prod = 0xffff'fff0; }
        SUBCASE("another request's id") {
            r.back.respond({.id = 5, .offset = 0, .flags = 0, .status = 60});
            (void)r.back.rx.push();
        }
        SUBCASE("while the page is mapped") {
            const auto request = r.back.rx.at(0).req;
            REQUIRE(r.home.book.map(request.gref, true) != nullptr);
            r.back.respond({.id = 0, .offset = 0, .flags = 0, .status = 60});
            (void)r.back.rx.push();
        }
        CHECK_FALSE(r.front.receive(r.burst, r.count));
        CHECK(r.count == 0);
    }
}

TEST_CASE("netfront without pages loses nothing that it has") {
    receiving r{64, 256, 2};
    CHECK(r.front.lent_pages() == 64);
    std::vector<slice> kept;
    for (unsigned i = 0; i < 64; ++i) {
        REQUIRE(r.back.send(text(100, i)));
        CHECK(r.receive());
        REQUIRE(r.count == 1);
        kept.push_back(std::move(r.burst[0].data));
    }
    CHECK_FALSE(r.back.send(text(60)));
    for (unsigned i = 0; i < 64; ++i)
        CHECK(as_text(kept[i].view()) == text(100, i));
    kept.clear();
    CHECK(r.receive());
    CHECK(r.front.lent_pages() == 64);
    CHECK(r.back.send(text(60)));
    CHECK(r.receive());
    CHECK(r.count == 1);

    SUBCASE("frames of several pages that are kept: the next is dropped, and counted") {
        for (unsigned i = 0; i < 3; ++i) {
            REQUIRE(r.back.send(text(9000), {.per_slot = 4000}));
            CHECK(r.receive());
            if (r.count > 0)
                kept.push_back(std::move(r.burst[0].data));
        }
        CHECK(kept.size() == 2);
        CHECK(r.front.statistics().dropped == 1);
        kept.clear();
    }
    r.burst = {};
}

TEST_CASE("netfront begins anew after its grants are gone") {
    receiving r;
    REQUIRE(r.back.send(text(5000)));
    r.back.rx.shared().rsp_prod = 1;
    CHECK(r.front.receive(r.burst, r.count)); // half a frame
    r.home.book.clear();
    r.front.forget();
    REQUIRE(r.front.open(backend).has_value());
    CHECK(r.front.push());
    r.back.rx.open(r.home.book.map(r.front.ring_ref(), true));
    REQUIRE(r.back.send(text(80)));
    CHECK(r.receive());
    REQUIRE(r.count == 1);
    CHECK(r.got() == text(80));

    sending s;
    static const std::string payload = text(3000);
    std::array parts{slice::of_static(payload)};
    s.back.answers = false;
    CHECK(s.send(text(54), parts) == text(54) + payload);
    s.back.held.clear();
    s.home.book.clear();
    s.front.forget();
    REQUIRE(s.front.open(backend, all_features).has_value());
    s.back.tx.open(s.home.book.map(s.front.ring_ref(), true));
    s.back.answers = true;
    CHECK(s.send(text(54), parts) == text(54) + payload);
}
