// SPDX-License-Identifier: MIT
#include "mirage/wire/dns.hpp"
#include "support.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;
using namespace mirage::wire;
using namespace test;

namespace {

constexpr dns_name name(std::string_view text) { return *dns_name::parse(text); }

std::string text(const dns_name& n) {
    line<1100> l;
    l << n;
    return std::string{l.view()};
}

/// RFC 1035 section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92.
constexpr auto example = [] {
    std::array<std::byte, 93> m{};
    const auto put = [&](std::size_t at, auto... octet) { ((m[at++] = static_cast<std::byte>(octet)), ...); };
    put(20, 1, 'F', 3, 'I', 'S', 'I', 4, 'A', 'R', 'P', 'A', 0);
    put(40, 3, 'F', 'O', 'O', 0xc0, 20);
    put(64, 0xc0, 26);
    put(92, 0);
    return m;
}();

/// A message with a name that begins at 12: pointers to before 12 lead into the header.
result<dns_name::placed> read_at(octets message, std::size_t at) { return dns_name::read(message, at); }

} // namespace

TEST_CASE("a name from text and back (RFC 1035 sections 2.3.4, 3.1 and 5.1)") {
    static_assert(name("www.example.com").size() == 17);
    static_assert(name("www.example.com").labels() == 3);
    static_assert(name("www.example.com") == name("www.example.com."));
    static_assert(name(".").is_root() && name(".").labels() == 0);
    CHECK(text(name("www.example.com")) == "www.example.com");
    CHECK(text(name(".")) == ".");
    CHECK(text(name("a\\.b.c\\\\d.\\000\\255\\ x")) == "a\\.b.c\\\\d.\\000\\255\\032x");
    CHECK(name("a\\.b.c").labels() == 2);
    const std::string label(63, 'x');
    CHECK(dns_name::parse(label));
    CHECK_FALSE(dns_name::parse(label + "x"));
    const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'y');
    REQUIRE(dns_name::parse(longest));
    CHECK(dns_name::parse(longest)->size() == 255);
    CHECK_FALSE(dns_name::parse(longest + "y"));
    for (const char* wrong : {"", "..", ".a", "a..b", "a\\", "a\\2", "a\\25", "a\\256", "a\\1x2"})
        CHECK_MESSAGE(dns_name::parse(wrong).error() == errc::malformed, wrong);
}

TEST_CASE("names compare without regard to case (RFC 4343 section 3)") {
    static_assert(name("WWW.Example.COM") == name("www.example.com"));
    static_assert(!name("WWW.Example.COM").same_spelling(name("www.example.com")));
    static_assert(name("a-b") != name("a_b")); // nor are any other characters alike
    static_assert(name("www.example.com").is_within(name("EXAMPLE.com")));
    static_assert(name("example.com").is_within(name("example.com")));
    static_assert(name("example.com").is_within(name(".")));
    static_assert(!name("example.com").is_within(name("www.example.com")));
    static_assert(!name("badexample.com").is_within(name("example.com")));
    // "\007example" looks like the label, and is part of one
    CHECK_FALSE(name("a\\007example.com").is_within(name("example.com")));
}

TEST_CASE("names are put together") {
    CHECK(*name("www").below(name("example.com")) == name("www.example.com"));
    CHECK(*name("www").below(name(".")) == name("www"));
    const std::string label(63, 'x');
    CHECK(name(label + "." + label).below(name(label + "." + label)).error() == errc::too_large);
    CHECK(dns_name::reverse(ipv4_address{192, 0, 2, 10}) == name("10.2.0.192.in-addr.arpa"));
    const std::array<std::uint8_t, 16> v6{0x43, 0x21, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0x05, 0x67, 0x89, 0xab};
    // the example of RFC 3596 section 2.5
    CHECK(dns_name::reverse(v6) == name("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"));
}

