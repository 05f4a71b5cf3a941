// SPDX-License-Identifier: MIT
#include "mirage/wire/tcp.hpp"
#include "mirage/wire/ipv4.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr auto pseudo(std::size_t length) {
    return pseudo_header_sum(ipv4_address{192, 0, 2, 1}, ipv4_address{198, 51, 100, 2}, 6,
                             static_cast<std::uint16_t>(length));
}

// The SYN that a Linux host sends.
constexpr auto golden_syn =
    "c350 0050 11223344 00000000 a0 02 faf0 54cb 0000  020405b4 0402080a 01020304 00000000 01030307"_hex;
constexpr tcp_header syn{.source_port = 50000,
                         .destination_port = 80,
                         .sequence = 0x11223344,
                         .flags = tcp_flags::syn,
                         .window = 64240,
                         .options = {.maximum_segment_size = 1460,
                                     .window_scale = 7,
                                     .sack_permitted = true,
                                     .timestamps = tcp_timestamps{0x01020304, 0}}};
static_assert(syn.size() == 40);
static_assert(emitted<40>(syn, pseudo(40)) == golden_syn);

constexpr auto syn_view = tcp_view::parse(golden_syn, pseudo(40));
static_assert(syn_view && syn_view->source_port() == 50000 && syn_view->destination_port() == 80);
static_assert(syn_view->sequence() == 0x11223344 && syn_view->acknowledgment() == 0);
static_assert(syn_view->header_length() == 40 && syn_view->flags() == tcp_flags::syn
              && syn_view->window() == 64240);
static_assert(syn_view->has(tcp_flags::syn) && !syn_view->has(tcp_flags::syn | tcp_flags::ack));
static_assert(syn_view->urgent_pointer() == 0 && syn_view->payload().empty());
static_assert(syn_view->options() == syn.options);

// RFC 7323 appendix A: what a segment of an open connection looks like.
constexpr tcp_header plain{.source_port = 80,
                           .destination_port = 50000,
                           .sequence = 1,
                           .acknowledgment = 0x11223345,
                           .flags = tcp_flags::ack | tcp_flags::psh,
                           .window = 502,
                           .options = {.timestamps = tcp_timestamps{5, 6}}};
constexpr auto golden_plain =
    "0050 c350 00000001 11223345 80 18 01f6 bc0e 0000  0101080a 00000005 00000006  61 62 63"_hex;
static_assert(same(emitted<32>(plain, pseudo(35) + sum("61 62 63"_hex)), octets{golden_plain}.first(32)));
static_assert(tcp_view::parse(golden_plain, pseudo(35))->options() == plain.options);
static_assert(tcp_view::parse(golden_plain, pseudo(35))->payload().size() == 3);

constexpr tcp_options parse(octets list) {
    return tcp_options::parse(list);
}

// One row, one rule.
static_assert(parse({}) == tcp_options{});
static_assert(parse("00 02 04 05 b4"_hex) == tcp_options{});                      // behind the end
static_assert(parse("01 01 02 04 05 b4"_hex).maximum_segment_size == 1460);       // not aligned
static_assert(parse("fe 04 00 00 02 04 05 b4"_hex).maximum_segment_size == 1460); // MUST-6: unknown
static_assert(parse("03 03 0e"_hex).window_scale == 14
              && parse("03 03 ff"_hex).window_scale == 14);                                   // RFC 7323 s2.3
static_assert(parse("08 0a 00000001 00000002 00 00"_hex).timestamps == tcp_timestamps{1, 2}); // no NOPs
static_assert(parse("0101080a 00000001 00000002"_hex).timestamps == tcp_timestamps{1, 2});    // the short cut
static_assert(parse("0101080a 00000001 00000002 00000000"_hex).timestamps == tcp_timestamps{1, 2}); // not it
static_assert(parse("01 01 05 12 00000001 00000002 00000003 00000004"_hex)
              == tcp_options{.sack_count = 2, .sack = {{{1, 2}, {3, 4}}}});
// MUST-7: illegal lengths.
static_assert(parse("fe 00 02 04 05 b4"_hex) == tcp_options{.malformed = true});
static_assert(parse("fe 01 02 04 05 b4"_hex) == tcp_options{.malformed = true});
static_assert(parse("02 04 05"_hex) == tcp_options{.malformed = true});
static_assert(parse("02"_hex) == tcp_options{.malformed = true});
static_assert(parse("02 03 05 03 03 07"_hex) == tcp_options{.window_scale = 7, .malformed = true});
static_assert(parse("03 02 04 02"_hex) == tcp_options{.sack_permitted = true, .malformed = true});
static_assert(parse("04 03 00"_hex) == tcp_options{.malformed = true});
static_assert(parse("05 02"_hex) == tcp_options{.malformed = true});
static_assert(parse("05 06 00000000"_hex) == tcp_options{.malformed = true});
static_assert(parse("08 09 00000000 000000"_hex) == tcp_options{.malformed = true});

// SACK blocks fill what room there is (RFC 2018 section 3: three beside timestamps, else four).
constexpr tcp_options blocks(bool timestamps) {
    tcp_options o{.sack_count = 4, .sack = {{{1, 2}, {3, 4}, {5, 6}, {7, 8}}}};
    if (timestamps)
        o.timestamps = tcp_timestamps{9, 10};
    return o;
}
static_assert(blocks(false).size() == 36 && blocks(true).size() == 40);
static_assert(
    emitted<40>(blocks(true))
    == "0101080a 00000009 0000000a 0101051a 00000001 00000002 00000003 00000004 00000005 00000006"_hex);
