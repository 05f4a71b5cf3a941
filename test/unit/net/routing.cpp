// SPDX-License-Identifier: MIT
#include "mirage/net/routing.hpp"
#include <doctest/doctest.h>

namespace {

using namespace mirage;
using net::reception;

constexpr ipv4_address own{10, 0, 0, 2}, router{10, 0, 0, 1}, neighbour{10, 0, 0, 77}, far{192, 0, 2, 9};
constexpr net::routing configured{{own, 24}, router};
constexpr net::routing unconfigured{};

} // namespace

TEST_CASE("a received packet is judged by its addresses (RFC 1122 section 3.2.1.3)") {
    struct row {
        const char* what;
        ipv4_address source, destination;
        reception expected;
    };
    static constexpr row table[] = {
        {"unicast to us", neighbour, own, reception::unicast},
        {"from another net", far, own, reception::unicast},
        {"for another host", neighbour, {10, 0, 0, 3}, reception::discard},
        {"limited broadcast", neighbour, ipv4_address::broadcast(), reception::broadcast},
        {"directed broadcast", neighbour, {10, 0, 0, 255}, reception::broadcast},
        {"broadcast of another subnet", neighbour, {10, 0, 1, 255}, reception::discard},
        {"multicast", neighbour, {224, 0, 0, 1}, reception::multicast},
        {"to {0, 0}", neighbour, ipv4_address::any(), reception::discard},
        {"to loopback", neighbour, {127, 0, 0, 1}, reception::discard},
        {"to class E", neighbour, {240, 0, 0, 1}, reception::discard},
        {"from loopback", {127, 0, 0, 1}, own, reception::discard},
        {"from multicast", {224, 0, 0, 1}, own, reception::discard},
        {"from class E", {240, 0, 0, 1}, own, reception::discard},
        {"from limited broadcast", ipv4_address::broadcast(), own, reception::discard},
        {"from our directed broadcast", {10, 0, 0, 255}, own, reception::discard},
        {"from {0, 0} to us", ipv4_address::any(), own, reception::discard},
        {"from {0, 0} to all: a DHCP client", ipv4_address::any(), ipv4_address::broadcast(),
         reception::broadcast},
        {"from net 0", {0, 0, 0, 5}, own, reception::discard},
        {"from ourselves (land attack)", own, own, reception::discard},
    };
    for (const row& r : table) {
        CAPTURE(r.what);
        CHECK(configured.classify(r.source, r.destination, false) == r.expected);
    }
}

TEST_CASE("unicast in a frame for all is dropped, broadcast is not (RFC 1122 section 3.3.6)") {
    CHECK(configured.classify(neighbour, own, true) == reception::discard);
    CHECK(configured.classify(neighbour, {10, 0, 0, 255}, true) == reception::broadcast);
    CHECK(configured.classify(neighbour, ipv4_address::broadcast(), true) == reception::broadcast);
    CHECK(configured.classify(neighbour, {224, 0, 0, 251}, true) == reception::multicast);
}

TEST_CASE("without an address, unicast in a frame to our MAC is for DHCP alone (RFC 2131 section 4.1)") {
    CHECK(unconfigured.classify(router, {10, 0, 0, 50}, false) == reception::unconfigured);
    CHECK(unconfigured.classify(router, {10, 0, 0, 50}, true) == reception::discard);
    CHECK(unconfigured.classify(router, ipv4_address::broadcast(), true) == reception::broadcast);
}

TEST_CASE("the next hop (RFC 1122 section 3.3.1.1)") {
    CHECK(configured.route(neighbour)->address == neighbour);
    CHECK_FALSE(configured.route(neighbour)->mac);
    CHECK(configured.route(far)->address == router);
    CHECK(configured.route({10, 0, 0, 255})->mac == mac_address::broadcast());
    CHECK(configured.route(ipv4_address::broadcast())->mac == mac_address::broadcast());
    // RFC 1112 section 6.4: the low 23 bits
    CHECK(configured.route({239, 129, 2, 3})->mac == mac_address{{0x01, 0x00, 0x5e, 0x01, 2, 3}});

    CHECK(configured.route(own).error() == errc::invalid_argument);
    CHECK(configured.route({}).error() == errc::invalid_argument);
    CHECK(configured.route({127, 0, 0, 1}).error() == errc::invalid_argument);
    CHECK(configured.route({250, 0, 0, 1}).error() == errc::invalid_argument);

    CHECK(unconfigured.route(far).error() == errc::unreachable);
    CHECK(unconfigured.route(ipv4_address::broadcast())->mac == mac_address::broadcast());
    CHECK(net::routing{{own, 24}, {}}.route(far).error() == errc::unreachable);
}

TEST_CASE("subnets at the edges") {
    // RFC 3021: both addresses of a /31 are hosts
    constexpr net::routing pair{{{10, 0, 0, 2}, 31}, {10, 0, 0, 3}};
    CHECK(pair.classify({10, 0, 0, 3}, {10, 0, 0, 2}, false) == reception::unicast);
    CHECK(pair.route({10, 0, 0, 3})->address == ipv4_address{10, 0, 0, 3});
    CHECK_FALSE(pair.route({10, 0, 0, 3})->mac);
    // a /32 reaches everybody through a router that is outside of it
    constexpr net::routing alone{{own, 32}, far};
    CHECK(alone.route(neighbour)->address == far);
    CHECK(alone.route(far)->address == far);
}

TEST_CASE("options that cannot work are named") {
    using net::problem;
    CHECK(problem({}) == "");
    CHECK(problem({.dhcp = true}) == "");
    CHECK(problem({.ipv4 = {own, 24}}) == "");
    CHECK(problem({.ipv4 = {own, 24}, .gateway = router}) == "");
    CHECK(problem({.ipv4 = {own, 32}, .gateway = far}) == "");
    CHECK(problem({.ipv4 = {{10, 0, 0, 0}, 31}}) == "");

    CHECK(problem({.gateway = router}) != "");
    CHECK(problem({.ipv4 = {{127, 0, 0, 1}, 8}}) != "");
    CHECK(problem({.ipv4 = {{224, 0, 0, 1}, 24}}) != "");
    CHECK(problem({.ipv4 = {own, 0}}) != "");
    CHECK(problem({.ipv4 = {{10, 0, 0, 255}, 24}}) != "");
    CHECK(problem({.ipv4 = {{10, 0, 0, 0}, 24}}) != "");
    CHECK(problem({.ipv4 = {own, 24}, .gateway = own}) != "");
    CHECK(problem({.ipv4 = {own, 24}, .gateway = far}) != "");
    CHECK(problem({.ipv4 = {own, 24}, .gateway = {10, 0, 0, 255}}) != "");
}
