// SPDX-License-Identifier: MIT
// The store's protocol, against a daemon that is as slow, as full and as wrong as can be.
#include "memory_domain.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::xen;
using namespace std::chrono_literals;
using xen::test::memory_domain;
using xen::test::running;

namespace {

using text_or_error = result<std::string>;

task<text_or_error> read(xenstore& s, store_path path) {
    const auto value = co_await s.read(path);
    if (!value)
        co_return std::unexpected(value.error());
    co_return std::string{value->view()};
}
task<result<>> write(xenstore& s, store_path path, std::string_view value) { co_return co_await s.write(path, value); }
task<result<>> remove(xenstore& s, store_path path) { co_return co_await s.remove(path); }
task<result<>> mkdir(xenstore& s, store_path path) { co_return co_await s.mkdir(path); }
task<result<store_watch>> watched(xenstore& s, store_path path, event& changed) {
    store_watch w;
    const auto r = co_await s.watch(w, path, changed);
    if (!r)
        co_return std::unexpected(r.error());
    co_return w;
}
task<result<std::vector<std::string>>> directory(xenstore& s, store_path path) {
    const auto names = co_await s.directory(path);
    if (!names)
        co_return std::unexpected(names.error());
    std::vector<std::string> all;
    for (const auto name : *names)
        all.emplace_back(name);
    co_return all;
}

std::string long_text(std::size_t size) {
    std::string s(size, ' ');
    for (std::size_t i = 0; i < size; ++i)
        s[i] = static_cast<char>('a' + i * 7 % 26);
    return s;
}

} // namespace

TEST_CASE("the store is read and written") {
    memory_domain d;
    SUBCASE("at once") {}
    SUBCASE("octet by octet") { d.daemon.per_turn = 1; }
    SUBCASE("in pieces that fit nothing") { d.daemon.per_turn = 7; }
    SUBCASE("where both indices run over") {
        auto& p = d.daemon.page();
        p.req_cons = p.req_prod = p.rsp_cons = p.rsp_prod = 0xffff'ffc0;
        REQUIRE(d.store().reopen(&p, d.channels, d.store_port()).has_value());
    }

    CHECK(*running{d, read(d.store(), "name")}.take() == "guest");
    CHECK(running{d, read(d.store(), "nothing")}.take().error() == errc::not_found);
    CHECK(running{d, write(d.store(), "data/key", "value")}.take().has_value());
    CHECK(d.daemon.get("data/key") == "value");
    CHECK(running{d, write(d.store(), {"data", "other"}, "")}.take().has_value());
    CHECK(d.daemon.get("data/other") == "");
    CHECK(running{d, read(d.store(), {"data", "other"})}.take()->empty());
    CHECK(running{d, mkdir(d.store(), "data/folder")}.take().has_value());
    CHECK(*running{d, directory(d.store(), "data")}.take() == std::vector<std::string>{"folder", "key", "other"});
    CHECK(running{d, directory(d.store(), "data/folder")}.take()->empty());
    CHECK(running{d, remove(d.store(), "data")}.take().has_value());
    CHECK_FALSE(d.daemon.has("data"));
    CHECK(running{d, remove(d.store(), "data")}.take().error() == errc::not_found);
    CHECK(running{d, write(d.store(), "/local/domain/0/x", "1")}.take().error() == errc::refused);

    for (const std::size_t size : {990u, 1003u, 1004u, 1005u, 3000u, 4088u}) {
        const std::string text = long_text(size);
        CHECK(running{d, write(d.store(), "a/b", text)}.take().has_value());
        CHECK(d.daemon.get("a/b") == text);
        CHECK(*running{d, read(d.store(), "a/b")}.take() == text);
    }
    CHECK(running{d, write(d.store(), "a/b", long_text(4096))}.take().error() == errc::too_large);
}

