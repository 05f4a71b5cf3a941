// SPDX-License-Identifier: MIT
#include "mirage/os/run.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

/// A platform whose world is a few variables: time passes when the application waits.
struct fake_platform {
    static constexpr std::string_view name = "fake";

    struct console {
        fake_platform& home;
        void write(octets text) noexcept { home.said += as_text(text); }
    };
    struct clock {
        fake_platform& home;
        instant now() const noexcept { return home.time; }
        wall_time wall() const noexcept { return {}; }
    };
    struct wire {
        static constexpr std::string_view name = "service";
        static constexpr offload capabilities{};
        fake_platform& home;
        event arrived{home.loop()};
        buffer_pool pool{};

        explicit wire(fake_platform& p) noexcept : home{p} {}
        result<> open() noexcept {
            home.happened.push_back("open");
            return home.refuse ? result<>{std::unexpected(errc::io)} : result<>{};
        }
        unsigned ready_bit() const noexcept { return 3; }
        mac_address mac() const noexcept { return {}; }
        std::size_t mtu() const noexcept { return 1500; }
        offload offloads() const noexcept { return {}; }
        std::size_t receive(std::span<received_frame>) noexcept { return 0; }
        result<> transmit(const transmit_frame&) noexcept { return {}; }
        void flush() noexcept { home.happened.push_back("flush"); }
        event& readable() noexcept { return arrived; }
        const buffer_pool& receive_pool() noexcept { return pool; }
    };

    instant time{1ms};
    scheduler loop_{};
    std::string line, said;
    std::vector<std::string> happened;
    std::vector<std::uint64_t> inputs; ///< what the next waits report
    bool refuse = false;

    scheduler& loop() noexcept { return loop_; }
    std::string_view command_line() const noexcept { return line; }
    std::uint64_t wait(instant deadline) noexcept {
        happened.push_back(deadline == instant::min() ? "poll" : "wait");
        if (inputs.empty()) {
            REQUIRE(deadline != never); // nothing would ever happen again
            time = std::max(time, deadline);
            return 0;
        }
        const auto ready = inputs.front();
        inputs.erase(inputs.begin());
        return ready;
    }
};

template <console Console>
struct greeter {
    static constexpr std::string_view name = "greeter";
    Console& out;
    int run() noexcept {
        out.write(as_octets("hello\n"));
        return 7;
    }
};

template <netif Net, console Console>
struct listener {
    static constexpr std::string_view name = "listener";
    struct options {
        std::uint8_t frames = 2;
    };
    static constexpr auto keys = os::keys(os::key<&options::frames>{"frames", "how many to wait for"});
    Net& net;
    Console& out;
    task<int> run(os::context& ctx, const options& o) {
        for (unsigned i = 0; i < o.frames; ++i)
            co_await net.readable().wait();
        ctx.log.info() << "that was all";
        co_return o.frames;
    }
};

/// Lists the log_key among keys of its own; frank_talker tells which sources it has.
template <console Console>
struct talker {
    static constexpr std::string_view name = "talker";
    struct options {
        std::uint8_t words = 1;
    };
    static constexpr auto keys = os::keys(os::log_key, os::key<&options::words>{"words", "how many"});
    Console& out;
    task<int> run(os::context& ctx, const options& o) {
        for (unsigned i = 0; i < o.words; ++i) {
            ctx.log.debug() << "quietly";
            ctx.log.info() << "aloud";
            ctx.log.named("tcp").debug() << "a segment";
        }
        co_return 0;
    }
};
template <console Console>
struct frank_talker : talker<Console> {
    static constexpr std::array<std::string_view, 2> log_sources{"tcp", "dhcp"};
};
template <console Console>
struct terse_talker { // no options of its own
    static constexpr auto keys = os::keys(os::log_key);
    Console& out;
    task<> run(os::context& ctx) {
        ctx.log.debug() << "quietly";
        co_return;
    }
};

/// The lines behind the banner, or instead of it.
template <template <class> class App>
std::string said_with(std::string_view keys, int status = 0) {
    fake_platform p;
    p.time = {};
    p.line = keys;
    CHECK(os::run<App<fake_platform::console>>(p) == status);
    return status == 0 ? p.said.substr(p.said.find('\n') + 1) : p.said;
}

