// SPDX-License-Identifier: MIT
// The frontend's state machine, against backends that come, go, crash, stall and are moved.
#include "backend.hpp"
#include "mirage/xen/xenbus.hpp"
#include <doctest/doctest.h>
#include <optional>

using namespace mirage;
using namespace mirage::xen;
using namespace std::chrono_literals;
using xen::test::backend;
using xen::test::memory_domain;
using xen::test::running;

namespace {

/// A driver with one granted page and one channel.
struct driver final : frontend_driver {
    memory_domain& home;
    frontend bus;
    alignas(4096) std::byte page[4096]{};
    std::optional<grant_ref_t> ref{};
    std::optional<evtchn_port_t> port{};
    std::uint64_t feature = 0, sectors = 0;
    bool works = false, is_broken = false;
    unsigned begun = 0, ended = 0, forgotten = 0;
    result<> negotiates{}, begins{};

    driver(memory_domain& h, std::string_view kind, bus_state p) : home{h}, bus{h, kind, *this} { published = p; }
    ~driver() {
        (void)disconnect();
        CHECK(home.book.in_use() == 0);
        CHECK(home.channels.open() == 1); // the store's
    }

    task<result<>> negotiate(frontend& f) override {
        feature = co_await f.number_of("feature-test", 0);
        if (!negotiates)
            co_return negotiates;
        const auto r = home.grants().grant(f.backend_id(), page, access::read_write);
        if (!r)
            co_return std::unexpected(r.error());
        ref = *r;
        const auto p = home.events().allocate(f.backend_id());
        if (!p)
            co_return std::unexpected(p.error());
        port = *p;
        co_return result<>{};
    }
    task<result<>> publish(frontend& f, store_transaction& t) override {
        line<16> text;
        text << *ref;
        if (const auto r = co_await t.write({f.path(), "ring-ref"}, text.view()); !r)
            co_return std::unexpected(r.error());
        line<16> channel;
        channel << *port;
        co_return co_await t.write({f.path(), "event-channel"}, channel.view());
    }
    task<result<>> attend(frontend& f, bool first) override {
        sectors = co_await f.number_of("sectors", 0);
        if (!first)
            co_return result<>{};
        if (!begins)
            co_return begins;
        works = true;
        is_broken = false;
        ++begun;
        co_return result<>{};
    }
    bool disconnect() noexcept override {
        ended += works ? 1 : 0;
        works = false;
        if (port)
            home.events().close(*port);
        port.reset();
        if (ref && !home.grants().end(*ref))
            return false;
        ref.reset();
        return true;
    }
    void forget() noexcept override {
        works = false;
        ++forgotten;
        port.reset();
        ref.reset();
    }
    bool broken() const noexcept override { return is_broken; }
};

struct world {
    memory_domain home{};
    std::string kind;
    unsigned number;
    backend back;
    driver front;
    grant_ref_t mapped = 0;

    explicit world(std::string_view k = "vbd", unsigned n = 51712, domid_t peer = 0)
        : kind{k}, number{n}, back{home, kind, n, peer},
          front{home, kind, k == "vif" ? bus_state::connected : bus_state::initialised} {
        back.offer = [this] { home.daemon.set(back.back("feature-test"), "7"); };
        back.connect = [this] {
            mapped = static_cast<grant_ref_t>(std::atoi(home.daemon.get(back.front("ring-ref")).value_or("0").c_str()));
            return home.book.map(mapped, true) != nullptr;
        };
        back.disconnect = [this] { home.book.unmap(mapped); };
    }
    ~world() { home.book.unmap(mapped); }
    bool start() {
        REQUIRE(front.bus.start(number).has_value());
        return settled();
    }
    bool settled() {
        (void)home.settle();
        home.pass(3s);
        return front.bus.up() && front.works && back.connected() && back.front_state() == XenbusStateConnected
               && back.state() == XenbusStateConnected;
    }
};

} // namespace

TEST_CASE("a frontend and its backend connect") {
    for (const std::string_view kind : {"vif", "vbd"}) {
        for (const domid_t peer : {domid_t{0}, domid_t{3}}) {
            world w{kind, kind == "vif" ? 0u : 51712u, peer};
            w.back.attach();
            REQUIRE(w.front.bus.start(w.number).has_value());
            running up{w.home, w.front.bus.settled()};
            CHECK(up.take().has_value());
            CHECK(w.settled());
            CHECK(w.front.begun == 1);
            CHECK(w.front.feature == 7);
            CHECK(w.front.bus.backend_id() == peer);
            CHECK(w.front.bus.backend_path() == w.back.back());
            CHECK(w.front.bus.path() == w.back.front());
            CHECK(w.home.daemon.transactions() == 0);
            CHECK(w.home.loop().next_deadline() == never); // nothing is looked at again and again
        }
    }
}

TEST_CASE("a frontend connects through a store that is slow and busy") {
    world w;
    w.home.daemon.per_turn = 1;
    w.home.daemon.conflicts = 7;
    w.back.attach();
    CHECK(w.start());
    CHECK(w.front.begun == 1);
}

