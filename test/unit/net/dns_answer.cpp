// SPDX-License-Identifier: MIT
#include "mirage/net/dns/answer.hpp"
#include "mirage/net/dns/cache.hpp"
#include "mirage/net/dns/options.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using net::dns_verdict;
using wire::dns_name;
using wire::dns_type;
using wire::dns_writer;

dns_name name(std::string_view text) { return *dns_name::parse(text); }

constexpr ipv4_address one{192, 0, 2, 1}, two{192, 0, 2, 2};
const wire::dns_start start{*dns_name::parse("ns.example"), *dns_name::parse("root.example"), 1, 2, 3, 4, 300};

/// A response to a question for A of www.example, and what becomes of it.
struct response {
    std::array<std::byte, 1500> room{};
    dns_writer out;
    dns_name where = name("www.example");
    unsigned left = net::max_dns_aliases;
    net::dns_reading reading{};

    explicit response(unsigned code = 0)
        : out{room, 1, static_cast<std::uint16_t>(wire::dns_flag::response | code)} {
        out.ask({name("www.example"), dns_type::a});
    }
    response& answer(std::string_view owner, std::uint32_t ttl, ipv4_address a) {
        out.add(dns_writer::answer, name(owner), ttl, a);
        return *this;
    }
    response& answer(std::string_view owner, std::uint32_t ttl, std::string_view real) {
        out.add(dns_writer::answer, name(owner), dns_type::cname, ttl, name(real));
        return *this;
    }
    response& zone(std::string_view owner, std::uint32_t ttl) {
        out.add(dns_writer::authority, name(owner), ttl, start);
        return *this;
    }
    dns_verdict read(dns_type type = dns_type::a) {
        net::read_dns_answer(*wire::dns_view::parse(octets{room}.first(*out.finish())), type, where, left, reading);
        return reading.verdict;
    }
    std::vector<ipv4_address> addresses() const {
        std::vector<ipv4_address> all;
        const net::dns_records<dns_type::a> records{reading.records};
        for (std::size_t i = 0; i < records.size(); ++i)
            all.push_back(records[i]);
        return all;
    }
};

using addresses = std::vector<ipv4_address>;

} // namespace

TEST_CASE("an answer (RFC 1034 section 5.3.3)") {
    response r;
    r.answer("www.example", 60, one).answer("WWW.example", 30, two);
    CHECK(r.read() == dns_verdict::answered);
    CHECK(r.addresses() == addresses{one, two});
    CHECK(r.reading.lifetime == 30); // the shortest
}

TEST_CASE("what is about other names is not believed (RFC 5452 section 6)") {
    response r;
    r.answer("bank.example", 60, two).answer("www.example", 60, one).answer("example", 60, two);
    CHECK(r.read() == dns_verdict::answered);
    CHECK(r.addresses() == addresses{one});
    response strange;
    strange.answer("bank.example", 60, two);
    CHECK(strange.read() == dns_verdict::no_data);
    CHECK(strange.reading.lifetime == 0);
}

TEST_CASE("aliases are followed, in any order of the records (RFC 1034 section 3.6.2)") {
    response r;
    r.answer("c.example", 60, one).answer("b.example", 20, "c.example").answer("www.example", 40, "b.example");
    CHECK(r.read() == dns_verdict::answered);
    CHECK(r.addresses() == addresses{one});
    CHECK(r.reading.lifetime == 20);
    CHECK(r.where == name("c.example"));

    response open;
    open.answer("www.example", 40, "elsewhere.example");
    CHECK(open.read() == dns_verdict::alias);
    CHECK(open.where == name("elsewhere.example"));
    CHECK(open.reading.lifetime == 40);
    CHECK(open.left == net::max_dns_aliases - 1);

    response itself;
    itself.answer("www.example", 40, "other.example");
    CHECK(itself.read(dns_type::cname) == dns_verdict::answered); // asked for, it is an answer
}

TEST_CASE("aliases that lead in a ring, or too far") {
    response r;
    r.answer("www.example", 40, "b.example").answer("b.example", 40, "www.example");
    CHECK(r.read() == dns_verdict::failed);
    response itself;
    itself.answer("www.example", 40, "www.example");
    CHECK(itself.read() == dns_verdict::failed);
    response chain;
    std::string from = "www.example";
    for (unsigned i = 0; i <= net::max_dns_aliases; ++i) {
        const std::string to = "a" + std::to_string(i) + ".example";
        chain.answer(from, 40, to);
        from = to;
    }
    chain.answer(from, 40, one);
    CHECK(chain.read() == dns_verdict::failed);
}