TEST_CASE("every error of the store has a meaning") {
    memory_domain d;
    const std::pair<const char*, errc> errors[] = {
        {"EINVAL", errc::invalid_argument}, {"EACCES", errc::refused},      {"EEXIST", errc::in_use},
        {"ENOMEM", errc::no_buffers},       {"ENOSPC", errc::no_buffers},   {"EIO", errc::io},
        {"ENOSYS", errc::unsupported},      {"EROFS", errc::read_only},     {"EBUSY", errc::in_use},
        {"EAGAIN", errc::would_block},      {"E2BIG", errc::too_large},     {"EPERM", errc::refused},
        {"EQUOTA", errc::no_buffers},       {"", errc::io},                 {"ENOENTRANCE", errc::io},
        {"A VERY LONG NAME OF AN ERROR", errc::io}};
    for (const auto& [name, meaning] : errors) {
        d.daemon.errors[d.daemon.whole("name")] = name;
        CHECK(running{d, read(d.store(), "name")}.take().error() == meaning);
    }
    CHECK(running{d, read(d.store(), std::string_view{"na\0me", 5})}.take().error() == errc::invalid_argument);
    CHECK(running{d, write(d.store(), {"a", std::string_view{"\0", 1}}, "x")}.take().error() == errc::invalid_argument);
    CHECK(d.daemon.log.size() == 0);
    CHECK(d.daemon.size() == 4);
}

TEST_CASE("requests go side by side, and replies may come in any order") {
    memory_domain d;
    SUBCASE("as they were sent") {
        d.daemon.per_turn = 3;
        std::vector<running<text_or_error>> all;
        all.reserve(200);
        for (int i = 0; i < 200; ++i)
            d.daemon.set("n/" + std::to_string(i), std::to_string(i * i));
        std::vector<std::string> paths;
        for (int i = 0; i < 200; ++i)
            paths.push_back("n/" + std::to_string(i));
        d.daemon.answers = true;
        for (int i = 0; i < 200; ++i)
            all.emplace_back(d, read(d.store(), paths[static_cast<std::size_t>(i)]));
        for (int i = 0; i < 200; ++i)
            CHECK(*all[static_cast<std::size_t>(i)].take() == std::to_string(i * i));
    }
    SUBCASE("turned round") {
        d.daemon.answers = false;
        running first{d, read(d.store(), "a")}, second{d, read(d.store(), "b")}, third{d, read(d.store(), "c")};
        CHECK(d.daemon.requests == 3);
        d.daemon.reply(XS_READ, 3, "C");
        d.daemon.reply(XS_READ, 99, "nobody's");
        d.daemon.reply(XS_READ, 1, "A");
        CHECK(d.settle());
        CHECK(*first.take() == "A");
        CHECK_FALSE(second.done());
        CHECK(*third.take() == "C");
        d.daemon.reply(XS_ERROR, 2, std::string_view{"ENOENT\0", 7});
        CHECK(d.settle());
        CHECK(second.take().error() == errc::not_found);
    }
    SUBCASE("of another kind than was asked for") {
        d.daemon.answers = false;
        running first{d, read(d.store(), "a")};
        d.daemon.reply(XS_WRITE, 1, "OK");
        CHECK(d.settle());
        CHECK(first.take().error() == errc::malformed);
    }
}

