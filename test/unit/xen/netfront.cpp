// SPDX-License-Identifier: MIT
// netfront with the store and a backend that comes, goes, and lies.
#include "backend.hpp"
#include "mirage/xen/netfront.hpp"
#include "netback.hpp"
#include "contract/netif.hpp"
#include <doctest/doctest.h>
#include <optional>

using namespace mirage;
using namespace mirage::xen;
using namespace std::chrono_literals;
using xen::test::backend;
using xen::test::grant_book;
using xen::test::memory_domain;
using xen::test::netback;
using xen::test::running;

namespace {

/// Final, as the devices of an application are: Clang minds the destruction of a class that another could be derived from.
struct front_end final : netfront<memory_domain> {
    using netfront<memory_domain>::netfront;
};
static_assert(mirage::netif<front_end> && mirage::group_filtering<front_end>);

/// An interface of a domain in memory: what `xl` and netback make of it.
struct vif {
    memory_domain& home;
    unsigned number;
    backend bus;
    netback<grant_book> rings{home.book};
    evtchn_port_t port = 0;
    grant_ref_t tx_ref = 0, rx_ref = 0;
    std::map<std::string, std::string> features{
        {"feature-sg", "1"},          {"feature-gso-tcpv4", "1"},         {"feature-gso-tcpv6", "1"},
        {"feature-rx-copy", "1"},     {"feature-ipv6-csum-offload", "1"}, {"multi-queue-max-queues", "4"},
    };
    bool serves = true;

    explicit vif(memory_domain& h, unsigned n = 0, domid_t peer = 0) : home{h}, number{n}, bus{h, "vif", n, peer} {
        bus.offer = [this] {
            for (const char* key : {"feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-rx-copy",
                                    "feature-ipv6-csum-offload", "feature-no-csum-offload", "multi-queue-max-queues",
                                    "feature-dynamic-multicast-control"})
                if (home.daemon.has(bus.back(key)))
                    home.daemon.remove(bus.back(key));
            for (const auto& [key, value] : features)
                home.daemon.set(bus.back(key), value);
        };
        bus.connect = [this] {
            const auto key = [&](const char* name) {
                return static_cast<std::uint32_t>(std::atoi(home.daemon.get(bus.front(name)).value_or("0").c_str()));
            };
            port = key("event-channel");
            std::byte* const tx = home.book.map(tx_ref = key("tx-ring-ref"), true);
            std::byte* const rx = home.book.map(rx_ref = key("rx-ring-ref"), true);
            if (tx == nullptr || rx == nullptr)
                return false;
            rings.tx.open(tx);
            rings.rx.open(rx);
            return true;
        };
        bus.disconnect = [this] {
            rings.answer_held();
            home.book.unmap(tx_ref);
            home.book.unmap(rx_ref);
        };
        home.others.push_back([this] { return serve(); });
    }

    void attach(const char* mac = "00:16:3e:00:00:01") {
        home.daemon.set(bus.front("mac"), mac);
        bus.attach();
    }

    /// Serves the rings once, when it was notified.
    bool serve() {
        if (!bus.connected() || !serves || home.channels.notifications(port) == 0)
            return false;
        rings.serve();
        push();
        return true;
    }
    void push() {
        if (rings.push())
            (void)home.channels.fire(port);
    }
    bool send(std::string_view frame, const xen::test::how_to_send& how = {}) {
        if (!bus.connected() || !rings.send(frame, how))
            return false;
        push();
        return true;
    }
    std::string key(const char* name) { return home.daemon.get(bus.front(name)).value_or("(none)"); }
};

struct world {
    memory_domain home{};
    vif net{home};
    std::optional<front_end> front;
    std::optional<running<result<>>> opening;

    explicit world(const netfront_sizes& sizes = {}, bool attached = true) {
        if (attached)
            net.attach();
        front.emplace(home, sizes);
    }
    void open() {
        opening.emplace(home, front->connect(0));
        home.pass(10ms);
    }
    bool up() const { return front->bus().up() && front->path().serving(); }
    result<> transmit(std::string_view frame) {
        const auto r = front->transmit({.headers = as_octets(frame)});
        front->flush();
        (void)home.settle();
        return r;
    }
    /// Whether frames go both ways.
    bool works() {
        const std::string out(100, 'o'), in(200, 'i');
        net.rings.sent.clear();
        if (!transmit(out) || net.rings.sent.size() != 1 || net.rings.sent.front().octets != out || !net.send(in))
            return false;
        (void)home.settle();
        std::array<received_frame, 4> burst;
        return front->receive(burst) == 1 && as_text(burst[0].data.view()) == in;
    }
    ~world() {
        if (net.bus.connected())
            net.bus.restart();
        opening.reset();
        front.reset();
        CHECK(home.book.in_use() == 0);
    }
};

} // namespace

