// SPDX-License-Identifier: MIT
#include "mirage/core/log.hpp"
#include "mirage/os/key_parser.hpp"
#include "mirage/os/network_keys.hpp"
#include <doctest/doctest.h>
#include <string>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

struct network_options {
    ipv4_prefix address{};
    ipv4_address router{10, 0, 0, 1};
};

struct options {
    std::uint16_t port = 80;
    std::int8_t offset = -3;
    std::uint64_t limit = 5;
    bool verbose = false;
    std::string_view title = "Mirage";
    network_options network{};
    duration patience = 5s;
    log_level level = log_level::info;
    std::optional<std::uint32_t> seed{};
};

constexpr auto network_keys = os::keys(os::key<&network_options::address>{"ipv4", "own address"},
                                       os::key<&network_options::router>{"ipv4-gateway", "the router"});

constexpr auto all_keys =
    os::keys(os::key<&options::port>{"port", "where to listen"}.range(1, 65535),
             os::key<&options::offset>{"offset", "an offset"}, os::key<&options::limit>{"limit", "a limit"},
             os::key<&options::verbose>{"verbose", "say more"}, os::key<&options::title>{"title", "a title"},
             os::group<&options::network>(network_keys),
             os::key<&options::patience>{"patience", "how long to wait"}.range(10ms, 1min),
             os::key<&options::level, log_level::error, log_level::info, log_level::debug>{"log", "how much"},
             os::key<&options::seed>{"seed", "a seed"});

constexpr auto& table = os::key_table<options, all_keys>;
static_assert(table.size() == 10);
static_assert(os::detail::names_are_good(table) && os::detail::names_differ(table));

struct outcome {
    os::parsed parsed{};
    options set{};
    std::string said;
};

outcome parse(std::string_view line) {
    outcome o;
    auto screen = [&](octets text) { o.said += as_text(text); };
    static constexpr options defaults{};
    o.parsed = os::key_parser{"app", "does things", table, octet_sink{screen}}.parse(line, &o.set, &defaults);
    return o;
}

} // namespace

TEST_CASE("every type of key is read") {
    const auto o = parse("--port=8080 --offset=-128 --limit=18446744073709551615 --verbose --title=a=b "
                         "--ipv4=10.1.2.3/16 --ipv4-gateway=10.1.0.1 --patience=250ms --log=debug --seed=7");
    CHECK(o.said == "");
    REQUIRE(o.parsed == os::parsed::run);
    CHECK(o.set.port == 8080);
    CHECK(o.set.offset == -128);
    CHECK(o.set.limit == 18446744073709551615u);
    CHECK(o.set.verbose);
    CHECK(o.set.title == "a=b");
    CHECK(o.set.network.address == ipv4_prefix{ipv4_address{10, 1, 2, 3}, 16});
    CHECK(o.set.network.router == ipv4_address{10, 1, 0, 1});
    CHECK(o.set.patience == 250ms);
    CHECK(o.set.level == log_level::debug);
    CHECK(o.set.seed == 7u);
}

TEST_CASE("what is not given keeps its default; the last of two counts; spaces do not") {
    const auto o = parse("  --verbose --port=1  --verbose=false --port=2 ");
    REQUIRE(o.parsed == os::parsed::run);
    CHECK(o.set.port == 2);
    CHECK_FALSE(o.set.verbose);
    CHECK(o.set.title == "Mirage");
    CHECK_FALSE(o.set.seed);
}

TEST_CASE("a bad value: the message names the key, what was given and what is accepted") {
    struct row {
        std::string_view given, said;
    };
    for (const auto& [given, said] : {
             row{"--port=0", "app: --port=0: expected a number from 1 to 65535\n"},
             row{"--port=65536", "app: --port=65536: expected a number from 1 to 65535\n"},
             row{"--port=80x", "app: --port=80x: expected a number from 1 to 65535\n"},
             row{"--port=", "app: --port=: expected a number from 1 to 65535\n"},
             row{"--port", "app: --port needs a value: a number from 1 to 65535\n"},
             row{"--port=-1", "app: --port=-1: expected a number from 1 to 65535\n"},
             row{"--offset=-129", "app: --offset=-129: expected a number from -128 to 127\n"},
             row{"--offset=-", "app: --offset=-: expected a number from -128 to 127\n"},
             row{"--limit=18446744073709551616",
                 "app: --limit=18446744073709551616: expected a number from 0 to 18446744073709551615\n"},
             row{"--verbose=maybe", "app: --verbose=maybe: expected true or false\n"},
             row{"--ipv4=10.0.0.2",
                 "app: --ipv4=10.0.0.2: expected an IPv4 address with the length of its subnet, "
                 "such as 10.0.0.2/24\n"},
             row{"--ipv4-gateway=10.0.0",
                 "app: --ipv4-gateway=10.0.0: expected an IPv4 address such as 10.0.0.2\n"},
             row{"--patience=5",
                 "app: --patience=5: expected a duration in h, min, s, ms, us or ns, such as 250ms, "
                 "from 10ms to 1min\n"},
             row{"--patience=9ms",
                 "app: --patience=9ms: expected a duration in h, min, s, ms, us or ns, such as "
                 "250ms, from 10ms to 1min\n"},
             row{"--log=loud", "app: --log=loud: expected one of error, info, debug\n"},
         }) {
        CAPTURE(given);
        const auto o = parse(given);
        CHECK(o.parsed == os::parsed::failed);
        CHECK(o.said == said);
    }
}