TEST_CASE("who gives up a request is not missed") {
    memory_domain d;
    d.daemon.answers = false;
    std::optional<running<text_or_error>> gone{std::in_place, d, read(d.store(), "name")};
    gone.reset();
    d.daemon.reply(XS_READ, 1, "late");
    CHECK(d.settle());

    SUBCASE("while its value is arriving") {
        std::optional<running<text_or_error>> other{std::in_place, d, read(d.store(), "name")};
        d.daemon.per_turn = 20;
        d.daemon.reply(XS_READ, 2, long_text(200));
        CHECK(d.turn());
        CHECK(d.turn());
        other.reset();
        CHECK(d.settle());
    }
    SUBCASE("while its message is leaving") {
        const std::string text = long_text(3000);
        d.daemon.answers = true;
        d.daemon.per_turn = 0;
        std::optional<running<result<>>> other{std::in_place, d, write(d.store(), "big", text)};
        CHECK_FALSE(other->done());
        other.reset();
        d.daemon.per_turn = 100;
        CHECK(d.settle());
        CHECK(d.daemon.get("big") == text); // it had begun, so it ends
    }
    SUBCASE("before its message could leave") {
        d.daemon.answers = true;
        d.daemon.per_turn = 0;
        running first{d, write(d.store(), "first", long_text(900))};
        std::optional<running<result<>>> other{std::in_place, d, write(d.store(), "second", long_text(900))};
        other.reset();
        d.daemon.per_turn = 100;
        CHECK(d.settle());
        CHECK(first.take().has_value());
        CHECK_FALSE(d.daemon.has("second"));
    }
    d.daemon.answers = true;
    CHECK(*running{d, read(d.store(), "name")}.take() == "guest");
}

TEST_CASE("watches") {
    memory_domain d;
    event changed{d.loop()};
    std::optional<store_watch> watch;
    const auto begin = [&](store_path path) {
        auto r = running{d, watched(d.store(), path, changed)}.take();
        REQUIRE(r.has_value());
        watch.emplace(std::move(*r));
    };
    begin({"device", "vif"});
    SUBCASE("fire once at the beginning, and at each change at or below the node") {
        CHECK(changed.is_set());
        changed.reset();
        d.daemon.set("device/vif", "");
        CHECK(d.settle());
        CHECK(changed.is_set());
        changed.reset();
        d.daemon.set("device/vif/0/state", "1");
        CHECK(d.settle());
        CHECK(changed.is_set());
        changed.reset();
        d.daemon.set("device/vifs", "");
        d.daemon.set("other", "");
        CHECK(d.settle());
        CHECK_FALSE(changed.is_set());
        d.daemon.remove("device");
        CHECK(d.settle());
        CHECK(changed.is_set());
    }
    SUBCASE("end with their owner") {
        changed.reset();
        watch.reset();
        d.daemon.set("device/vif/1", "");
        CHECK(d.settle());
        CHECK_FALSE(changed.is_set());
        CHECK(d.daemon.watches() == 0);
        CHECK(d.daemon.log.back().starts_with("UNWATCH"));
    }
    SUBCASE("are told apart") {
        event second{d.loop()};
        auto other = running{d, watched(d.store(), "device/vif", second)}.take();
        REQUIRE(other.has_value());
        changed.reset();
        second.reset();
        watch.reset();
        d.daemon.set("device/vif/1", "");
        CHECK(d.settle());
        CHECK(second.is_set());
        CHECK_FALSE(changed.is_set());
    }
    SUBCASE("that are refused say so") {
        d.daemon.most_watches = 1;
        CHECK(running{d, watched(d.store(), "x", changed)}.take().error() == errc::too_large);
        CHECK(running{d, watched(d.store(), std::string_view{"x\0", 2}, changed)}.take().error() == errc::invalid_argument);
        CHECK(d.daemon.watches() == 1);
    }
    SUBCASE("whose owner goes before the store has answered leave nothing behind") {
        d.daemon.per_turn = 0;
        { running early{d, watched(d.store(), "x", changed)}; }
        CHECK(d.daemon.watches() == 1);
        d.daemon.per_turn = 1000;
        CHECK(d.settle());
        CHECK(d.daemon.watches() == 1);
    }
    SUBCASE("that the daemon invents are nobody's") {
        changed.reset();
        const auto event_of = [&](std::string_view payload) {
            d.daemon.reply(XS_WATCH_EVENT, 0, payload);
            CHECK(d.settle());
            CHECK_FALSE(changed.is_set());
        };
        const std::string nul(1, '\0');
        event_of("");
        event_of(nul);
        event_of("device/vif" + nul + "ffffffff" + nul);
        event_of("device/vif" + nul + "0000001" + nul);
        event_of("00000001" + nul);
        event_of(nul + "00000001" + nul);
        event_of("device/vif" + nul + "00000001");
        event_of("device/vif 00000001" + nul);
        event_of(std::string(4096, 'x'));
        event_of(std::string(4096, '\0'));
        event_of(std::string(4086, 'x') + nul + "0000001" + nul + nul);
        d.daemon.reply(XS_WATCH_EVENT, 0, std::string(4086, 'x') + nul + "00000001" + nul);
        CHECK(d.settle());
        CHECK(changed.is_set());
    }
}

