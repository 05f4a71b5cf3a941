// SPDX-License-Identifier: MIT
#include "mirage/net/dns.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/wire/dhcp_message.hpp"
#include <doctest/doctest.h>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace mirage;
using namespace std::chrono_literals;
using wire::dns_name;
using wire::dns_type;
using wire::dns_writer;

template <class... More>
using stack_of = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::udp,
                            More...>;
using full_stack = stack_of<net::tcp<>>;

constexpr ipv4_address here_address{10, 0, 0, 1}, there_address{10, 0, 0, 2}, found{192, 0, 2, 7};
constexpr std::uint16_t qr = wire::dns_flag::response;

dns_name name(std::string_view text) { return *dns_name::parse(text); }

/// A query that has come to a server.
struct asked {
    wire::dns_view message;
    ipv4_endpoint from{};
    bool by_tcp = false;

    wire::dns_question question() const { return *message.question(); }
    bool is(std::string_view n) const { return question().name == name(n); }
};

/// A name server: `answers` writes what it has to say, and says whether it says anything.
struct server {
    std::function<bool(const asked&, dns_writer&)> answers;
    std::vector<ipv4_endpoint> from{}; ///< who asked, by UDP
    std::vector<dns_name> names{};     ///< as they were spelled
    std::vector<std::uint16_t> ids{};
    unsigned by_tcp = 0;
    std::function<void(const asked&, const std::function<void(octets)>&)> lies{}; ///< are sent before the answer

    result<std::size_t> answer(octets text, mutable_octets room, bool tcp, ipv4_endpoint asker) {
        const auto query = wire::dns_view::parse(text);
        REQUIRE(query);
        REQUIRE(query->question());
        names.push_back(query->question()->name);
        ids.push_back(query->id());
        dns_writer out{room, query->id(), flags(*query)};
        out.ask(*query->question());
        if (!answers({*query, asker, tcp}, out))
            return std::unexpected(errc::cancelled);
        return out.finish();
    }
    std::uint16_t code = 0; ///< flags and code of what it says
    std::uint16_t flags(const wire::dns_view&) const { return static_cast<std::uint16_t>(qr | code); }

    task<> serve_datagrams(full_stack& stack, std::uint16_t port) {
        auto socket = stack.udp().bind(port);
        while (const auto query = co_await socket.receive()) {
            std::array<std::byte, 1400> room{};
            from.push_back(query->from);
            if (lies)
                lies({*wire::dns_view::parse(query->data.view()), query->from},
                     [&](octets lie) { (void)socket.send_to(query->from, lie); });
            if (const auto length = answer(query->data.view(), room, false, query->from))
                (void)socket.send_to(query->from, octets{room}.first(*length));
        }
    }
    task<> serve_streams(full_stack& stack, std::uint16_t port) {
        auto listener = stack.tcp().listen(port);
        while (auto stream = co_await listener.accept()) {
            std::array<std::byte, 600> text{};
            std::size_t have = 0;
            while (have < 2 || have < 2u + wire::load<std::uint16_t>(text.data())) {
                const auto got = co_await stream->async_read_some(mutable_octets{text}.subspan(have));
                if (!got)
                    break;
                have += *got;
            }
            ++by_tcp;
            std::vector<std::byte> room(9000);
            const auto length = answer(octets{text}.subspan(2, have - 2), mutable_octets{room}.subspan(2), true,
                                       stream->remote());
            if (!length)
                continue;
            wire::store<std::uint16_t>(room.data(), static_cast<std::uint16_t>(*length));
            for (octets left = octets{room}.first(2 + *length); !left.empty();) {
                const auto sent = co_await stream->async_write_some(left.first(std::min<std::size_t>(left.size(), 100)));
                if (!sent)
                    break;
                left = left.subspan(*sent);
            }
        }
    }
};