TEST_CASE("an unknown key: the nearest is suggested, if any is near") {
    CHECK(parse("--prot=80").said
          == "app: unknown boot key --prot; did you mean --port? --help lists them all\n");
    CHECK(parse("--ipv4-gatway=1").said
          == "app: unknown boot key --ipv4-gatway; did you mean --ipv4-gateway? --help lists them all\n");
    CHECK(parse("--completely-else").said
          == "app: unknown boot key --completely-else; --help lists them all\n");
    CHECK(parse("8080").said
          == "app: '8080' is not a boot key; they look like --NAME=VALUE, --help lists them\n");
}

TEST_CASE("a very long word is reported in part, and every message ends its line") {
    const auto o = parse("--" + std::string(4000, 'x'));
    CHECK(o.parsed == os::parsed::failed);
    CHECK(o.said.size() < 400);
    CHECK(o.said.back() == '\n');
}

TEST_CASE("--help shows every key with type, default and description") {
    const auto o = parse("--help");
    CHECK(o.parsed == os::parsed::help);
    CHECK(o.said.starts_with("app: does things\n"));
    for (const auto& k : table)
        CHECK(o.said.find("--" + std::string{k.name}) != std::string::npos);
    CHECK(o.said.find("--port=NUMBER\n      where to listen; a number from 1 to 65535; default: 80\n")
          != std::string::npos);
    CHECK(o.said.find("--verbose[=true|false]\n") != std::string::npos);
    CHECK(o.said.find("default: 10.0.0.1\n") != std::string::npos);
    CHECK(o.said.find("default: 5s\n") != std::string::npos);
    CHECK(o.said.find("default: none\n") != std::string::npos);
}

TEST_CASE("an application without keys takes none") {
    std::string said;
    auto screen = [&](octets text) { said += as_text(text); };
    CHECK(os::expect_no_keys("app", "  ", octet_sink{screen}) == os::parsed::run);
    CHECK(said == "");
    CHECK(os::expect_no_keys("app", "--help", octet_sink{screen}) == os::parsed::help);
    CHECK(os::expect_no_keys("app", "--x=1 --y", octet_sink{screen}) == os::parsed::failed);
    CHECK(said == "app: takes no boot keys\napp: takes no boot keys, but was given --x=1\n");
}

namespace {

struct ipv6_settings {
    net::ipv6_options network{};
};
constexpr auto ipv6_settings_keys = os::keys(os::ipv6_keys<&ipv6_settings::network>());

} // namespace

TEST_CASE("keys of IPv6") {
    using value = os::key_value<ipv6_prefix>;
    CHECK(value::parse("2001:db8::2/64", {}) == ipv6_prefix{{0x20010db800000000, 2}, 64});
    CHECK(value::parse("auto", {}) == ipv6_prefix{});
    CHECK_FALSE(value::parse("2001:db8::2", {}).has_value());
    CHECK_FALSE(value::parse("10.0.0.2/24", {}).has_value());
    CHECK(os::key_value<ipv6_address>::parse("fe80::1", {}) == ipv6_address::link_local(1));
    CHECK(os::key_table<ipv6_settings, ipv6_settings_keys>.size() == 3);
    CHECK(net::problem(net::ipv6_options{}).empty());
    CHECK(net::problem({.ipv6 = {{0x20010db800000000, 2}, 64}, .gateway = ipv6_address::link_local(1)}).empty());
    CHECK_FALSE(net::problem({.ipv6 = {ipv6_address::all_nodes(), 64}}).empty());
    CHECK_FALSE(net::problem({.ipv6 = {{0x20010db800000000, 2}, 64}, .gateway = {0x20010db800000000, 2}}).empty());
}