TEST_CASE("transactions") {
    memory_domain d;
    unsigned runs = 0;
    const auto both = [&](store_transaction& t) -> task<result<>> {
        ++runs;
        if (const auto r = co_await t.write("a", "1"); !r)
            co_return std::unexpected(r.error());
        const auto a = co_await t.read("a");
        if (!a || a->view() != "1")
            co_return std::unexpected(errc::malformed);
        co_return co_await t.write("b", "2");
    };
    SUBCASE("are done as a whole") {
        CHECK(running{d, d.store().transact(both)}.take().has_value());
        CHECK(d.daemon.get("a") == "1");
        CHECK(d.daemon.get("b") == "2");
        CHECK(runs == 1);
    }
    SUBCASE("begin again when somebody else was faster") {
        d.daemon.conflicts = 5;
        CHECK(running{d, d.store().transact(both)}.take().has_value());
        CHECK(runs == 6);
        CHECK(d.daemon.get("b") == "2");
    }
    SUBCASE("give up at last") {
        d.daemon.conflicts = 1'000'000;
        CHECK(running{d, d.store().transact(both)}.take().error() == errc::would_block);
        CHECK(runs == xenstore::attempts);
        CHECK_FALSE(d.daemon.has("a"));
    }
    SUBCASE("are undone by an error, which is given on") {
        d.daemon.errors[d.daemon.whole("b")] = "ENOSPC";
        CHECK(running{d, d.store().transact(both)}.take().error() == errc::no_buffers);
        CHECK_FALSE(d.daemon.has("a"));
        CHECK(d.daemon.log.back() == "END F");
    }
    SUBCASE("that can never begin say why") {
        d.daemon.most_transactions = 0;
        running t{d, d.store().transact(both)};
        d.pass(std::chrono::seconds{2});
        REQUIRE(t.done());
        CHECK(t.take().error() == errc::no_buffers);
        CHECK(runs == 0);
    }
    SUBCASE("more than the store lets a domain have at a time wait for each other") {
        std::vector<std::unique_ptr<running<result<>>>> all;
        for (unsigned i = 0; i < 30; ++i)
            all.push_back(std::make_unique<running<result<>>>(d, d.store().transact(both)));
        d.pass(std::chrono::seconds{2});
        for (const auto& t : all) {
            REQUIRE(t->done());
            CHECK(t->take().has_value());
        }
    }
    SUBCASE("can begin while many that were given up are on their way out") {
        d.daemon.per_turn = 0;
        for (unsigned i = 0; i < 12; ++i) {
            auto left = d.store().transact(both);
            left.start([](void*) noexcept {}, nullptr);
            (void)d.turn();
        }
        running t{d, d.store().transact(both)};
        d.daemon.per_turn = 1000;
        d.pass(std::chrono::seconds{2});
        REQUIRE(t.done());
        CHECK(t.take().has_value());
    }
    SUBCASE("with an id that is none are not begun") {
        d.daemon.answers = false;
        for (const std::string_view id : {"0", "", "x", "-1", "4294967296", "99999999999999999999999"}) {
            running t{d, d.store().transact(both)};
            d.daemon.reply(XS_TRANSACTION_START, static_cast<std::uint32_t>(d.daemon.requests), id);
            CHECK(d.settle());
            CHECK(t.take().error() == errc::malformed);
        }
        CHECK(runs == 0);
    }
    SUBCASE("that are given up are ended, at whatever point") {
        d.daemon.per_turn = 5;
        for (unsigned steps = 0;; ++steps) {
            auto work = d.store().transact(both);
            bool done = false;
            work.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done);
            for (unsigned i = 0; i < steps; ++i)
                (void)d.turn();
            work.reset();
            CHECK(d.settle());
            CHECK(d.daemon.transactions() == 0);
            if (done)
                break;
        }
    }
    CHECK(d.daemon.transactions() == 0);
}