TEST_CASE("what cannot connect says what it waits for") {
    world w;
    SUBCASE("no device") {
        REQUIRE(w.front.bus.start(w.number).has_value());
        CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::not_found);
        CHECK(w.front.bus.waits_for() == "its folder in the store, and its backend");
    }
    SUBCASE("a backend that does nothing") {
        w.back.moves = false;
        w.back.attach();
        w.back.state(XenbusStateInitialising);
        CHECK_FALSE(w.start());
        CHECK(w.front.bus.waits_for() == "the backend to be ready");
        w.back.state(XenbusStateInitWait);
        CHECK_FALSE(w.settled());
        CHECK(w.front.bus.waits_for() == "the backend to connect");
        w.back.moves = true;
        CHECK(w.settled());
        CHECK(w.front.bus.waits_for() == "nothing");
    }
    SUBCASE("no grant") {
        w.home.book.limit = 0;
        w.back.attach();
        CHECK_FALSE(w.start());
        CHECK(w.front.bus.waits_for() == "memory, grants and an event channel");
        CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::no_buffers);
        w.home.book.limit = 100;
        w.home.pass(11s);
        CHECK(w.settled());
    }
    SUBCASE("no channel") {
        w.home.channels.limit = 1;
        w.back.attach();
        CHECK_FALSE(w.start());
        CHECK(w.home.book.in_use() == 0);
        w.home.channels.limit = 100;
        w.home.pass(11s);
        CHECK(w.settled());
    }
    SUBCASE("the store refuses the keys") {
        w.home.daemon.errors[w.home.daemon.whole(w.back.front("event-channel"))] = "ENOSPC";
        w.back.attach();
        CHECK_FALSE(w.start());
        CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::no_buffers);
        CHECK_FALSE(w.home.daemon.has(w.back.front("ring-ref")));
        w.home.daemon.errors.clear();
        w.home.pass(11s);
        CHECK(w.settled());
    }
    SUBCASE("a backend that cannot map") {
        const auto connect = w.back.connect;
        w.back.connect = [] { return false; };
        w.back.attach();
        CHECK_FALSE(w.start());
        w.back.connect = connect;
        w.home.pass(11s);
        CHECK(w.settled());
    }
    SUBCASE("a backend that is nobody") {
        for (const char* id : {"", "x", "32752", "65535", "4294967296"}) {
            w.back.attach();
            w.home.daemon.set(w.back.front("backend-id"), id);
            REQUIRE(w.front.bus.start(w.number).has_value());
            CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::malformed);
        }
    }
    SUBCASE("a backend that is nowhere") {
        w.back.attach();
        w.home.daemon.set(w.back.front("backend"), "/" + std::string(2000, 'x'));
        REQUIRE(w.front.bus.start(w.number).has_value());
        CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::too_large);
        w.home.daemon.set(w.back.front("backend"), "/local/domain/0/backend/vbd/99/1");
        w.home.pass(2s);
        CHECK(running{w.home, w.front.bus.settled()}.take().error() == errc::not_found);
        w.home.daemon.set(w.back.front("backend"), w.back.back());
        CHECK(w.settled());
    }
}

TEST_CASE("a frontend begins from whatever it finds") {
    world w;
    w.back.attach();
    const auto states = [&](int front, int back) {
        w.home.daemon.set(w.back.front("state"), std::to_string(front));
        w.back.state(back);
    };
    SUBCASE("of a kernel before us") { states(XenbusStateConnected, XenbusStateConnected); }
    SUBCASE("of one that stopped half-way") { states(XenbusStateInitialised, XenbusStateInitWait); }
    SUBCASE("closed") { states(XenbusStateClosed, XenbusStateClosed); }
    SUBCASE("of a backend that is not there yet") {
        w.back.state(XenbusStateInitialising);
        CHECK_FALSE(w.start());
        w.back.state(XenbusStateInitWait);
        CHECK(w.settled());
        return;
    }
    CHECK(w.start());
    CHECK(w.front.begun == 1);
}

TEST_CASE("a device is detached and attached") {
    world w{"vif", 0};
    w.back.attach();
    REQUIRE(w.start());
    for (unsigned i = 1; i <= 5; ++i) {
        w.back.detach();
        w.home.pass(1s);
        CHECK_FALSE(w.front.bus.up());
        CHECK_FALSE(w.front.works);
        CHECK_FALSE(w.home.daemon.has("device/vif/0")); // and nothing of ours has made it again
        CHECK(w.home.book.in_use() == 0);
        CHECK(w.front.ended == i);
        w.home.pass(60s);
        CHECK_FALSE(w.home.daemon.has("device/vif/0"));
        w.back.attach();
        CHECK(w.settled());
        CHECK(w.front.begun == i + 1);
    }
    CHECK(w.home.daemon.watches() == 2);
}