static_assert(parse(emitted<36>(blocks(false))) == blocks(false));

} // namespace

TEST_CASE("a TCP checksum covers pseudo header, header and data (RFC 9293 section 3.1, MUST-3)") {
    for (std::size_t at = 0; at < golden_plain.size(); ++at) {
        const auto broken = with(golden_plain, at, std::to_integer<unsigned>(golden_plain[at]) ^ 1u);
        CHECK(tcp_view::parse(broken, pseudo(35)).error() == errc::bad_checksum);
        CHECK(tcp_view::parse(broken, pseudo(35), verify::no).has_value());
    }
    CHECK(tcp_view::parse(golden_plain, pseudo(36)).error() == errc::bad_checksum);
}

TEST_CASE("the data offset is checked (RFC 9293 section 3.1)") {
    CHECK(tcp_view::parse(with(golden_plain, 12, 0x40), pseudo(35)).error() == errc::malformed);
    CHECK(tcp_view::parse(with(golden_plain, 12, 0x00), pseudo(35)).error() == errc::malformed);
    CHECK(tcp_view::parse(with(golden_plain, 12, 0x90), pseudo(35)).error() == errc::truncated);
    CHECK(tcp_view::parse(with(golden_plain, 12, 0xf0), pseudo(35)).error() == errc::truncated);
    for (std::size_t length = 0; length < 32; ++length)
        CHECK(tcp_view::parse(octets{golden_plain}.first(length), pseudo(length)).error() == errc::truncated);
}

TEST_CASE("reserved bits of the header are ignored when received and zero when sent (RFC 9293 section 3.1)") {
    const auto reserved = with(golden_plain, 12, 0x8f);
    const auto view = tcp_view::parse(reserved, pseudo(35), verify::no);
    REQUIRE(view.has_value());
    CHECK(view->header_length() == 32);
    std::array<std::byte, 32> sent{};
    sent.fill(std::byte{0xff});
    plain.emit(sent, pseudo(32));
    CHECK(sent[12] == std::byte{0x80});
}

TEST_CASE("octets of any kind are some list of options, and the walk ends (RFC 9293 section 3.1, MUST-7)") {
    dice any{50};
    for (int i = 0; i < 20000; ++i) {
        auto list = any.octets(any(41));
        for (auto& o : list) // mostly kinds and lengths that exist
            if (any(4) != 0)
                o = static_cast<std::byte>(any(12));
        const auto found = tcp_options::parse(list);
        CHECK(found.sack_count <= 4);
        CHECK(found.window_scale.value_or(0) <= 14);
        CHECK(found.size() <= 40);
    }
}

TEST_CASE("no more than four SACK blocks are kept, of one option or of several") {
    std::array<std::byte, 44> list{}; // longer than any header can hold
    list[0] = std::byte{5};
    list[1] = std::byte{42};
    CHECK(tcp_options::parse(list).sack_count == 4);
    list[1] = std::byte{26};
    list[26] = std::byte{5};
    list[27] = std::byte{18};
    list[35] = std::byte{7};
    const auto found = tcp_options::parse(list);
    CHECK(found.sack_count == 4);
    CHECK(found.sack[3] == sack_block{0, 7});
    CHECK_FALSE(found.malformed);
}

TEST_CASE("a device that completes the checksum finds the pseudo header's sum") {
    auto segment = golden_plain;
    plain.emit_for_offload(segment, pseudo(35));
    CHECK(tcp_at::checksum::load(segment.data()) == pseudo(35).fold());
    tcp_at::checksum::store(segment.data(), checksum(segment)); // what the device does
    CHECK(segment == golden_plain);
}

TEST_CASE("TCP over IPv4 comes back from what it emits") {
    dice any{60};
    for (int i = 0; i < 3000; ++i) {
        tcp_header header{.source_port = any.half(),
                          .destination_port = any.half(),
                          .sequence = any.word(),
                          .acknowledgment = any.word(),
                          .flags = static_cast<tcp_flags>(any(256)),
                          .window = any.half(),
                          .urgent_pointer = any.half()};
        auto& options = header.options;
        if (any.coin())
            options.timestamps = tcp_timestamps{any.word(), any.word()};
        if (any.coin()) { // as in a SYN
            if (any.coin())
                options.maximum_segment_size = any.half();
            if (any.coin())
                options.window_scale = static_cast<std::uint8_t>(any(15));
            options.sack_permitted = any.coin();
        } else {
            options.sack_count = static_cast<std::uint8_t>(any(options.timestamps ? 4 : 5));
            for (std::size_t b = 0; b < options.sack_count; ++b)
                options.sack[b] = {any.word(), any.word()};
        }
        const auto size = any(1400);
        auto packet = any.octets(20 + header.size() + size);
        const ipv4_header ip{.source = ipv4_address{any.word()},
                             .destination = ipv4_address{any.word()},
                             .total_length = static_cast<std::uint16_t>(packet.size())};
        ip.emit(packet);
        const auto data = octets{packet}.subspan(20 + header.size());
        header.emit(mutable_octets{packet}.subspan(20), ip.pseudo_header() + sum(data));

        const auto outer = ipv4_view::parse(packet);
        REQUIRE(outer.has_value());
        const auto v = tcp_view::parse(outer->payload(), outer->pseudo_header());
        REQUIRE(v.has_value());
        CHECK(header
              == tcp_header{v->source_port(), v->destination_port(), v->sequence(), v->acknowledgment(),
                            v->flags(), v->window(), v->urgent_pointer(), v->options()});
        CHECK(same(v->payload(), data));
    }
}
