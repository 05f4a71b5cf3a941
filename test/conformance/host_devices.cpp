// SPDX-License-Identifier: MIT
// The contract of every device concept, over the host platform's devices that need no rights.
#include "contract/block.hpp"
#include "contract/clock.hpp"
#include "contract/console.hpp"
#include "contract/random.hpp"
#include "mirage/host.hpp"
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

using namespace mirage;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// An empty file that is there as long as this is.
struct temporary_file {
    std::string path;
    int descriptor;
    temporary_file() {
        const char* const folder = std::getenv("TMPDIR");
        path = std::string{folder != nullptr ? folder : "/tmp"} + "/mirage-test-XXXXXX";
        descriptor = ::mkstemp(path.data());
        REQUIRE(descriptor >= 0);
    }
    ~temporary_file() {
        ::close(descriptor);
        ::unlink(path.c_str());
    }
};

/// A machine that was started with these options.
struct started {
    std::vector<std::string> text;
    std::vector<char*> words;
    host::machine home;
    explicit started(std::vector<std::string> options = {}) : text{std::move(options)} {
        for (auto& word : text)
            words.push_back(word.data());
        REQUIRE(home.arguments(words));
    }
};

/// The console with standard output going to a file while it writes, so that the test's own output stays
/// where it is.
struct host_console {
    started process;
    temporary_file file;
    host::console console{process.home};

    struct redirected {
        host_console& all;
        void write(octets text) noexcept {
            (void)std::fflush(stdout);
            const int standard = ::dup(STDOUT_FILENO);
            ::dup2(all.file.descriptor, STDOUT_FILENO);
            all.console.write(text);
            ::dup2(standard, STDOUT_FILENO);
            ::close(standard);
        }
    } there{*this};

    auto& device() { return there; }
    std::string text() const {
        std::string all(1 << 20, '\0');
        all.resize(static_cast<std::size_t>(::pread(file.descriptor, all.data(), all.size(), 0)));
        return all;
    }
};

struct host_clock {
    started process;
    host::clock clock{process.home};
    auto& device() { return clock; }
    void pass(duration d) { (void)process.home.wait(clock.now() + d); }
};

struct host_random {
    started process;
    host::random random{process.home};
    auto& device() { return random; }
};

using host::block_file;

template <unsigned Sectors, unsigned Size, block_file::engine Engine = block_file::engine::best>
struct host_block {
    temporary_file file;
    started process{{"--block:disk=" + file.path, "--block-sector-size:disk=" + std::to_string(Size)}};
    host::block<"disk"> disk{process.home};
    host_block() {
        REQUIRE(::ftruncate(file.descriptor, Sectors * Size) == 0);
        REQUIRE(disk.open(Engine).has_value());
    }
    auto& device() { return disk; }
    scheduler& loop() { return process.home.loop(); }
    void turn() {
        loop().run_ready();
        (void)process.home.wait(loop().idle() ? process.home.now() + 1ms : instant::min());
    }
};

/// What open() says about options that make no disk.
result<> open_disk(std::vector<std::string> options) {
    started process{std::move(options)};
    return host::block<"disk">{process.home}.open();
}

} // namespace

TEST_CASE_TEMPLATE("console contract", H, host_console) {
    contract::console_contract<H>();
}
TEST_CASE_TEMPLATE("clock contract", H, host_clock) {
    contract::clock_contract<H>();
}
TEST_CASE_TEMPLATE("random contract", H, host_random) {
    contract::random_contract<H>();
}
using small_disk = host_block<16, 512>;
using large_disk = host_block<1000, 4096>;
using small_disk_by_calls = host_block<16, 512, block_file::engine::calls>;
using large_disk_by_calls = host_block<1000, 4096, block_file::engine::calls>;
TEST_CASE_TEMPLATE("block contract", H, small_disk, large_disk, small_disk_by_calls, large_disk_by_calls) {
    contract::block_contract<H>();
}