TEST_CASE("a device that is gone costs nothing") {
    world w{"vif", 0};
    w.back.attach();
    REQUIRE(w.start());
    w.back.vanish();
    w.home.pass(1min);
    CHECK_FALSE(w.front.bus.up());
    CHECK(w.home.book.in_use() == 0);
    const auto requests = w.home.daemon.requests;
    w.home.pass(10min);
    CHECK(w.home.daemon.requests - requests < 300);
    w.back.attach();
    CHECK(w.settled());
}

TEST_CASE("a backend is restarted") {
    world w;
    w.back.attach();
    REQUIRE(w.start());
    for (unsigned i = 2; i < 8; ++i) {
        w.back.restart();
        CHECK(w.settled());
        CHECK(w.front.begun == i);
        CHECK(w.home.book.in_use() == 1);
    }
    SUBCASE("in another domain") {
        w.back.vanish();
        w.back.moves = false;
        backend other{w.home, "vbd", w.number, 9};
        grant_ref_t ref = 0;
        other.connect = [&] {
            ref = static_cast<grant_ref_t>(std::atoi(w.home.daemon.get(other.front("ring-ref")).value_or("0").c_str()));
            return w.home.book.map(ref, true) != nullptr;
        };
        other.disconnect = [&] { w.home.book.unmap(ref); };
        other.attach();
        w.home.pass(3s);
        CHECK(w.front.bus.up());
        CHECK(other.connected());
        CHECK(w.front.bus.backend_id() == 9);
        CHECK(w.front.bus.backend_path() == other.back());
        other.vanish();
        w.home.pass(1s);
        w.home.others.pop_back();
    }
}

TEST_CASE("a backend that breaks the rules of its rings is left, and met again") {
    world w;
    w.back.attach();
    REQUIRE(w.start());
    w.front.is_broken = true;
    w.front.bus.changed().set();
    CHECK(w.settled());
    CHECK(w.front.begun == 2);
    CHECK(w.front.ended == 1);
}

TEST_CASE("a page that the backend has mapped is not used again before it is given back") {
    world w;
    w.back.attach();
    REQUIRE(w.start());
    const auto disconnect = w.back.disconnect;
    w.back.disconnect = [] {};
    w.back.restart();
    w.home.pass(5s);
    CHECK_FALSE(w.front.bus.up());
    CHECK(w.home.book.in_use() == 1);
    CHECK(w.home.book.granted == 1);
    disconnect();
    CHECK(w.settled());
    CHECK(w.front.begun == 2);
    w.back.disconnect = disconnect;
}

TEST_CASE("a step that fails is tried again, in peace") {
    world w;
    w.back.attach();
    SUBCASE("negotiation") {
        w.front.negotiates = std::unexpected(errc::unsupported);
        CHECK_FALSE(w.start());
        w.front.negotiates = {};
    }
    SUBCASE("the last") {
        w.front.begins = std::unexpected(errc::malformed);
        CHECK_FALSE(w.start());
        const auto connections = w.back.connections;
        w.home.pass(1min);
        CHECK(w.back.connections - connections < 100);
        w.front.begins = {};
    }
    w.home.pass(11s);
    CHECK(w.settled());
    CHECK(w.home.book.in_use() == 1);
}

TEST_CASE("a device goes on after the domain moved, at whatever point it was") {
    for (unsigned steps = 0; steps < 240; ++steps) {
        world w{"vif", 0};
        w.home.daemon.per_turn = 60;
        w.back.attach();
        REQUIRE(w.front.bus.start(0).has_value());
        for (unsigned i = 0; i < steps; ++i)
            (void)w.home.turn();
        w.home.move([&] {
            if (w.back.connected())
                ++w.back.disconnections;
            w.back.attach();
        });
        w.home.pass(10s);
        CAPTURE(steps);
        REQUIRE(w.settled());
        CHECK(w.front.forgotten == 1);
        CHECK(w.home.book.in_use() == 1);
        CHECK(w.home.channels.open() == 2);
        CHECK(w.home.daemon.watches() == 2);
        CHECK(w.home.daemon.transactions() == 0);
    }
}

task<result<std::uint64_t>> order_of(memory_domain& d, std::string_view kind, std::size_t order) {
    const auto names = co_await d.store().directory({"device", kind});
    if (!names)
        co_return std::unexpected(names.error());
    const std::uint64_t number = mirage::xen::detail::nth_device(*names, order);
    if (number > 0xffffffff)
        co_return std::unexpected(errc::not_found);
    co_return number;
}

TEST_CASE("devices are found by their order") {
    memory_domain d;
    CHECK(running{d, order_of(d, "vbd", 0)}.take().error() == errc::not_found);
    for (const char* name : {"51728", "832", "51712", "x", "", "99999999999", "2048"})
        d.daemon.set("device/vbd/" + std::string{name} + "/state", "1");
    const std::uint32_t expected[] = {832, 2048, 51712, 51728};
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(*running{d, order_of(d, "vbd", i)}.take() == expected[i]);
    CHECK(running{d, order_of(d, "vbd", 4)}.take().error() == errc::not_found);
}