TEST_CASE("there is no such name (RFC 2308 sections 2.1 and 5)") {
    response r{3};
    r.zone("example", 900);
    CHECK(r.read() == dns_verdict::no_name);
    CHECK(r.reading.lifetime == 300); // the lesser of the SOA's TTL and its last field
    response brief{3};
    brief.zone("example", 100);
    CHECK(brief.read() == dns_verdict::no_name);
    CHECK(brief.reading.lifetime == 100);
    response silent{3};
    CHECK(silent.read() == dns_verdict::no_name);
    CHECK(silent.reading.lifetime == 0); // without an SOA, not to be kept
    response foreign{3};
    foreign.zone("other", 900);
    CHECK(foreign.read() == dns_verdict::no_name);
    CHECK(foreign.reading.lifetime == 0);
    response by_alias{3}; // the code is about the last name
    by_alias.answer("www.example", 40, "gone.example").zone("example", 900);
    CHECK(by_alias.read() == dns_verdict::no_name);
    CHECK(by_alias.where == name("gone.example"));
    CHECK(by_alias.reading.lifetime == 40);
}

TEST_CASE("the name is there, but nothing of the kind (RFC 2308 section 2.2)") {
    response r;
    r.zone("example", 900);
    CHECK(r.read() == dns_verdict::no_data);
    CHECK(r.reading.lifetime == 300);
    response none;
    CHECK(none.read() == dns_verdict::no_data);
    CHECK(none.reading.lifetime == 0);
    response by_alias;
    by_alias.answer("www.example", 40, "real.example").zone("example", 900);
    CHECK(by_alias.read() == dns_verdict::no_data);
    response referral;
    referral.out.add(dns_writer::authority, name("example"), dns_type::ns, 60, name("ns.example"));
    CHECK(referral.read() == dns_verdict::failed);
}

TEST_CASE("servers that fail, or do not understand") {
    CHECK(response{2}.read() == dns_verdict::failed);
    CHECK(response{5}.read() == dns_verdict::failed);
    CHECK(response{9}.read() == dns_verdict::failed);
    CHECK(response{1}.read() == dns_verdict::format_error);
    CHECK(response{4}.read() == dns_verdict::format_error);
    response cut{wire::dns_flag::truncated};
    cut.answer("www.example", 60, one);
    CHECK(cut.read() == dns_verdict::truncated); // RFC 2181 section 9: what came is not used
    CHECK(cut.addresses().empty());
    response version;
    version.out.opt(1232, wire::dns_rcode::bad_version);
    CHECK(version.read() == dns_verdict::format_error);
}

TEST_CASE("malformed data, and data for which there is no room") {
    response r;
    r.out.add(dns_writer::answer, name("www.example"), dns_type::a, 60, std::string_view{"abc"});
    r.answer("www.example", 60, one);
    CHECK(r.read() == dns_verdict::answered);
    CHECK(r.addresses() == addresses{one});
    CHECK_FALSE(r.reading.records.cut());

    response many;
    for (unsigned i = 0; i < 90; ++i)
        many.answer("www.example", 60, ipv4_address{10, 0, 0, static_cast<std::uint8_t>(i)});
    REQUIRE(many.out.finish());
    CHECK(many.read() == dns_verdict::answered);
    CHECK(many.reading.records.cut());
    CHECK(many.addresses().size() == 512 / 6);

    response large;
    const std::string text = "\xff" + std::string(255, 'a') + "\xff" + std::string(255, 'b') + "\xff" + std::string(255, 'c');
    large.out.add(dns_writer::answer, name("www.example"), dns_type::txt, 60, std::string_view{text});
    CHECK(large.read(dns_type::txt) == dns_verdict::answered);
    CHECK(large.addresses().empty());
    CHECK(large.reading.records.cut());
}

TEST_CASE("which message answers which query (RFC 5452 section 9.1)") {
    std::array<std::byte, 100> room{};
    const wire::dns_question asked{name("www.example"), dns_type::a};
    const auto is = [&](std::uint16_t id, std::uint16_t flags, const wire::dns_question& q, unsigned times = 1) {
        dns_writer w{room, id, flags};
        while (times-- > 0)
            w.ask(q);
        return net::is_response_to(*wire::dns_view::parse(octets{room}.first(*w.finish())), 7, asked);
    };
    CHECK(is(7, 0x8000, asked));
    CHECK(is(7, 0x8000, {name("WWW.example"), dns_type::a}));
    CHECK_FALSE(is(8, 0x8000, asked));
    CHECK_FALSE(is(7, 0x0000, asked));
    CHECK_FALSE(is(7, 0x8000 | 4 << 11, asked));
    CHECK_FALSE(is(7, 0x8000, asked, 0));
    CHECK_FALSE(is(7, 0x8000, asked, 2));
    CHECK_FALSE(is(7, 0x8000, {name("www.example"), dns_type::aaaa}));
    CHECK_FALSE(is(7, 0x8000, {name("www.example"), dns_type::a, wire::dns_class::any}));
    CHECK_FALSE(is(7, 0x8000, {name("ww.example"), dns_type::a}));
}