TEST_CASE("a console whose reader is gone drops what is written") {
    started process;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    ::close(ends[0]);
    const int standard = ::dup(STDOUT_FILENO);
    (void)std::fflush(stdout);
    ::dup2(ends[1], STDOUT_FILENO);
    host::console{process.home}.write(as_octets("nobody hears this"));
    ::dup2(standard, STDOUT_FILENO);
    ::close(standard);
    ::close(ends[1]);
    CHECK(true); // neither SIGPIPE nor an endless loop
}

TEST_CASE("a disk that cannot be: an error, never a crash") {
    temporary_file file;
    CHECK(open_disk({}).error() == errc::not_found);
    CHECK(open_disk({"--block:disk=/nonexistent/disk"}).error() == errc::io);
    CHECK(open_disk({"--block:disk=/dev"}).has_value() == false);
    CHECK(open_disk({"--block:disk=/dev/null"}).error() == errc::unsupported);
    CHECK(open_disk({"--block:disk=" + file.path}).error() == errc::invalid_argument); // empty
    REQUIRE(::ftruncate(file.descriptor, 1000) == 0);
    CHECK(open_disk({"--block:disk=" + file.path}).error() == errc::invalid_argument); // half a sector
    REQUIRE(::ftruncate(file.descriptor, 4096) == 0);
    CHECK(open_disk({"--block:disk=" + file.path}).has_value());
    CHECK(open_disk({"--block:disk=" + file.path, "--block-sector-size:disk=1000"}).error()
          == errc::invalid_argument);
}

/// Awaits what `begin()` gives.
template <class Harness>
block_result run(Harness& h, auto begin) {
    std::optional<block_result> out;
    nursery tasks{h.loop()};
    REQUIRE(tasks.spawn(contract::block_detail::keep(begin, out)));
    while (!out)
        h.turn();
    return *out;
}

TEST_CASE_TEMPLATE("a disk that became shorter: the error names the first sector that is not there", H, small_disk,
                   small_disk_by_calls) {
    H h;
    REQUIRE(::ftruncate(h.file.descriptor, 5 * 512) == 0);
    std::vector<std::byte> room(16 * 512);
    const auto r = run(h, [&] { return h.disk.read(0, room); });
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error() == block_error{errc::io, 5});
}

TEST_CASE_TEMPLATE("a disk that is full: the error names the first sector that was not written", H, small_disk,
                   small_disk_by_calls) {
    H h;
    // As a file system does that has no room left.
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto standard = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{6 * 512, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const std::vector<std::byte> data(9 * 512, std::byte{7});
    const auto r = run(h, [&] { return h.disk.write(2, data); });
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    ::signal(SIGXFSZ, standard);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error() == block_error{errc::io, 6});
}

TEST_CASE("what is begun in one turn goes to the kernel together, and the loop does not wait for it") {
    host_block<1000, 4096> h;
    if (h.disk.queue_depth() == 1) {
        MESSAGE("SKIP: no io_uring here");
        return;
    }
    std::vector<std::byte> data(4096, std::byte{1});
    std::array<std::optional<block_result>, 64> done;
    nursery tasks{h.loop()};
    for (std::size_t i = 0; i < done.size(); ++i)
        REQUIRE(tasks.spawn(contract::block_detail::keep([&, i] { return h.disk.write(i, data); }, done[i])));
    CHECK(tasks.size() == done.size());
    while (h.loop().run_ready(), !tasks.empty())
        (void)h.process.home.wait(h.loop().idle() ? never : instant::min()); // wakes up for what is done
    for (const auto& d : done)
        CHECK(d->has_value());
}

TEST_CASE("options of the platform end where the keys begin, or at --") {
    started process{{"--net:service=tap0", "--net:service=tap1,vnet", "--", "--net:x=1", "--port=80"}};
    CHECK(process.home.command_line() == "--net:x=1 --port=80");
    CHECK(process.home.given().find(host::options::kind::net, "service") == "tap1,vnet"); // the last counts
    CHECK_FALSE(process.home.given().find(host::options::kind::net_mac, "service"));
    const std::array<os::device_entry, 1> disk{{{os::device_kind::block, "service"}}};
    CHECK_FALSE(process.home.declare(disk).has_value()); // --net for a disk
    const std::array<os::device_entry, 1> interface {
        {
            { os::device_kind::netif, "service" }
        }
    };
    CHECK(process.home.declare(interface).has_value());
}

