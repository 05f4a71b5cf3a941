// SPDX-License-Identifier: MIT
// The contract of every device concept, over the in-memory devices.
#include "contract/block.hpp"
#include "contract/clock.hpp"
#include "contract/console.hpp"
#include "contract/netif.hpp"
#include "contract/random.hpp"
#include "mirage/device/archetype.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/ram_disk.hpp"
#include "mirage/device/memory/scripted_console.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <optional>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

struct scripted_console {
    memory::scripted_console<> console;
    auto& device() { return console; }
    std::string text() const { return std::string{console.text()}; }
};

struct virtual_clock {
    memory::virtual_clock clock;
    auto& device() { return clock; }
    void pass(duration d) { clock.advance(d); }
};

struct seeded_random {
    memory::seeded_random random;
    auto& device() { return random; }
};

template <std::uint64_t Sectors, std::uint32_t Size, bool ReadOnly, unsigned Microseconds>
struct ram_disk {
    memory::simulation world;
    memory::ram_disk disk{world.loop(), {Sectors, Size, ReadOnly, std::chrono::microseconds{Microseconds}}};
    auto& device() { return disk; }
    scheduler& loop() { return world.loop(); }
    void turn() { world.run_for(std::chrono::microseconds{Microseconds / 3}); }
    void fail(std::uint64_t sector) { CHECK(disk.fail(sector)); }
};
using small_disk = ram_disk<16, 512, false, 0>;
using slow_disk = ram_disk<100, 4096, false, 1000>;
using fixed_disk = ram_disk<64, 512, true, 0>;

template <offload Near, offload Far, bool Slow = false>
struct link_harness {
    memory::simulation world;
    memory::link<Near, Far> cable{world.loop(), {.mtu = Slow ? 9000u : 1500u, .buffers = 64, .ring = 64}};

    link_harness() {
        if (Slow)
            cable.impair({.delay = 1ms, .bits_per_second = 1'000'000'000});
    }
    auto& device() { return cable.a(); }
    bool send(const std::string& frame) {
        const std::string_view text{frame};
        const std::array<slice, 1> rest{slice::of_static(text.substr(14))}; // static enough: this device copies
        return cable.b().transmit({.headers = as_octets(text.substr(0, 14)), .payload = rest}).has_value();
    }
    std::optional<std::string> sent() {
        for (int i = 0; i < 10; ++i) {
            std::array<received_frame, 1> burst;
            if (cable.b().receive(burst) == 1)
                return std::string{as_text(burst[0].data.view())};
            wait();
        }
        return std::nullopt;
    }
    void wait() { world.run_for(1ms); }
};
using plain_link = link_harness<offload{}, offload{}>;
using offloading_link = link_harness<memory::all_offloads, memory::all_offloads>;
using mixed_link = link_harness<memory::all_offloads, offload{}>;
using slow_link = link_harness<offload{}, offload{}, true>;

} // namespace

TEST_CASE_TEMPLATE("console contract", H, scripted_console) { contract::console_contract<H>(); }
TEST_CASE_TEMPLATE("clock contract", H, virtual_clock) { contract::clock_contract<H>(); }
TEST_CASE_TEMPLATE("random contract", H, seeded_random) { contract::random_contract<H>(); }
TEST_CASE_TEMPLATE("block contract", H, small_disk, slow_disk, fixed_disk) { contract::block_contract<H>(); }
TEST_CASE_TEMPLATE("netif contract", H, plain_link, offloading_link, mixed_link, slow_link) {
    contract::netif_contract<H>();
}