TEST_CASE("netfront connects, and says what it can") {
    world w;
    w.open();
    REQUIRE(w.opening->done());
    REQUIRE(w.opening->take().has_value());
    CHECK(w.up());
    CHECK(w.net.bus.front_state() == XenbusStateConnected);
    CHECK(w.front->mac() == mac_address{{0, 0x16, 0x3e, 0, 0, 1}});
    CHECK(w.front->mtu() == 1500);
    CHECK(w.front->offloads().tx_checksum);
    CHECK(w.front->offloads().tso_size > 60'000);
    CHECK(w.front->offloads().ipv6);
    CHECK(w.net.key("request-rx-copy") == "1");
    CHECK(w.net.key("feature-rx-notify") == "1");
    CHECK(w.net.key("feature-sg") == "1");
    CHECK(w.net.key("feature-gso-tcpv4") == "1");
    CHECK(w.net.key("feature-gso-tcpv6") == "1");
    CHECK(w.net.key("feature-ipv6-csum-offload") == "1");
    CHECK(w.net.key("feature-no-csum-offload") == "(none)");
    CHECK(w.net.key("multi-queue-num-queues") == "1");
    CHECK(w.works());
}

TEST_CASE("netfront takes what a backend offers, and no more") {
    world w;
    SUBCASE("nothing but rx-copy") {
        w.net.features = {{"feature-rx-copy", "1"}};
        w.net.attach();
        w.open();
        CHECK(w.up());
        CHECK(w.front->offloads().tso_size == 0);
        CHECK(w.front->offloads().tx_checksum);
        CHECK(w.net.key("multi-queue-num-queues") == "(none)");
        CHECK(w.works());
    }
    SUBCASE("IPv6: checksums alone are not enough where IPv4 is segmented") {
        w.net.features["feature-gso-tcpv6"] = "0";
        w.net.attach();
        w.open();
        CHECK(w.front->offloads().tso_size > 60'000);
        CHECK_FALSE(w.front->offloads().ipv6);
    }
    SUBCASE("no checksum: it is completed here when a frame left it open") {
        w.net.features["feature-no-csum-offload"] = "1";
        w.net.attach();
        w.open();
        CHECK_FALSE(w.front->offloads().tx_checksum);
        CHECK(w.front->offloads().tso_size == 0);
        std::string frame(60, '\1');
        frame[12] = 8, frame[13] = 0;
        frame[34 + 16] = frame[34 + 17] = 0;
        CHECK(w.front->transmit({.headers = as_octets(frame), .checksum_start = 34, .checksum_offset = 16}).has_value());
        w.front->flush();
        (void)w.home.settle();
        REQUIRE(w.net.rings.sent.size() == 1);
        CHECK(w.net.rings.sent[0].flags == 0);
        // 12 words of 0x0101 beside the field: 0x0c0c, complemented.
        CHECK(w.net.rings.sent[0].octets.substr(50, 2) == "\xf3\xf3");
    }
    SUBCASE("no rx-copy: it says so") {
        w.net.features = {};
        w.net.attach();
        w.open();
        REQUIRE(w.opening->done());
        CHECK(w.opening->take().error() == errc::unsupported);
        CHECK(w.front->transmit({.headers = as_octets(std::string(60, 'x'))}).error() == errc::io);
    }
    SUBCASE("jumbo frames") {
        w.home.daemon.set(w.net.bus.front("mtu"), "9000");
        w.open();
        CHECK(w.front->mtu() == 9000);
        CHECK(w.works());
    }
    SUBCASE("an address that is none") {
        for (const char* bad : {"", "00:16:3e:00:00", "00:16:3e:00:00:0g", "01:16:3e:00:00:01", "00-16-3e-00-00-01"})
            CHECK_FALSE(parse_mac(bad).has_value());
        w.net.attach("nonsense");
        w.open();
        CHECK_FALSE(w.up());
    }
}

TEST_CASE("netfront without an interface says so") {
    world w{{}, false};
    w.open();
    REQUIRE(w.opening->done());
    CHECK(w.opening->take().error() == errc::not_found);
}

TEST_CASE("netfront survives what its backend goes through") {
    world w;
    w.open();
    REQUIRE(w.works());
    const std::string frame(60, 'x');

    SUBCASE("detached and attached") {
        w.net.bus.detach();
        w.home.pass(100ms);
        CHECK_FALSE(w.up());
        CHECK(w.front->transmit({.headers = as_octets(frame)}).error() == errc::io);
        CHECK_FALSE(w.home.daemon.has(w.net.bus.front("state")));
        CHECK(w.home.book.in_use() == 0);
        CHECK(w.home.channels.open() == 1); // the store's
        w.net.attach();
        w.home.pass(2s);
        CHECK(w.works());
    }
    SUBCASE("restarted, again and again, with frames under way") {
        buffer_pool pool{4, 4096};
        for (int i = 0; i < 20; ++i) {
            w.net.rings.answers = false;
            page p = pool.take();
            REQUIRE(static_cast<bool>(p));
            std::array parts{std::move(p).freeze(0, 1400)};
            CHECK(w.front->transmit({.headers = as_octets(frame), .payload = parts}).has_value());
            w.front->flush();
            (void)w.home.settle();
            parts = {};
            w.net.bus.restart();
            w.home.pass(3s);
            w.net.rings.answers = true;
            CHECK(w.works());
            CHECK(pool.available() == pool.size());
        }
        CHECK(w.home.channels.open() == 2);
    }
    SUBCASE("gone without a word") {
        w.net.bus.vanish();
        w.home.pass(1s);
        CHECK_FALSE(w.up());
        w.net.attach();
        w.home.pass(12s);
        CHECK(w.works());
    }
    SUBCASE("a backend with fewer features takes over") {
        w.net.bus.restart();
        w.home.daemon.remove(w.net.bus.back());
        w.net.features = {{"feature-rx-copy", "1"}};
        w.net.attach();
        w.home.pass(3s);
        CHECK(w.front->offloads().tso_size == 0);
        CHECK(w.works());
    }
    SUBCASE("it breaks the protocol: nothing is believed, and a new connection is made") {
        SUBCASE("transmit") { w.net.rings.tx.shared().rsp_prod += 300; }
        SUBCASE("receive") { w.net.rings.rx.shared().rsp_prod += 1000; }
        (void)w.home.channels.fire(w.net.port);
        (void)w.home.settle();
        std::array<received_frame, 4> burst;
        CHECK(w.front->receive(burst) == 0);
        CHECK(w.front->transmit({.headers = as_octets(frame)}).error() == errc::io);
        w.home.pass(3s);
        CHECK(w.net.bus.connections == 2);
        CHECK(w.works());
    }
    SUBCASE("it keeps a page mapped: no new connection before that is over") {
        const auto request = w.net.rings.rx.at(w.net.rings.rx.taken).req;
        REQUIRE(w.home.book.map(request.gref, true) != nullptr);
        w.net.bus.restart();
        w.home.pass(5s);
        CHECK_FALSE(w.up());
        CHECK(w.home.book.in_use() == 1);
        w.home.book.unmap(request.gref);
        w.home.pass(12s);
        CHECK(w.works());
    }
    SUBCASE("the link goes down and comes up") {
        w.home.daemon.set(w.net.bus.back("carrier"), "0");
        w.home.pass(10ms);
        CHECK(w.front->transmit({.headers = as_octets(frame)}).error() == errc::io);
        const unsigned before = w.front->attachments();
        w.home.daemon.set(w.net.bus.back("carrier"), "1");
        w.home.pass(10ms);
        CHECK(w.works());
        CHECK(w.front->attachments() == before + 1);
    }
    SUBCASE("the domain goes on elsewhere") {
        std::array<slice, 1> parts{slice::of_static(std::string_view{"static text, more than fits beside the headers, so "
            "that it is granted: static text, static text, static text, static text, static text, static text, static "
            "text, static text, static text, static text, static text, static text, static text, static text"})};
        CHECK(w.front->transmit({.headers = as_octets(frame), .payload = parts}).has_value());
        w.home.move([&] {
            w.net.bus.connections = w.net.bus.disconnections = 0;
            w.net.rings.held.clear();
            w.net.attach();
        });
        const unsigned before = w.front->attachments();
        w.home.pass(3s);
        CHECK(w.works());
        CHECK(w.front->attachments() == before + 1);
    }
}

TEST_CASE("groups that nobody wants are kept back by a backend that can") {
    constexpr mac_address one{{1, 0, 0x5e, 0, 0, 1}}, two{{1, 0, 0x5e, 0, 0, 2}};
    const char* const request = "request-multicast-control";
    using groups = std::vector<mac_address>;
    world w;
    const auto told = [&](const groups& all) {
        w.home.pass(50ms);
        return w.net.rings.groups == all;
    };
    w.net.features["feature-dynamic-multicast-control"] = "1";
    w.net.attach();

    SUBCASE("it is not asked before somebody speaks of groups") {
        w.open();
        CHECK(told({}));
        CHECK(w.net.key(request) == "(none)");
    }
    SUBCASE("what is said before it is there") {
        w.front->hear(one);
        w.front->hear(two);
        w.front->ignore(two);
        w.open();
        CHECK(told({one}));
        CHECK(w.net.key(request) == "1");
        CHECK(w.works());
    }
    SUBCASE("users of a group are counted") {
        w.open();
        w.front->hear(one);
        w.front->hear(one);
        w.front->hear(two);
        CHECK(told({one, two}));
        CHECK(w.net.key(request) == "1");
        w.front->ignore(one);
        CHECK(told({one, two}));
        w.front->ignore(one);
        CHECK(told({two}));
        w.front->ignore(one); // one too many
        w.front->ignore(two);
        CHECK(told({}));
        w.front->hear(one);
        CHECK(told({one}));
        CHECK(w.works());
    }
    SUBCASE("one that starts again is told again") {
        w.open();
        w.front->hear(one);
        CHECK(told({one}));
        for (int i = 0; i < 3; ++i) {
            w.net.rings.groups.clear();
            w.net.bus.restart();
            w.home.pass(3s);
            CHECK(told({one}));
            CHECK(w.works());
        }
    }
    SUBCASE("where the domain goes, too") {
        w.open();
        w.front->hear(two);
        CHECK(told({two}));
        w.home.move([&] {
            w.net.bus.connections = w.net.bus.disconnections = 0;
            w.net.rings.held.clear();
            w.net.rings.groups.clear();
            w.net.attach();
        });
        w.home.pass(3s);
        CHECK(told({two}));
        CHECK(w.net.key(request) == "1");
    }
    SUBCASE("a ring that is full is waited for") {
        w.open();
        w.net.serves = false;
        while (w.front->transmit({.headers = as_octets(std::string(60, 'x'))})) {
        }
        w.front->hear(one);
        CHECK(told({}));
        w.net.serves = true;
        w.front->flush();
        (void)w.home.channels.fire(w.net.port);
        w.net.rings.serve();
        w.net.push();
        w.home.pass(50ms);
        std::array<received_frame, 4> burst;
        (void)w.front->receive(burst); // looks at the answers
        CHECK(told({one}));
        CHECK(w.net.key(request) == "1");
    }
    SUBCASE("more groups than a filter has room for: everything is heard") {
        w.open();
        for (std::uint8_t i = 0; i < 33; ++i)
            w.front->hear({{1, 0, 0x5e, 1, 1, i}});
        w.home.pass(50ms);
        CHECK(w.net.key(request) == "0");
    }
    SUBCASE("a backend that cannot is told nothing") {
        w.net.features.erase("feature-dynamic-multicast-control");
        w.net.attach();
        w.front->hear(one);
        w.open();
        CHECK(told({}));
        CHECK(w.net.key(request) == "(none)");
        CHECK(w.works());
    }
    SUBCASE("a device that is removed meanwhile does not come back as one key") {
        w.open();
        w.net.bus.detach();
        w.front->hear(one);
        w.home.pass(1s);
        CHECK_FALSE(w.home.daemon.has(w.net.bus.front(request)));
    }
}

TEST_CASE("two interfaces, two backends") {
    memory_domain home;
    vif a{home, 0}, b{home, 3};
    a.attach("00:16:3e:00:00:0a");
    b.attach("00:16:3e:00:00:0b");
    {
        front_end first{home, {}}, second{home, {}}, third{home, {}};
        running one{home, first.connect(0)}, two{home, second.connect(1)}, three{home, third.connect(2)};
        home.pass(10ms);
        CHECK(first.mac().octet[5] == 0x0a);
        CHECK(second.mac().octet[5] == 0x0b);
        REQUIRE(three.done());
        CHECK(three.take().error() == errc::not_found);
        CHECK(second.transmit({.headers = as_octets(std::string(60, 'b'))}).has_value());
        second.flush();
        (void)home.settle();
        CHECK(a.rings.sent.empty());
        CHECK(b.rings.sent.size() == 1);
        a.bus.restart();
        b.bus.restart();
    }
    CHECK(home.book.in_use() == 0);
}

namespace {

template <std::size_t Mebibytes>
struct harness {
    world w{netfront_sizes::within(Mebibytes << 20)};

    harness() { w.open(); }
    front_end& device() { return *w.front; }
    bool send(const std::string& frame) {
        if (w.net.send(frame))
            return true;
        wait(); // pages that came back are lent by the loop
        return w.net.send(frame);
    }
    void wait() {
        w.front->flush();
        (void)w.home.settle();
        (void)w.home.channels.fire(w.net.port);
    }
    std::optional<std::string> sent() {
        for (int i = 0; i < 10 && w.net.rings.sent.empty(); ++i)
            wait();
        if (w.net.rings.sent.empty())
            return std::nullopt;
        auto frame = std::move(w.net.rings.sent.front().octets);
        w.net.rings.sent.pop_front();
        return frame;
    }
};

} // namespace

TEST_CASE("netfront keeps the promises of a netif") { contract::netif_contract<harness<16>>(); }
TEST_CASE("netfront keeps them with little memory, too") { contract::netif_contract<harness<1>>(); }