TEST_CASE("Ethernet addresses are read strictly, and are of one station") {
    const auto choose = [](const std::string& text) {
        started process{{"--net-mac:service=" + text}};
        return host::choose_mac(process.home, "service");
    };
    CHECK(choose("02:00:5e:Aa:0f:f0") == mac_address{{0x02, 0x00, 0x5e, 0xaa, 0x0f, 0xf0}});
    for (const auto bad :
         {"02", "02:00:5e:aa:0f", "02:00:5e:aa:0f:f0:", "02:00:5e:aa:0f:fg", "02-00-5e-aa-0f-f0",
          "2:0:5e:aa:f:f0", "02:00:5e:aa:0f:f00", "01:00:5e:00:00:01", "00:00:00:00:00:00"})
        CHECK_FALSE(choose(bad).has_value());
}

TEST_CASE("user networking: a cable that carries frames, or a sentence that says what is wrong") {
    const auto open = [](const std::string& value) {
        started process{{"--net:service=" + value}};
        return host::netif<"service">{process.home}.open();
    };
    CHECK(open("user").has_value());
    CHECK_FALSE(open("user,fast").has_value());
    CHECK_FALSE(open("user,hostfwd=tcp:127.0.0.1:80").has_value());
}

TEST_CASE("a capture: frames in both directions with their checksums complete, and what was lost (draft-ietf-opsawg-pcapng)") {
    const temporary_file place;
    started process{{"--pcap:service=" + place.path}};
    {
        host::capture written;
        REQUIRE(written.open(process.home, "service").has_value());
        REQUIRE(written);
        written.received(as_octets("came in"), 0, 0);
        const std::array<std::byte, 4> sum{std::byte{0xff}, std::byte{0xfe}, std::byte{0}, std::byte{0}};
        written.transmitted({.headers = sum, .checksum_start = 0, .checksum_offset = 0});
        const std::array<std::byte, 6> late{std::byte{9}, std::byte{9}, std::byte{0xff}, std::byte{0xfe}, std::byte{0}, std::byte{0}};
        written.transmitted({.headers = late, .checksum_start = 2, .checksum_offset = 2});
        written.lost();
    }
    std::string file(4096, '\0');
    file.resize(static_cast<std::size_t>(::read(place.descriptor, file.data(), file.size())));
    std::vector<std::uint32_t> kinds;
    std::vector<std::string> bodies;
    for (std::size_t at = 0; at < file.size();) {
        std::uint32_t head[2], again = 0;
        REQUIRE(file.size() - at >= 12);
        std::memcpy(head, file.data() + at, sizeof head);
        REQUIRE(head[1] % 4 == 0);
        REQUIRE(head[1] <= file.size() - at);
        std::memcpy(&again, file.data() + at + head[1] - 4, sizeof again);
        CHECK(again == head[1]);
        kinds.push_back(head[0]);
        bodies.push_back(file.substr(at + 8, head[1] - 12));
        at += head[1];
    }
    CHECK(kinds == std::vector<std::uint32_t>{0x0a0d0d0a, 1, 6, 6, 6, 5, 5});
    CHECK(bodies[1].find("service") != std::string::npos);
    const auto direction = [](const std::string& body) { return body[body.size() - 8]; };
    CHECK(bodies[2].substr(12, 16) == std::string("\7\0\0\0\7\0\0\0came in\0", 16));
    CHECK(direction(bodies[2]) == 1);
    CHECK(bodies[3].substr(20, 4) == "\xff\xfe\0\0"s);
    CHECK(bodies[4].substr(20, 6) == "\x09\x09\xff\xfe\0\1"s);
    CHECK(direction(bodies[4]) == 2);
    CHECK(bodies[6].substr(12) == "\4\0\10\0\1\0\0\0\0\0\0\0\5\0\10\0\1\0\0\0\0\0\0\0\0\0\0\0"s);
}