template <console Console>
struct sleeper {
    Console& out;
    task<> run(os::context& ctx) {
        (void)ctx.tasks.spawn([](scheduler& loop) -> task<> {
            for (;;)
                co_await loop.sleep_for(1h); // still there when the application ends
        }(ctx.loop));
        co_await ctx.loop.sleep_for(10ms);
        for (int i = 0; i < 1000; ++i)
            co_await ctx.loop.yield();
    }
};

} // namespace

TEST_CASE("an application that never waits: banner, run, status") {
    fake_platform p;
    CHECK(os::run<greeter<fake_platform::console>>(p) == 7);
    CHECK(p.said == "greeter on mirage " + std::string{version} + ", fake, up in 1.000 ms\nhello\n");
    CHECK(p.happened.empty());
}

TEST_CASE("a wrong key ends it with 1, --help with 0, and no device is opened") {
    fake_platform p;
    p.line = "--frames=300";
    CHECK(os::run<listener<fake_platform::wire, fake_platform::console>>(p) == 1);
    CHECK(p.said == "listener: --frames=300: expected a number from 0 to 255\n");
    p.line = "--help";
    CHECK(os::run<listener<fake_platform::wire, fake_platform::console>>(p) == 0);
    CHECK(p.happened.empty());
}

TEST_CASE("a device that does not open ends it with 1, without a banner") {
    fake_platform p;
    p.refuse = true;
    CHECK(os::run<listener<fake_platform::wire, fake_platform::console>>(p) == 1);
    CHECK(p.said == "");
}

TEST_CASE("the ready set wakes the device's readers; interfaces are flushed before each wait") {
    fake_platform p;
    p.line = "--frames=1";
    p.inputs = {std::uint64_t{1} << 2, std::uint64_t{1} << 3};
    CHECK(os::run<listener<fake_platform::wire, fake_platform::console>>(p) == 1);
    CHECK(p.happened == std::vector<std::string>{"open", "flush", "wait", "flush", "wait"});
    CHECK(p.said.find("service: 00:00:00:00:00:00, mtu 1500\n") != std::string::npos);
    CHECK(p.said.find("listener: that was all\n") != std::string::npos);
}

TEST_CASE("timers wake it; a task that always has work lets the platform look for input; tasks end with it") {
    fake_platform p;
    CHECK(os::run<sleeper<fake_platform::console>>(p) == 0);
    CHECK(p.time >= instant{11ms});
    CHECK(std::ranges::count(p.happened, "poll") >= 1000 / 64);
}

TEST_CASE("--log sets the levels of an application's log, and of its sources") {
    CHECK(said_with<talker>("") == "[    0.000000] talker: aloud\n");
    CHECK(said_with<talker>("--log=debug")
          == "[    0.000000] debug: talker: quietly\n[    0.000000] talker: aloud\n[    0.000000] debug: tcp: a segment\n");
    CHECK(said_with<talker>("--log=warn,tcp:debug --words=2")
          == "[    0.000000] debug: tcp: a segment\n[    0.000000] debug: tcp: a segment\n");
    CHECK(said_with<talker>("--log=off").empty());
    CHECK(said_with<talker>("--log=debug --log=off").empty()); // the last counts, as of every key
    CHECK(said_with<terse_talker>("--log=debug") == "[    0.000000] debug: unikernel: quietly\n");
}

TEST_CASE("a wrong --log ends an application before its banner, and says what there is") {
    CHECK(said_with<talker>("--log=loud", 1)
          == "talker: --log: 'loud' is not a level; off, error, warn, info and debug are, for all or for one source: SOURCE:LEVEL\n");
    CHECK(said_with<talker>("--log=warn,:debug", 1) == "talker: --log: ':debug' has no source before its colon\n");
    CHECK(said_with<talker>("--log", 1).starts_with("talker: --log needs a value: "));
    CHECK(said_with<frank_talker>("--log=warn,tpc:debug", 1)
          == "talker: --log: 'tpc' is no source of this log; there are talker, tcp, dhcp\n");
    CHECK(said_with<frank_talker>("--log=warn,dhcp:debug,talker:info") == "[    0.000000] talker: aloud\n");
    CHECK(said_with<talker>("--log=warn,tpc:debug").empty()); // it does not tell which sources it has
}

TEST_CASE("--help shows the key, and how its value is written") {
    fake_platform p;
    p.line = "--help";
    CHECK(os::run<talker<fake_platform::console>>(p) == 0);
    CHECK(p.said.find("  --log=LEVEL|SOURCE:LEVEL,...\n      how much is logged; off, error, warn, info or debug, for all or for a "
                      "source, such as warn,dhcp:debug; default: info\n") != std::string::npos);
}