TEST_CASE("a name with its letters mixed is the same name") {
    dice throws{5};
    const auto plain = name("a-very-long-name.with.some-letters.in.it.example");
    bool differed = false;
    for (int i = 0; i < 20; ++i) {
        const auto mixed = plain.mixed([&] { return static_cast<std::uint8_t>(throws.word()); });
        CHECK(mixed == plain);
        differed |= !mixed.same_spelling(plain);
    }
    CHECK(differed);
    CHECK(text(name("aBc-9.dE").mixed([] { return std::uint8_t{0xff}; })) == "ABC-9.DE");
    CHECK(text(name("aBc-9.dE").mixed([] { return std::uint8_t{0}; })) == "abc-9.de");
    CHECK(text(name("abcdefghij").mixed([n = 0u]() mutable { return static_cast<std::uint8_t>(++n); }))
          == "AbcdefghiJ"); // the first bits first, 8 of a coin
}

TEST_CASE("compressed names (RFC 1035 section 4.1.4)") {
    const octets m{example};
    CHECK(text(read_at(m, 20)->name) == "F.ISI.ARPA");
    CHECK(read_at(m, 20)->end == 32);
    CHECK(text(read_at(m, 40)->name) == "FOO.F.ISI.ARPA");
    CHECK(read_at(m, 40)->end == 46);
    CHECK(text(read_at(m, 64)->name) == "ARPA");
    CHECK(read_at(m, 64)->end == 66);
    CHECK(read_at(m, 92)->name.is_root());
    CHECK(read_at(m, 93).error() == errc::truncated);
}

TEST_CASE("names that are none, or have no end (RFC 1035 section 4.1.4)") {
    const auto at = [](const auto& m, std::size_t where) { return read_at(octets{m}, where).error(); };
    CHECK(at("c000"_hex, 0) == errc::malformed);           // to itself
    CHECK(at("c002 c000"_hex, 2) == errc::malformed);      // to one another
    CHECK(at("c002 c000"_hex, 0) == errc::malformed);      // forwards
    CHECK(at("0161 c000"_hex, 0) == errc::malformed);      // round the labels before it
    CHECK(at("0161 c000"_hex, 2) == errc::malformed);      // into what ends in ourselves
    CHECK(at("0361 6263 c001"_hex, 4) == errc::malformed); // a length that is a letter
    CHECK(at("4161"_hex, 0) == errc::malformed);           // label types that nobody uses
    CHECK(at("8161"_hex, 0) == errc::malformed);
    CHECK(at("0361 62"_hex, 0) == errc::truncated);
    CHECK(at("0361 6263"_hex, 0) == errc::truncated);
    CHECK(at("c0"_hex, 0) == errc::truncated);
    CHECK(at("0161 c0"_hex, 0) == errc::truncated);

    // too long by way of pointers: each part fits
    std::array<std::byte, 600> parts{};
    std::size_t end = 0;
    for (int i = 0; i < 4; ++i) {
        parts[end] = std::byte{63};
        for (std::size_t k = 1; k <= 63; ++k)
            parts[end + k] = std::byte{'x'};
        end += 64;
    }
    CHECK(read_at(octets{parts}.first(end + 1), 0).error() == errc::malformed);
    CHECK(read_at(octets{parts}.first(end + 1), 64)->name.size() == 193);

    // as many pointers as one likes, each to the one before
    std::array<std::byte, 1 + 2 * 130> chain{};
    for (std::size_t i = 0; i < 130; ++i)
        store<std::uint16_t>(chain.data() + 1 + 2 * i, static_cast<std::uint16_t>(0xc000 | (i == 0 ? 0 : 2 * i - 1)));
    CHECK(read_at(octets{chain}, 1 + 2 * 126)->name.is_root());
    CHECK(read_at(octets{chain}, 1 + 2 * 127).error() == errc::malformed);
}