template <class Stack>
struct bench_of {
    memory::simulation world{};
    memory::seeded_random random{11}, other{12};
    memory::link<> wire{world.loop()};
    Stack here{world.loop(), wire.a(), world.clock(), random, {.network = {.ipv4 = {here_address, 24}}}};
    full_stack there{world.loop(), wire.b(), world.clock(), other, {.network = {.ipv4 = {there_address, 24}}}};
    server first{[](const asked& q, dns_writer& w) {
        w.add(dns_writer::answer, q.question().name, 60, found);
        return true;
    }};
    server second = first;
    std::optional<net::dns<Stack>> resolver;
    nursery tasks{world.loop()};

    explicit bench_of(net::dns_options options = {}, unsigned servers = 1) {
        const std::array ports{wire::dns_port, std::uint16_t{54}};
        for (unsigned i = 0; i < servers; ++i)
            options.from.add(there_address, ports[i]);
        resolver.emplace(here, options);
        for (unsigned i = 0; i < servers; ++i) {
            spawn((i == 0 ? first : second).serve_datagrams(there, ports[i]));
            spawn((i == 0 ? first : second).serve_streams(there, ports[i]));
        }
        spawn(here.run());
        spawn(there.run());
    }
    void spawn(task<> t) { REQUIRE(tasks.spawn(std::move(t))); }

    /// What a name resolves to, in the end.
    result<net::dns_addresses> resolve(std::string_view text, duration limit = 1min) {
        std::optional<result<net::dns_addresses>> got;
        spawn([](bench_of& b, std::string_view t, auto& to) -> task<> { to = co_await b.resolver->resolve(t); }(*this, text,
                                                                                                              got));
        REQUIRE(world.run_until([&] { return got.has_value(); }, limit));
        return *got;
    }
    template <dns_type T>
    result<net::dns_records<T>> query(std::string_view text) {
        std::optional<result<net::dns_records<T>>> got;
        spawn([](bench_of& b, std::string_view t, auto& to) -> task<> {
            to = co_await b.resolver->template query<T>(t);
        }(*this, text, got));
        REQUIRE(world.run_until([&] { return got.has_value(); }, 1min));
        return *got;
    }
    bool finds(std::string_view text) {
        const auto got = resolve(text);
        return got && got->ipv4().size() == 1 && got->ipv4()[0] == found;
    }
    errc fails(std::string_view text) {
        const auto got = resolve(text);
        return got ? errc{} : got.error();
    }
};
using bench = bench_of<full_stack>;

} // namespace

TEST_CASE("a name is resolved (RFC 1035 section 7)") {
    bench b;
    CHECK(b.finds("www.example"));
    REQUIRE(b.first.names.size() == 1);
    CHECK(b.first.names[0] == name("www.example"));
}

TEST_CASE("an address is its own name, and some names are nobody's business (RFC 6761 section 6.3)") {
    bench b;
    CHECK(b.resolve("10.1.2.3")->ipv4()[0] == ipv4_address{10, 1, 2, 3});
    CHECK(b.resolve("localhost")->ipv4()[0] == ipv4_address{127, 0, 0, 1});
    CHECK(b.resolve("a.LOCALHOST.")->ipv4()[0] == ipv4_address{127, 0, 0, 1});
    CHECK(b.query<dns_type::aaaa>("localhost").error() == errc::not_found);
    CHECK(b.fails("any.invalid") == errc::not_found);
    CHECK(b.fails("any.onion") == errc::not_found);
    CHECK(b.fails("not..a.name") == errc::malformed);
    CHECK(b.first.from.empty());
}