TEST_CASE("the cache keeps what it was given, as long as it may (RFC 1034 section 3.6, RFC 2308 section 5)") {
    net::dns_cache cache{3};
    const instant t0{1h};
    net::dns_outcome outcome{};
    const auto address = wire::store<std::uint32_t>;
    std::array<std::byte, 4> raw{};
    address(raw.data(), one.value());
    REQUIRE(outcome.records.add(dns_type::a, {raw, 0, 4}));
    cache.keep(name("a.example"), dns_type::a, outcome, 10s, t0);
    REQUIRE(cache.find(name("A.example"), dns_type::a, t0 + 9s));
    CHECK(cache.find(name("A.example"), dns_type::a, t0)->outcome.records.size() == 1);
    CHECK_FALSE(cache.find(name("a.example"), dns_type::a, t0 + 10s));
    CHECK_FALSE(cache.find(name("a.example"), dns_type::aaaa, t0));
    CHECK_FALSE(cache.find(name("b.example"), dns_type::a, t0));

    SUBCASE("nothing is kept for no time") {
        cache.keep(name("b.example"), dns_type::a, outcome, 0s, t0);
        CHECK_FALSE(cache.find(name("b.example"), dns_type::a, t0));
    }
    SUBCASE("a name that is not there has no record of any type") {
        cache.keep(name("no.example"), dns_type::any, {.failed = errc::not_found}, 10s, t0);
        REQUIRE(cache.find(name("no.example"), dns_type::txt, t0));
        CHECK(cache.find(name("no.example"), dns_type::txt, t0)->outcome.failed == errc::not_found);
    }
    SUBCASE("the one that was not asked for longest makes room") {
        cache.keep(name("b.example"), dns_type::a, outcome, 10s, t0 + 1s);
        cache.keep(name("c.example"), dns_type::a, outcome, 10s, t0 + 2s);
        CHECK(cache.find(name("a.example"), dns_type::a, t0 + 3s));
        cache.keep(name("d.example"), dns_type::a, outcome, 10s, t0 + 4s);
        CHECK(cache.find(name("a.example"), dns_type::a, t0 + 5s));
        CHECK_FALSE(cache.find(name("b.example"), dns_type::a, t0 + 5s));
        CHECK(cache.find(name("c.example"), dns_type::a, t0 + 5s));
    }
    SUBCASE("what is over goes first") {
        cache.keep(name("b.example"), dns_type::a, outcome, 1s, t0 + 1s);
        cache.keep(name("c.example"), dns_type::a, outcome, 100s, t0 + 1s);
        CHECK(cache.find(name("b.example"), dns_type::a, t0 + 1s));
        cache.keep(name("d.example"), dns_type::a, outcome, 10s, t0 + 5s);
        CHECK(cache.find(name("a.example"), dns_type::a, t0 + 5s));
        CHECK(cache.find(name("c.example"), dns_type::a, t0 + 5s));
    }
    SUBCASE("a newer answer takes the place of the older one") {
        cache.keep(name("a.example"), dns_type::a, {.failed = errc::not_found}, 10s, t0 + 1s);
        CHECK(cache.find(name("a.example"), dns_type::a, t0 + 2s)->outcome.failed == errc::not_found);
    }
    SUBCASE("it can be made to forget") {
        cache.clear();
        CHECK_FALSE(cache.find(name("a.example"), dns_type::a, t0));
    }
}

TEST_CASE("the names that a text may mean (RFC 1034 section 3.1, RFC 1535 section 6)") {
    const std::array search{name("lan.example"), dns_name{}, name("example")};
    const auto all = [&](std::string_view text, std::span<const dns_name> domains) {
        net::dns_candidates c{text, name(text), domains};
        std::string made;
        while (const auto n = c.next()) {
            line<300> l;
            l << *n;
            made += std::string{l.view()} + " ";
        }
        return made;
    };
    CHECK(all("www", search) == "www.lan.example www.example www ");
    CHECK(all("www.", search) == "www ");
    CHECK(all("www.sub", search) == "www.sub www.sub.lan.example www.sub.example ");
    CHECK(all("www.sub.", search) == "www.sub ");
    CHECK(all("www", {}) == "www ");
}