TEST_CASE("a query (RFC 1035 section 4.1, RFC 6891 section 6.1.2)") {
    std::array<std::byte, dns_query::max_size> room{};
    const dns_query query{.id = 0x1234, .question = {name("a.bc"), dns_type::aaaa}, .payload = 1232};
    const auto length = query.emit(room);
    CHECK(same(octets{room}.first(length), "1234 0100 0001 0000 0000 0001  01 61 02 62 63 00 001c 0001"
                                           "00 0029 04d0 00 00 0000 0000"_hex));
    const auto plain = dns_query{.id = 1, .question = {name("a.bc")}, .recursion = false}.emit(room);
    CHECK(same(octets{room}.first(plain), "0001 0000 0001 0000 0000 0000  01 61 02 62 63 00 0001 0001"_hex));
    const auto view = dns_view::parse(octets{room}.first(plain));
    REQUIRE(view);
    CHECK_FALSE(view->is_response());
    CHECK(view->question() == dns_question{name("A.BC"), dns_type::a});
    CHECK_FALSE(view->opt());
}

TEST_CASE("a response with every kind of record") {
    std::array<std::byte, 1500> room{};
    const auto www = name("www.example.com"), real = name("real.example.com");
    const dns_service service{1, 2, 5060, name("sip.example.com")};
    const dns_start start{name("ns.example.com"), name("root.example.com"), 1, 2, 3, 4, 5};
    const dns_exchanger mail{10, name("mx.example.com")};
    const std::array<std::uint8_t, 16> v6{0x20, 0x01, 0x0d, 0xb8, 1};
    dns_writer w{room, 77, dns_flag::response | dns_flag::recursion_available | 3};
    w.ask({www, dns_type::a});
    w.add(dns_writer::answer, www, dns_type::cname, 60, real);
    w.add(dns_writer::answer, real, 30, ipv4_address{192, 0, 2, 1});
    w.add(dns_writer::answer, real, dns_type::aaaa, 30, v6);
    w.add(dns_writer::answer, real, dns_type::txt, 30, std::string_view{"\2hi\0\3abc", 8});
    w.add(dns_writer::answer, real, 30, service);
    w.add(dns_writer::answer, real, 0x80000000u, mail);
    w.add(dns_writer::authority, name("example.com"), 900, start);
    w.opt(1232, dns_rcode{0x123});
    const auto length = w.finish();
    REQUIRE(length);
    CHECK(*length < 240); // www.example.com is written out once

    const auto view = dns_view::parse(octets{room}.first(*length));
    REQUIRE(view);
    CHECK(view->id() == 77);
    CHECK(view->is_response());
    CHECK(view->opcode() == dns_opcode::query);
    CHECK(view->recursion_available());
    CHECK_FALSE(view->truncated());
    CHECK_FALSE(view->authoritative());
    CHECK(view->rcode() == dns_rcode{0x123}); // RFC 6891 section 6.1.3; the header alone says 3
    CHECK(view->question() == dns_question{www, dns_type::a});
    auto walk = view->answers();
    auto r = walk.next();
    REQUIRE(r);
    CHECK(r->owner() == www);
    CHECK(r->type == dns_type::cname);
    CHECK(r->lifetime() == 60);
    CHECK(r->get<dns_type::cname>() == real);
    r = walk.next();
    CHECK(r->owner() == real);
    CHECK(r->get<dns_type::a>() == ipv4_address{192, 0, 2, 1});
    CHECK_FALSE(r->get<dns_type::aaaa>());
    r = walk.next();
    CHECK(r->get<dns_type::aaaa>() == ipv6_address{0x20010db801000000, 0});
    r = walk.next();
    auto texts = r->get<dns_type::txt>();
    REQUIRE(texts);
    CHECK(as_text(*texts->next()) == "hi");
    CHECK(texts->next()->empty());
    CHECK(as_text(*texts->next()) == "abc");
    CHECK_FALSE(texts->next());
    r = walk.next();
    CHECK(r->get<dns_type::srv>() == service);
    r = walk.next();
    CHECK(r->get<dns_type::mx>() == mail);
    CHECK(r->lifetime() == 0); // RFC 2181 section 8
    CHECK_FALSE(walk.next());
    auto authorities = view->authorities();
    r = authorities.next();
    CHECK(r->owner() == name("example.com"));
    CHECK(r->get<dns_type::soa>() == start);
    CHECK(static_cast<unsigned>(view->opt()->cls) == 1232);

    SUBCASE("the data can be kept without the message") {
        std::array<std::byte, 600> kept{};
        for (auto all = view->answers(); const auto record = all.next();) {
            const auto size = copy_dns_data(record->type, record->data, kept);
            REQUIRE(size);
            const dns_data alone{octets{kept}.first(*size), 0, *size};
            if (record->type == dns_type::cname)
                CHECK(dns_format<dns_type::cname>::read(alone) == real);
            if (record->type == dns_type::srv)
                CHECK(dns_format<dns_type::srv>::read(alone) == service);
            if (record->type == dns_type::mx)
                CHECK(dns_format<dns_type::mx>::read(alone) == mail);
            CHECK_FALSE(copy_dns_data(record->type, record->data, mutable_octets{kept}.first(*size - 1)));
        }
        const auto size = copy_dns_data(dns_type::soa, r->data, kept);
        CHECK(dns_format<dns_type::soa>::read({octets{kept}.first(*size), 0, *size}) == start);
    }
    SUBCASE("no prefix of it is whole") {
        for (std::size_t n = 0; n < *length; ++n)
            CHECK_FALSE(dns_view::parse(octets{room}.first(n)));
    }
    SUBCASE("too little room is noticed, and nothing is written outside") {
        for (std::size_t n = 0; n < *length; ++n) {
            std::array<std::byte, 1500> again{};
            dns_writer cut{mutable_octets{again}.first(n), 77, 0};
            cut.ask({www, dns_type::a});
            cut.add(dns_writer::answer, www, dns_type::cname, 60, real);
            cut.add(dns_writer::answer, real, 30, ipv4_address{192, 0, 2, 1});
            cut.add(dns_writer::answer, real, dns_type::aaaa, 30, v6);
            cut.add(dns_writer::answer, real, dns_type::txt, 30, std::string_view{"\2hi\0\3abc", 8});
            cut.add(dns_writer::answer, real, 30, service);
            cut.add(dns_writer::answer, real, 0x80000000u, mail);
            cut.add(dns_writer::authority, name("example.com"), 900, start);
            cut.opt(1232, dns_rcode{0x123});
            CHECK(cut.finish().error() == errc::too_large);
            CHECK(std::ranges::all_of(octets{again}.subspan(n), [](std::byte b) { return b == std::byte{0}; }));
        }
    }
}

