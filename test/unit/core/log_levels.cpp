// SPDX-License-Identifier: MIT
#include "mirage/core/log_levels.hpp"
#include "mirage/device/memory/scripted_console.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;

namespace {

using fault = log_levels::fault;

std::string again(std::string_view text) {
    line<200> l;
    l << log_levels::parse(text);
    return std::string{l.view()};
}

struct mistake {
    fault why;
    std::string_view what;
    bool operator==(const mistake&) const = default;
};
mistake mistake_in(std::string_view text) {
    const auto levels = log_levels::parse(text);
    return {levels.problem(), levels.wrong()};
}

} // namespace

TEST_CASE("levels for all sources, and for some of them") {
    CHECK(again("debug") == "debug");
    CHECK(again("warn,tcp:debug,dhcp:off") == "warn,tcp:debug,dhcp:off");
    CHECK(log_levels{}.enabled("any", log_level::info));
    CHECK_FALSE(log_levels{}.enabled("any", log_level::debug));

    constexpr auto levels = log_levels::parse("warn,tcp:debug,dhcp:off");
    static_assert(levels.problem() == fault::none);
    CHECK(levels.enabled("website", log_level::warn));
    CHECK_FALSE(levels.enabled("website", log_level::info));
    CHECK(levels.enabled("tcp", log_level::debug));
    CHECK_FALSE(levels.enabled("dhcp", log_level::error));
    CHECK_FALSE(levels.enabled("tc", log_level::debug)); // a name is a whole name

    SUBCASE("as others write them") {
        CHECK(again("tcp=debug") == "info,tcp:debug");    // RUST_LOG
        CHECK(again("*:error,tcp:info") == "error,tcp:info"); // MirageOS
        CHECK(again("tcp:debug,warn") == "warn,tcp:debug");
    }
    SUBCASE("the last of two counts") {
        CHECK(again("warn,tcp:debug,error,tcp:info") == "error,tcp:info");
    }
}

TEST_CASE("what was not understood is named") {
    CHECK(mistake_in("loud") == mistake{fault::level, "loud"});
    CHECK(mistake_in("warn,tcp:loud,x:debug") == mistake{fault::level, "loud"});
    CHECK(mistake_in("") == mistake{fault::level, ""});
    CHECK(mistake_in("warn,") == mistake{fault::level, ""});
    CHECK(mistake_in("WARN") == mistake{fault::level, "WARN"});
    CHECK(mistake_in("tcp:") == mistake{fault::level, ""});
    CHECK(mistake_in("tcp:debug:info") == mistake{fault::level, "debug:info"});
    CHECK(mistake_in("info,:debug") == mistake{fault::source, ":debug"});
    CHECK(mistake_in("a:info,b:info,c:info,d:info,e:info,f:info,g:info,h:info") == mistake{fault::none, ""});
    CHECK(mistake_in("a:info,b:info,c:info,d:info,e:info,f:info,g:info,h:info,i:info") == mistake{fault::room, "i"});
}

TEST_CASE("a source that a log does not have is found") {
    constexpr std::array<std::string_view, 2> known{"echo", "dhcp"};
    CHECK(log_levels::parse("warn,dhcp:debug,echo:info").stranger(known).empty());
    CHECK(log_levels::parse("warn,dhcp:debug,dchp:info").stranger(known) == "dchp");
}

TEST_CASE("a log whose sources have levels of their own") {
    scheduler loop;
    memory::scripted_console<> console;
    log_output out{loop, console};
    const auto levels = log_levels::parse("warn,tcp:debug");
    out.levels(levels);
    const log_source log{out, "app"};
    const log_source tcp = log.named("tcp");
    CHECK_FALSE(log.enabled(log_level::info));
    CHECK(tcp.enabled(log_level::debug));
    log.info() << "no";
    log.warn() << "slow";
    tcp.debug() << "retransmission";
    CHECK(console.text() == "[    0.000000] warn: app: slow\n[    0.000000] debug: tcp: retransmission\n");
    out.level(log_level::info); // for all of them again
    CHECK_FALSE(tcp.enabled(log_level::debug));
    CHECK(log.enabled(log_level::info));
}