TEST_CASE("the store goes on after the domain moved") {
    memory_domain d;
    event changed{d.loop()};
    auto watch = running{d, watched(d.store(), "w", changed)}.take();
    REQUIRE(watch.has_value());
    changed.reset();

    SUBCASE("watches are there again, and fire") {
        d.move();
        CHECK(d.settle());
        CHECK(changed.is_set());
        changed.reset();
        CHECK(d.daemon.watches() == 1);
        d.daemon.set("w/x", "1");
        CHECK(d.settle());
        CHECK(changed.is_set());
        watch = {};
        CHECK(d.settle());
        CHECK(d.daemon.watches() == 0);
    }
    SUBCASE("requests that had no answer get one") {
        d.daemon.per_turn = 0;
        const std::string big = long_text(4000), part = long_text(900);
        running a{d, write(d.store(), "big", big)}, b{d, write(d.store(), "part", part)};
        running c{d, read(d.store(), "name")};
        d.daemon.per_turn = 500;
        CHECK(d.turn());
        d.move();
        CHECK(d.settle());
        CHECK(a.take().has_value());
        CHECK(b.take().has_value());
        CHECK(*c.take() == "guest");
        CHECK(d.daemon.get("big") == big);
        CHECK(d.daemon.get("part") == part);
    }
    SUBCASE("in the middle of a reply") {
        d.daemon.per_turn = 20;
        d.daemon.set("long", long_text(300));
        std::optional<running<text_or_error>> r;
        auto work = read(d.store(), "long");
        bool done = false;
        work.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done);
        for (int i = 0; i < 8; ++i)
            CHECK(d.turn());
        d.move();
        CHECK(d.settle());
        REQUIRE(done);
        CHECK(*work.take() == long_text(300));
    }
    SUBCASE("a watch and a transaction at any point") {
        d.daemon.per_turn = 30;
        for (unsigned steps = 0; steps < 60; ++steps) {
            event second{d.loop()};
            auto watching = watched(d.store(), "second", second);
            auto working = d.store().transact([](store_transaction& t) -> task<result<>> {
                if (const auto r = co_await t.write("a", "1"); !r)
                    co_return std::unexpected(r.error());
                co_return co_await t.write("b", "2");
            });
            unsigned done = 0;
            const auto count = [](void* n) noexcept { ++*static_cast<unsigned*>(n); };
            watching.start(count, &done);
            working.start(count, &done);
            for (unsigned i = 0; i < steps; ++i)
                (void)d.turn();
            d.move();
            CHECK(d.settle());
            REQUIRE(done == 2);
            CHECK(working.take().has_value());
            {
                const auto w = watching.take();
                CHECK(w.has_value());
                CHECK(d.daemon.watches() == 2);
                second.reset();
                d.daemon.set("second", "x");
                CHECK(d.settle());
                CHECK(second.is_set());
            }
            CHECK(d.settle());
            CHECK(d.daemon.watches() == 1);
            CHECK(d.daemon.transactions() == 0);
            CHECK(d.daemon.get("b") == "2");
            d.daemon.remove("a");
            d.daemon.remove("b");
            d.daemon.remove("second");
        }
    }
    SUBCASE("a watch that is not allowed any more lets its owner look") {
        d.daemon.errors[d.daemon.whole("w")] = "EACCES";
        d.move();
        CHECK(d.settle());
        CHECK(changed.is_set());
        watch = {};
        CHECK(d.settle());
    }
}