TEST_CASE("records whose data are not what their type says") {
    const auto data = [](octets o) { return dns_data{o, 0, o.size()}; };
    CHECK_FALSE(dns_format<dns_type::a>::read(data("0a0000"_hex)));
    CHECK_FALSE(dns_format<dns_type::a>::read(data("0a00000001"_hex)));
    CHECK_FALSE(dns_format<dns_type::aaaa>::read(data("0a000001"_hex)));
    CHECK_FALSE(dns_format<dns_type::cname>::read(data({})));
    CHECK_FALSE(dns_format<dns_type::cname>::read(data("0161"_hex)));
    CHECK_FALSE(dns_format<dns_type::cname>::read(data("0161 0000"_hex))); // more behind the name
    CHECK_FALSE(dns_format<dns_type::srv>::read(data("0001 0002 0003"_hex)));
    CHECK_FALSE(dns_format<dns_type::mx>::read(data("0001"_hex)));
    CHECK_FALSE(dns_format<dns_type::soa>::read(data("00 00 00000001 00000002 00000003 00000004 000000"_hex)));
    CHECK_FALSE(dns_format<dns_type::txt>::read(data({})));
    CHECK_FALSE(dns_format<dns_type::txt>::read(data("0361 62"_hex)));
    // a name must not run out of its record into the next
    const auto message = "03 77 77 77 00"_hex;
    CHECK_FALSE(dns_format<dns_type::cname>::read({octets{message}, 0, 4}));
    CHECK(dns_format<dns_type::cname>::read({octets{message}, 0, 5}) == name("www"));
}
