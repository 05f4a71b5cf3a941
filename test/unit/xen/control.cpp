// SPDX-License-Identifier: MIT
// What the toolstack asks of a domain, and what the application hears of it.
#include "memory_domain.hpp"
#include "mirage/os/stop.hpp"
#include "mirage/xen/control.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::xen;
using xen::test::memory_domain;

namespace {

struct obeying {
    memory_domain home{};
    control obeys{home.store()};

    obeying() { CHECK(home.settle()); }
    control_request ask(std::string_view what) {
        home.daemon.set("control/shutdown", what);
        CHECK(home.settle());
        CHECK(home.daemon.get("control/shutdown") == ""); // acknowledged
        return obeys.take();
    }
    bool announces() const {
        const auto& d = home.daemon;
        return d.get("control/feature-poweroff") == "1" && d.get("control/feature-reboot") == "1"
               && d.get("control/feature-suspend") == "1";
    }
};

} // namespace

TEST_CASE("requests of the toolstack are acknowledged, and kept to be done") {
    obeying d;
    CHECK(d.announces());
    CHECK(d.obeys.take() == control_request::none);
    CHECK(d.ask("poweroff") == control_request::poweroff);
    CHECK(d.obeys.take() == control_request::none); // once
    CHECK(d.ask("halt") == control_request::poweroff);
    CHECK(d.ask("reboot") == control_request::reboot);
    CHECK(d.ask("suspend") == control_request::suspend);
    CHECK(d.ask("") == control_request::none);
    for (const char* unknown : {"crash", "Poweroff", "poweroff ", "x"})
        CHECK(d.ask(unknown) == control_request::none);
    CHECK(d.home.daemon.transactions() == 0);
}

TEST_CASE("a request that replaces another is the one that counts") {
    obeying d;
    d.home.daemon.per_turn = 40;
    for (unsigned steps = 0; steps < 40; ++steps) {
        d.home.daemon.set("control/shutdown", "poweroff");
        for (unsigned i = 0; i < steps; ++i)
            (void)d.home.turn();
        if (d.home.daemon.get("control/shutdown") == "") { // taken before it could be replaced
            CHECK(d.home.settle());
            CHECK(d.obeys.take() == control_request::poweroff);
            continue;
        }
        CHECK(d.ask("reboot") == control_request::reboot);
    }
}

TEST_CASE("a domain that moved obeys where it is") {
    obeying d;
    CHECK(d.ask("suspend") == control_request::suspend);
    d.home.move([&] { d.home.daemon.remove("control"); });
    CHECK(d.home.settle());
    CHECK(d.announces());
    CHECK(d.ask("poweroff") == control_request::poweroff);
}

TEST_CASE("a toolstack that takes no announcements is obeyed all the same") {
    memory_domain home;
    for (const char* name : {"poweroff", "reboot", "suspend"})
        home.daemon.errors[home.daemon.whole("control/feature-" + std::string{name})] = "EACCES";
    control obeys{home.store()};
    CHECK(home.settle());
    home.daemon.set("control/shutdown", "reboot");
    CHECK(home.settle());
    CHECK(obeys.take() == control_request::reboot);
}

TEST_CASE("an application that listens is told once, and ended by the second request") {
    scheduler loop;
    os::stop_signal stop{loop};
    SUBCASE("it does not listen") { CHECK_FALSE(stop.give()); }
    SUBCASE("it listens") {
        bool told = false;
        const auto application = [&]() -> task<> {
            co_await stop.wait();
            told = true;
        };
        auto running = application();
        running.start([](void*) noexcept {}, nullptr);
        CHECK_FALSE(told);
        CHECK(stop.give());
        while (loop.run_ready()) {
        }
        CHECK(told);
        CHECK_FALSE(stop.give());
    }
}