TEST_CASE("ports, IDs and letters are new each time (RFC 5452 section 9.2)") {
    bench b;
    std::set<std::uint16_t> ports, ids;
    unsigned mixed = 0;
    for (unsigned i = 0; i < 32; ++i) {
        const std::string text = "host-" + std::to_string(i) + ".example";
        CHECK(b.finds(text));
        ports.insert(b.first.from.back().port);
        ids.insert(b.first.ids.back());
        mixed += b.first.names.back().same_spelling(name(text)) ? 0 : 1;
        CHECK(b.first.from.back().port >= 1024);
    }
    CHECK(ports.size() >= 31);
    CHECK(ids.size() >= 31);
    CHECK(mixed >= 30);
    CHECK(*ports.begin() < 20'000); // not only the ephemeral ones
    CHECK(*ports.rbegin() > 50'000);
}

TEST_CASE("an answer is kept as long as it says (RFC 1034 section 5.3.3)") {
    bench b;
    CHECK(b.finds("www.example"));
    b.world.run_for(59s);
    CHECK(b.finds("WWW.example"));
    CHECK(b.first.from.size() == 1);
    b.world.run_for(1s);
    CHECK(b.finds("www.example"));
    CHECK(b.first.from.size() == 2);
    b.resolver->clear_cache();
    CHECK(b.finds("www.example"));
    CHECK(b.first.from.size() == 3);
}

TEST_CASE("that there is nothing is kept, too (RFC 2308 section 5)") {
    bench b;
    b.first.answers = [&](const asked&, dns_writer& w) {
        w.add(dns_writer::authority, name("example"), 900, wire::dns_start{.minimum = 10});
        return true;
    };
    SUBCASE("no such name, of whatever type") {
        b.first.code = 3;
        CHECK(b.fails("www.example") == errc::not_found);
        CHECK(b.query<dns_type::txt>("www.example").error() == errc::not_found);
        CHECK(b.first.from.size() == 1);
    }
    SUBCASE("no such record: of this type only") {
        CHECK(b.fails("www.example") == errc::not_found);
        CHECK(b.fails("www.example") == errc::not_found);
        CHECK(b.first.from.size() == 1);
        CHECK(b.query<dns_type::txt>("www.example").error() == errc::not_found);
        CHECK(b.first.from.size() == 2);
    }
    b.world.run_for(10s);
    const auto before = b.first.from.size();
    CHECK(b.fails("www.example") == errc::not_found);
    CHECK(b.first.from.size() == before + 1);
}

TEST_CASE("a server that says nothing is asked again, and then the next one (RFC 1035 section 7.2)") {
    bench b{{}, 2};
    b.first.answers = [](const asked&, dns_writer&) { return false; };
    SUBCASE("the second answers, and is the first to be asked from then on") {
        CHECK(b.finds("www.example"));
        CHECK(b.first.from.size() == 1);
        CHECK(b.world.now() >= instant{2s});
        CHECK(b.finds("two.example"));
        CHECK(b.first.from.size() == 1);
        CHECK(b.second.from.size() == 2);
    }
    SUBCASE("nobody answers") {
        b.second.answers = b.first.answers;
        const auto got = b.resolve("www.example");
        CHECK(got.error() == errc::timed_out);
        CHECK(b.first.from.size() == 3);
        CHECK(b.second.from.size() == 3);
        CHECK(b.world.now() >= instant{28s}); // 2 servers, 2 + 4 + 8 s
        CHECK(b.first.from[0].port != b.first.from[1].port);
        // RFC 9520 section 3.2: not again at once
        CHECK(b.fails("www.example") == errc::timed_out);
        CHECK(b.first.from.size() == 3);
    }
    SUBCASE("it was busy") {
        b.first.answers = [&, times = 0](const asked& q, dns_writer& w) mutable {
            w.add(dns_writer::answer, q.question().name, 60, found);
            return times++ > 0;
        };
        b.second.answers = [](const asked&, dns_writer&) { return false; };
        CHECK(b.finds("www.example"));
        CHECK(b.first.from.size() == 2);
    }
}

TEST_CASE("servers that fail are passed over (RFC 1035 section 4.1.1)") {
    bench b{{}, 2};
    b.first.code = 2;
    SUBCASE("the second does better") {
        CHECK(b.finds("www.example"));
        CHECK(b.world.now() < instant{1s});
    }
    SUBCASE("it does not") {
        b.second.code = 5;
        CHECK(b.fails("www.example") == errc::io);
    }
}

TEST_CASE("a server that is not there is given up at once (RFC 1122 section 4.1.3.3)") {
    net::dns_options options;
    options.from.add(there_address, 99);
    bench b{options};
    CHECK(b.finds("www.example"));
    CHECK(b.world.now() < instant{1s});
}

TEST_CASE("without servers, or without a way to them") {
    bench b{{}, 0};
    CHECK(b.fails("www.example") == errc::unreachable);
    net::dns_options options;
    options.from.add(ipv4_address{198, 51, 100, 1});
    bench far{options, 0};
    CHECK(far.fails("www.example") == errc::unreachable);
}

TEST_CASE("a long answer comes by TCP (RFC 7766 section 5, RFC 2181 section 9)") {
    const auto large = [](const asked& q, dns_writer& w) {
        for (unsigned i = 0; q.by_tcp && i < 300; ++i)
            w.add(dns_writer::answer, q.question().name, 60, ipv4_address{found.value() + i});
        return true;
    };
    SUBCASE("all of it") {
        bench b;
        b.first.code = wire::dns_flag::truncated;
        b.first.answers = [&](const asked& q, dns_writer& w) {
            b.first.code = 0; // of the next answer
            return large(q, w);
        };
        const auto got = b.query<dns_type::a>("www.example");
        REQUIRE(got);
        CHECK(got->size() == 512 / 6);
        CHECK(got->cut());
        CHECK((*got)[0] == found);
        CHECK(b.first.by_tcp == 1);
        CHECK(b.resolver->statistics().over_tcp == 1);
    }
    SUBCASE("no server listens there") {
        bench b;
        b.first.code = wire::dns_flag::truncated; // by TCP as well
        b.first.answers = large;
        CHECK(b.fails("www.example") == errc::io);
    }
    SUBCASE("the stack has no TCP") {
        bench_of<stack_of<>> b;
        b.first.code = wire::dns_flag::truncated;
        CHECK(b.fails("www.example") == errc::too_large);
    }
}

TEST_CASE("aliases, and the records of other types (RFC 1034 section 3.6.2, RFC 2782)") {
    bench b;
    b.first.answers = [](const asked& q, dns_writer& w) {
        const auto& n = q.question().name;
        if (q.is("www.example"))
            w.add(dns_writer::answer, n, dns_type::cname, 60, name("real.example"));
        else if (q.is("ring.example"))
            w.add(dns_writer::answer, n, dns_type::cname, 60, name("ring2.example"));
        else if (q.is("ring2.example"))
            w.add(dns_writer::answer, n, dns_type::cname, 60, name("ring.example"));
        else if (q.question().type == dns_type::srv)
            w.add(dns_writer::answer, n, 60, wire::dns_service{1, 2, 5060, name("sip.example")});
        else if (q.question().type == dns_type::ptr)
            w.add(dns_writer::answer, n, dns_type::ptr, 60, name("www.example"));
        else if (q.question().type == dns_type::txt)
            w.add(dns_writer::answer, n, dns_type::txt, 60, std::string_view{"\3abc\2de"});
        else if (q.question().type == dns_type::aaaa)
            w.add(dns_writer::answer, n, dns_type::aaaa, 60, std::array<std::uint8_t, 16>{1, 2, 3});
        else
            w.add(dns_writer::answer, n, 30, found);
        return true;
    };
    CHECK(b.finds("www.example"));
    CHECK(b.first.names.size() == 2);
    CHECK(b.finds("www.example"));
    CHECK(b.finds("real.example")); // asked for on the way, but it is the alias that was kept
    CHECK(b.first.names.size() == 3);
    b.world.run_for(29s);
    CHECK(b.finds("www.example"));
    CHECK(b.first.names.size() == 3);
    b.world.run_for(2s); // as long as the shortest on the way
    CHECK(b.finds("www.example"));
    CHECK(b.first.names.size() > 3);

    CHECK(b.fails("ring.example") == errc::io);
    CHECK((*b.query<dns_type::cname>("www.example"))[0] == name("real.example"));
    CHECK((*b.query<dns_type::srv>("_sip._udp.example"))[0] == wire::dns_service{1, 2, 5060, name("sip.example")});
    CHECK((*b.query<dns_type::ptr>("7.2.0.192.in-addr.arpa"))[0] == name("www.example"));
    CHECK((*b.query<dns_type::aaaa>("six.example"))[0] == ipv6_address{0x0102030000000000, 0});
    const auto texts = b.query<dns_type::txt>("text.example");
    auto walk = (*texts)[0];
    CHECK(as_text(*walk.next()) == "abc");
    CHECK(as_text(*walk.next()) == "de");
    CHECK_FALSE(walk.next());
}

TEST_CASE("forged answers (RFC 5452 section 9)") {
    bench b;
    constexpr ipv4_address evil{6, 6, 6, 6};
    std::array<std::byte, 512> room{};
    const auto forged = [&](std::uint16_t id, const wire::dns_question& question) {
        dns_writer w{room, id, qr};
        w.ask(question);
        w.add(dns_writer::answer, question.name, 600, evil);
        return octets{room}.first(*w.finish());
    };
    SUBCASE("from another port") {
        b.first.lies = [&](const asked& q, auto) {
            auto elsewhere = b.there.udp().bind(1053);
            CHECK(elsewhere.send_to(q.from, forged(q.message.id(), q.question())));
        };
        CHECK(b.finds("www.example"));
        CHECK(b.first.by_tcp == 0);
    }
    SUBCASE("with another ID, or about something else") {
        b.first.lies = [&](const asked& q, const auto& send) {
            const auto n = q.question().name;
            send(forged(static_cast<std::uint16_t>(q.message.id() + 1), q.question()));
            send(forged(q.message.id(), {*name("x").below(n), dns_type::a}));
            send(forged(q.message.id(), {n, dns_type::txt}));
            send(octets{room}.first(20));
        };
        CHECK(b.finds("www.example"));
        CHECK(b.first.by_tcp == 0);
        CHECK(b.resolver->statistics().strays == 4);
    }
    SUBCASE("too many of them: TCP is asked") {
        b.first.lies = [&](const asked& q, const auto& send) {
            for (unsigned i = 1; i <= 8; ++i)
                send(forged(static_cast<std::uint16_t>(q.message.id() + i), q.question()));
            send(forged(q.message.id(), q.question())); // guessed in the end
        };
        CHECK(b.finds("www.example"));
        CHECK(b.first.by_tcp == 1);
    }
    SUBCASE("in another spelling: TCP is asked") {
        b.first.lies = [&](const asked& q, const auto& send) {
            send(forged(q.message.id(), {q.question().name.mixed([] { return std::uint8_t{0}; }), dns_type::a}));
        };
        CHECK(b.finds("www.example"));
        CHECK(b.first.by_tcp == 1);
    }
}

TEST_CASE("a server that does not know EDNS is asked without it (RFC 6891 section 7)") {
    bench b;
    b.first.answers = [&](const asked& q, dns_writer& w) {
        b.first.code = q.message.opt() ? 0 : 1; // of the next answer
        if (!q.message.opt())
            w.add(dns_writer::answer, q.question().name, 60, found);
        else
            CHECK(static_cast<unsigned>(q.message.opt()->cls) == 1232);
        return true;
    };
    b.first.code = 1;
    CHECK(b.finds("www.example"));
    CHECK(b.first.names.size() == 2);
}

TEST_CASE("lookups of the same name at the same time ask once") {
    bench b;
    unsigned good = 0;
    const auto ask = [](bench& home, std::string_view text, unsigned& count) -> task<> {
        const auto got = co_await home.resolver->resolve(text);
        count += got && got->ipv4()[0] == found ? 1 : 0;
    };
    SUBCASE("five") {
        for (const char* text : {"www.example", "WWW.example", "www.example.", "www.example", "www.example"})
            b.spawn(ask(b, text, good));
        CHECK(b.world.run_until([&] { return good == 5; }, 1min));
        CHECK(b.first.names.size() == 1);
        CHECK(b.resolver->statistics().merged == 4);
    }
    SUBCASE("more names than there are slots") {
        std::vector<std::string> names;
        for (unsigned i = 0; i < 40; ++i)
            names.push_back("host" + std::to_string(i) + ".example");
        for (const auto& n : names)
            b.spawn(ask(b, n, good));
        CHECK(b.world.run_until([&] { return good == 40; }, 1min));
        CHECK(b.first.names.size() == 40);
    }
    SUBCASE("whoever gives up takes nothing from the others") {
        b.first.answers = [&, times = 0](const asked& q, dns_writer& w) mutable {
            w.add(dns_writer::answer, q.question().name, 60, found);
            return times++ > 0; // the first is lost
        };
        bool gave_up = false;
        b.spawn([](bench& home, bool& to) -> task<> {
            const auto got = co_await with_timeout(home.world.loop(), home.resolver->resolve("www.example"), 1s);
            to = !got && got.error() == errc::timed_out;
        }(b, gave_up));
        b.spawn(ask(b, "www.example", good));
        CHECK(b.world.run_until([&] { return good == 1; }, 1min));
        CHECK(gave_up);
        CHECK(b.first.names.size() == 2);
    }
    SUBCASE("and what nobody waits for any more is kept all the same") {
        b.first.answers = [&, times = 0](const asked& q, dns_writer& w) mutable {
            w.add(dns_writer::answer, q.question().name, 60, found);
            return times++ > 0;
        };
        auto forgotten = with_timeout(b.world.loop(), b.resolver->resolve("www.example"), 1s);
        forgotten.start([](void*) noexcept {}, nullptr);
        b.world.run_for(5s);
        CHECK(b.first.names.size() == 2);
        CHECK(b.finds("www.example"));
        CHECK(b.first.names.size() == 2);
    }
}

TEST_CASE("the domains of the search list (RFC 1034 section 3.1)") {
    net::dns_options options;
    options.from.add(name("lan.example"));
    options.from.add(name("example"));
    bench b{options};
    b.first.answers = [&](const asked& q, dns_writer& w) {
        if (!q.is("www.example"))
            return true; // no data
        w.add(dns_writer::answer, q.question().name, 60, found);
        return true;
    };
    CHECK(b.finds("www"));
    CHECK(b.first.names.size() == 2);
    CHECK(b.first.names[0] == name("www.lan.example"));
    CHECK(b.fails("www.") == errc::not_found);
    CHECK(b.first.names.size() == 3);
    CHECK(b.fails("ftp") == errc::not_found);
    CHECK(b.first.names.size() == 6);
}

TEST_CASE("names of the link are asked for on the link (RFC 6762 sections 5.1 and 6.7)") {
    bench b;
    std::vector<asked> heard;
    std::uint16_t port = wire::mdns_port;
    unsigned silent_for = 0;
    bool about_another = false;
    const auto respond = [&]() -> task<> {
        auto socket = b.there.udp().bind(wire::mdns_port);
        auto other = b.there.udp().bind(5354);
        while (const auto query = co_await socket.receive()) {
            heard.push_back({*wire::dns_view::parse(query->data.view()), query->from});
            CHECK(query->to == ipv4_address{224, 0, 0, 251});
            if (silent_for != 0) {
                --silent_for;
                continue;
            }
            std::array<std::byte, 512> room{};
            dns_writer w{room, heard.back().message.id(), qr | wire::dns_flag::authoritative};
            w.ask(heard.back().question());
            w.add(dns_writer::answer, about_another ? name("else.local") : heard.back().question().name, 10, found);
            auto& from = port == wire::mdns_port ? socket : other;
            (void)from.send_to(query->from, octets{room}.first(*w.finish()));
        }
    };
    b.spawn(respond());
    SUBCASE("somebody has it") {
        CHECK(b.finds("printer.LOCAL"));
        CHECK(heard.size() == 1);
        CHECK(b.first.from.empty());
        CHECK(heard[0].from.port != wire::mdns_port);
        CHECK(b.finds("printer.local")); // for ten seconds
        CHECK(heard.size() == 1);
        b.world.run_for(10s);
        CHECK(b.finds("printer.local"));
        CHECK(heard.size() == 2);
    }
    SUBCASE("he did not hear it the first time") {
        silent_for = 1;
        CHECK(b.finds("printer.local"));
        CHECK(b.world.now() >= instant{1s});
    }
    SUBCASE("nobody has it") {
        silent_for = 9;
        CHECK(b.fails("printer.local") == errc::not_found);
        CHECK(heard.size() == 2);
        CHECK(b.world.now() < instant{4s});
        CHECK(b.fails("printer.local") == errc::not_found); // asked again: he may be there now
        CHECK(heard.size() == 4);
    }
    SUBCASE("an answer from another port is none") {
        port = 5354;
        CHECK(b.fails("printer.local") == errc::not_found);
    }
    SUBCASE("an answer about another name is none") {
        about_another = true;
        CHECK(b.fails("printer.local") == errc::not_found);
    }
}

TEST_CASE("servers and domains of a DHCP lease (RFC 2132 section 3.8, RFC 3397)") {
    struct lease_keeper {
        std::optional<net::dhcp_lease> held{};
        net::dhcp_names names{};
        const net::dhcp_lease* lease() const noexcept { return held ? &*held : nullptr; }
        const net::dhcp_names& extras() const noexcept { return names; }
    } keeper;
    const auto message = [](auto&& fill) {
        std::array<std::byte, 548> room{};
        wire::dhcp_writer w{room, {.op = wire::dhcp_view::boot_reply}};
        w.add(wire::dhcp_type::ack);
        fill(w);
        const auto length = *w.finish();
        net::dhcp_names read;
        read.read(*wire::dhcp_view::parse(octets{room}.first(length)));
        return read;
    };
    using wire::dhcp_option;
    const auto domain = [](wire::dhcp_writer& w) { w.add_list(dhcp_option::domain_name, std::string_view{"lan.example"}); };

    keeper.names = message(domain);
    CHECK(keeper.names.search()[0] == name("lan.example"));
    CHECK(keeper.names.search()[1].is_root());
    CHECK(keeper.names.time_servers().empty());
    const auto listed = message([&](wire::dhcp_writer& w) {
        domain(w);
        // RFC 3397 section 2: the second name ends in a pointer into the first
        w.add_list(dhcp_option::domain_search, std::string_view{"\3eng\5apple\3com\0\4mark\xc0\x04", 22});
        w.add(dhcp_option::ntp_servers, ipv4_address{10, 0, 0, 3});
    });
    CHECK(listed.search()[0] == name("eng.apple.com"));
    CHECK(listed.search()[1] == name("mark.apple.com"));
    CHECK(listed.search()[2].is_root());
    CHECK(listed.time_servers().size() == 1);
    CHECK(listed.time_servers()[0] == ipv4_address{10, 0, 0, 3});
    const auto wrong = message([](wire::dhcp_writer& w) {
        w.add_list(dhcp_option::domain_search, std::string_view{"\3eng\xc0\x00\xc0\xc0", 8});
    });
    CHECK(wrong.search()[0].is_root());

    bench b{{}, 0};
    b.spawn(b.first.serve_datagrams(b.there, wire::dns_port));
    b.resolver->use(keeper);
    CHECK(b.fails("www") == errc::unreachable);
    keeper.held = net::dhcp_lease{.own = {here_address, 24}, .dns = {there_address}, .dns_count = 1};
    CHECK(b.finds("www"));
    CHECK(b.first.names[0] == name("www.lan.example"));
    keeper.held.reset();
    CHECK(b.fails("ftp") == errc::unreachable);
}