TEST_CASE("a daemon that breaks the protocol is asked to begin again where it can, and left alone where it cannot") {
    using page = xenstore_domain_interface;
    void (*const wrongs[])(memory_domain&, page&) = {
        [](memory_domain&, page& p) { p.rsp_prod = p.rsp_cons + 1025; },
        [](memory_domain&, page& p) { --p.rsp_prod; },
        [](memory_domain&, page& p) { ++p.req_cons; },
        [](memory_domain&, page& p) { p.req_cons += 0x8000'0000; },
        [](memory_domain& d, page&) {
            const xsd_sockmsg too_long{.type = XS_READ, .req_id = 1, .tx_id = 0, .len = 4097};
            d.daemon.say({reinterpret_cast<const char*>(&too_long), sizeof too_long});
        },
    };
    for (const bool reconnects : {true, false})
        for (const auto wrong : wrongs) {
            memory_domain d;
            event changed{d.loop()};
            auto watch = running{d, watched(d.store(), "w", changed)}.take();
            REQUIRE(watch.has_value());
            changed.reset();
            if (!reconnects)
                d.daemon.page().server_features = 0;
            d.daemon.answers = false;
            running waits{d, read(d.store(), "name")};
            d.daemon.answers = true;
            wrong(d, d.daemon.page());
            (void)d.channels.fire(d.store_port());
            CHECK(d.settle());
            CHECK(changed.is_set());
            REQUIRE(waits.done());
            if (reconnects) {
                CHECK(*waits.take() == "guest");
                CHECK(d.daemon.watches() == 1);
                CHECK_FALSE(d.store().unusable());
                CHECK(*running{d, read(d.store(), "name")}.take() == "guest");
            } else {
                CHECK(waits.take().error() == errc::io);
                CHECK(d.store().unusable());
                CHECK(running{d, read(d.store(), "name")}.take().error() == errc::io);
                CHECK(running{d, watched(d.store(), "v", changed)}.take().error() == errc::io);
                watch = {};
                CHECK(d.settle());
            }
        }
}

TEST_CASE("our own indices in the page are ours alone") {
    memory_domain d;
    auto& page = d.daemon.page();
    CHECK(*running{d, read(d.store(), "name")}.take() == "guest");
    page.rsp_cons -= 3; // what it is told is not believed: requests and replies are where they have to be
    page.req_prod -= 5;
    CHECK(running{d, write(d.store(), "x", "1")}.take().has_value());
    CHECK(d.daemon.get("x") == "1");
}

TEST_CASE("without a store there are errors, and nothing hangs") {
    scheduler loop;
    xenstore store{loop};
    event changed{loop};
    CHECK(store.unusable());
    std::optional<result<>> outcome;
    const auto all = [&]() -> task<> {
        CHECK((co_await store.read("name")).error() == errc::closed);
        CHECK((co_await watched(store, "x", changed)).error() == errc::closed);
        outcome = co_await store.transact([](store_transaction&) -> task<result<>> { co_return result<>{}; });
    };
    auto work = all();
    work.start([](void*) noexcept {}, nullptr);
    while (loop.run_ready()) {
    }
    REQUIRE(outcome.has_value());
    CHECK(outcome->error() == errc::closed);
}

TEST_CASE("sessions are bounded") {
    memory_domain d;
    d.daemon.most_watches = 100'000;
    event changed{d.loop()};
    std::vector<store_watch> all;
    for (;;) {
        auto w = running{d, watched(d.store(), "x", changed)}.take();
        if (!w) {
            CHECK(w.error() == errc::no_buffers);
            break;
        }
        all.push_back(std::move(*w));
    }
    CHECK(all.size() == xenstore::most_sessions);
    all.clear();
    CHECK(d.settle());
    CHECK(d.daemon.watches() == 0);
    CHECK(running{d, watched(d.store(), "x", changed)}.take().has_value());
}
