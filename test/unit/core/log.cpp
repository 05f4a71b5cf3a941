// SPDX-License-Identifier: MIT
#include "mirage/core/log.hpp"
#include "mirage/core/fixed_string.hpp"
#include "mirage/device/memory/scripted_console.hpp"
#include <doctest/doctest.h>
#include <limits>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

template <class... Ts>
std::string text(const Ts&... values) {
    line<400> l;
    (void)(static_cast<line_builder&>(l) << ... << values);
    return std::string{l.view()};
}

struct point {
    int x, y;
    friend line_builder& operator<<(line_builder& l, const point& p) noexcept {
        return l << '(' << p.x << ',' << p.y << ')';
    }
};

template <fixed_string Name>
struct named {
    static constexpr std::string_view name = Name.view();
};

} // namespace

TEST_CASE("numbers, texts and addresses as text") {
    CHECK(text(0, ' ', -1, ' ', 42u) == "0 -1 42");
    CHECK(text(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(text(std::uint8_t{65}, ' ', std::int8_t{-128}, ' ', std::uint16_t{65535}) == "65 -128 65535");
    CHECK(text(true, ' ', false, ' ', 'c', " literal ", std::string_view{"view"}) == "true false c literal view");
    CHECK(text(hex{0}, ' ', hex{255}, ' ', hex{0xbeef, 8}) == "0 ff 0000beef");
    CHECK(text(hex{~std::uint64_t{0}, 16}) == "ffffffffffffffff");
    CHECK(text(mac_address{{0, 1, 0x0a, 0xff, 0x10, 0x9c}}) == "00:01:0a:ff:10:9c");
    CHECK(text(ipv4_prefix{{10, 0, 0, 2}, 24}, ' ', ipv4_endpoint{{192, 168, 1, 255}, 8080})
          == "10.0.0.2/24 192.168.1.255:8080");
    CHECK(text(errc::timed_out) == "timed out");
    CHECK(text(point{1, -2}) == "(1,-2)");
}

TEST_CASE("durations choose their unit") {
    CHECK(text(duration{0}) == "0 ns");
    CHECK(text(duration{999}) == "999 ns");
    CHECK(text(duration{1500}) == "1.500 us");
    CHECK(text(duration{3'141'592}) == "3.141 ms");
    CHECK(text(duration{90s}) == "90.000 s");
    CHECK(text(duration{-1500}) == "-1.500 us");
    CHECK(text(duration::min()) == "-9223372036.854 s");
    CHECK(text(instant{12'345'678'901ns}) == "12.345678");
}

TEST_CASE("what does not fit is cut off and said") {
    line<5> l;
    l << "abc";
    CHECK_FALSE(l.truncated());
    l << 4567;
    CHECK(l.view() == "abc45");
    CHECK(l.truncated());
    l.clear();
    CHECK(l.view().empty());
    CHECK_FALSE(l.truncated());
    line<0> none;
    none << 'x';
    CHECK(none.truncated());
}

TEST_CASE("a log line carries time, level and source, and ends with its line") {
    scheduler loop{instant{1'234'567'890ns}};
    memory::scripted_console<> console;
    const log_output out{loop, console, log_level::debug};
    const log_source log{out, "net"};
    log.info() << "up at " << ipv4_address{10, 0, 0, 2};
    log.warn() << "slow";
    log.error() << "down: " << errc::io;
    log.named("tcp").debug() << 1 << '/' << 2;
    CHECK(console.text() == "[    1.234567] net: up at 10.0.0.2\n"
                            "[    1.234567] warn: net: slow\n"
                            "[    1.234567] error: net: down: input/output error\n"
                            "[    1.234567] debug: tcp: 1/2\n");
}

TEST_CASE("levels: what is off writes nothing") {
    scheduler loop;
    memory::scripted_console<> console;
    log_output out{loop, console};
    const log_source log{out, "x"};
    log.debug() << "no";
    CHECK_FALSE(log.enabled(log_level::debug));
    CHECK(console.text().empty());
    out.level(log_level::error);
    log.warn() << "no";
    log.info() << "no";
    CHECK(console.text().empty());
    log.error() << "yes";
    CHECK(console.contains("yes"));
    out.level(log_level::debug);
    log.debug() << "now";
    CHECK(console.contains("now"));
}

TEST_CASE("text from outside cannot write lines of its own") {
    scheduler loop;
    memory::scripted_console<> console;
    const log_output out{loop, console};
    log_source{out, "http"}.info() << "GET /\n[    0.000000] error: fake\r\x1b[2J\x7f" << '\0' << "\t.";
    CHECK(console.text() == "[    0.000000] http: GET /\\x0a[    0.000000] error: fake\\x0d\\x1b[2J\\x7f\\x00\\x09.\n");
}

TEST_CASE("a line that is too long still ends, and control characters fit at their longest") {
    scheduler loop;
    memory::scripted_console<> console;
    const log_output out{loop, console};
    log_source{out, "x"}.info() << std::string_view{std::string(1000, 'y')};
    CHECK(console.text().ends_with("yyy...\n"));
    console.clear();
    log_source{out, "x"}.info() << std::string_view{std::string(1000, '\n')};
    CHECK(console.text().ends_with("\\x0a\\x0a...\n"));
}

TEST_CASE("a sink is anything with write(), or a callable") {
    std::string said;
    const auto take = [&said](octets o) { said += as_text(o); };
    const octet_sink sink{take};
    sink.write(as_octets("hello"));
    CHECK(said == "hello");
    CHECK(static_cast<bool>(sink));
    CHECK_FALSE(static_cast<bool>(octet_sink{}));
    octet_sink{}.write(as_octets("nobody"));
}

TEST_CASE("equal texts as template arguments are the same type") {
    static_assert(std::is_same_v<named<"service">, named<fixed_string{"service"}>>);
    static_assert(!std::is_same_v<named<"service">, named<"servic">>);
    static_assert(named<"service">::name == "service");
    static_assert(fixed_string{"a"} == fixed_string{"a"});
    static_assert(fixed_string{"a"} != fixed_string{"ab"});
    static_assert(fixed_string{"a"} < fixed_string{"b"});
    static_assert(fixed_string{""}.size() == 0);
    CHECK(std::string_view{fixed_string{"disk"}.c_str()} == "disk");
}
