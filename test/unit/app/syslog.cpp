// SPDX-License-Identifier: MIT
#include "mirage/app/syslog.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/scripted_console.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

/// A socket that keeps what it is to send.
struct kept_datagrams {
    std::vector<std::string> all{};
    bool broken = false;
    result<> send_to(const ipv4_endpoint& to, octets text) {
        CHECK(to == ipv4_endpoint{ipv4_address{10, 0, 0, 2}, 514});
        if (broken)
            return std::unexpected(errc::unreachable);
        all.emplace_back(as_text(text));
        return {};
    }
};
struct fixed_clock {
    wall_time time{};
    instant now() const noexcept { return {}; }
    wall_time wall() const noexcept { return time; }
};
using remote_type = syslog<kept_datagrams, ipv4_endpoint, fixed_clock>;

constexpr wall_time some_day{1'066'000'455'003'456'789ns}; // 12 October 2003, 23:14:15.003456 UTC, nearly the RFC's example

} // namespace

TEST_CASE("a line of the log becomes a message (RFC 5424 section 6)") {
    kept_datagrams socket;
    fixed_clock clock{some_day};
    memory::scripted_console<> console;
    remote_type remote{socket, clock, {.server = {ipv4_address{10, 0, 0, 2}, 514}, .host = "web1"}, console};
    scheduler loop;
    log_output output{loop, remote, log_level::debug};
    const log_source log{output, "website"};
    log.info() << "serving on port " << 80;
    log.warn() << "slow";
    log.error() << "a colon: here";
    log.named("net stack").debug() << "a line\nthat tries to be two";
    REQUIRE(socket.all.size() == 4);
    CHECK(socket.all[0] == "<134>1 2003-10-12T23:14:15.003456Z web1 website - - - serving on port 80");
    CHECK(socket.all[1] == "<132>1 2003-10-12T23:14:15.003456Z web1 website - - - slow");
    CHECK(socket.all[2] == "<131>1 2003-10-12T23:14:15.003456Z web1 website - - - a colon: here");
    CHECK(socket.all[3].starts_with("<135>1 2003-10-12T23:14:15.003456Z web1 net_stack - - - a line\\x0athat"));
    CHECK(console.contains("] warn: website: slow\n")); // and the console has it, too
    CHECK(remote.sent() == 4);
}

TEST_CASE("each level has a severity of its own (RFC 5424 section 6.2.1, table 2)") {
    kept_datagrams socket;
    fixed_clock clock{some_day};
    remote_type remote{socket, clock, {.server = {ipv4_address{10, 0, 0, 2}, 514}, .facility = syslog_facility::daemon}};
    scheduler loop;
    log_output output{loop, remote, log_level::debug};
    const log_source log{output, "app"};
    log.error() << "x";
    log.warn() << "x";
    log.info() << "x";
    log.debug() << "x";
    log.info() << "debug: is only a word here";
    REQUIRE(socket.all.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) { // PRIVAL is the facility times 8, and the severity: daemon is 3
        constexpr std::array prival{"<27>", "<28>", "<30>", "<31>", "<30>"};
        CHECK(socket.all[i].starts_with(prival[i]));
    }
    CHECK(socket.all[3].ends_with(" app - - - x"));
    CHECK(socket.all[4].ends_with(" app - - - debug: is only a word here"));
}

TEST_CASE("a clock that was never set says nothing, an empty name neither (RFC 5424 sections 6.2.3 and 6.2.4)") {
    kept_datagrams socket;
    fixed_clock clock{};
    remote_type remote{socket, clock, {.server = {ipv4_address{10, 0, 0, 2}, 514}, .host = "", .facility = syslog_facility::user}};
    remote.write(as_octets("text alone\n"));
    REQUIRE(socket.all.size() == 1);
    CHECK(socket.all[0] == "<14>1 - - - - - - text alone");
}

TEST_CASE("fields and messages are bounded (RFC 5424 section 6.2.5, RFC 5426 section 3.2)") {
    kept_datagrams socket;
    fixed_clock clock{some_day};
    remote_type remote{socket, clock, {.server = {ipv4_address{10, 0, 0, 2}, 514}}};
    const std::string line = "[    1.000000] " + std::string(60, 'n') + ": " + std::string(4000, 't') + "\n";
    remote.write(as_octets(line));
    REQUIRE(socket.all.size() == 1);
    CHECK(socket.all[0].size() <= remote_type::largest);
    CHECK(socket.all[0].find(" - " + std::string(48, 'n') + " - - - ttt") != std::string::npos);
}

TEST_CASE("what cannot be sent is counted, and still on the console") {
    kept_datagrams socket{.broken = true};
    fixed_clock clock{some_day};
    memory::scripted_console<> console;
    remote_type remote{socket, clock, {.server = {ipv4_address{10, 0, 0, 2}, 514}}, console};
    remote.write(as_octets("[    1.000000] a: b\n"));
    CHECK(remote.lost() == 1);
    CHECK(remote.sent() == 0);
    CHECK(console.contains("a: b"));
}

TEST_CASE("over a whole stack, to port 514 (RFC 5426 section 3.3)") {
    using stack_type = net::stack<memory::netif<>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::udp>;
    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random here_random{1}, there_random{2};
    constexpr ipv4_address here_address{10, 0, 0, 1}, there_address{10, 0, 0, 2};
    stack_type here{sim.loop(), link.a(), sim.clock(), here_random, {.network = {.ipv4 = {here_address, 24}}}};
    stack_type there{sim.loop(), link.b(), sim.clock(), there_random, {.network = {.ipv4 = {there_address, 24}}}};
    nursery tasks{sim.loop()};
    (void)tasks.spawn(here.run());
    (void)tasks.spawn(there.run());
    std::string heard;
    (void)tasks.spawn([](stack_type& stack, std::string& text) -> task<> {
        auto socket = stack.udp().bind(514);
        while (const auto d = co_await socket.receive())
            text += as_text(d->data.view());
    }(there, heard));
    auto socket = here.udp().bind(0);
    using remote = syslog<decltype(socket), ipv4_endpoint, std::remove_cvref_t<decltype(sim.clock())>>;
    remote far{socket, sim.clock(), {.server = {there_address, 514}, .host = "10.0.0.1"}};
    log_output output{sim.loop(), far};
    log_source{output, "app"}.info() << "hello";
    REQUIRE(sim.run_until([&] { return !heard.empty(); }, sim.now() + 1s));
    CHECK(heard.starts_with("<134>1 "));
    CHECK(heard.ends_with(" 10.0.0.1 app - - - hello"));
}
