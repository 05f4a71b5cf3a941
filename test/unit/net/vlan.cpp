// SPDX-License-Identifier: MIT
#include "mirage/net/vlan.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace mirage;
using net::vlan;
using namespace std::chrono_literals;

namespace {

using lower = memory::netif<>;
using able = memory::netif<memory::all_offloads>;
static_assert(netif<vlan<lower>>);
static_assert(netif<vlan<vlan<lower>>>);
static_assert(netif<vlan<able>>);
// nothing that has to find the headers of a tagged frame is left to the device below
static_assert(!vlan<able>::capabilities.tx_checksum && vlan<able>::capabilities.tso_size == 0);
static_assert(vlan<able>::capabilities.rx_checksum && vlan<able>::capabilities.gro);

const std::string addresses("\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a", 12);
std::string frame(std::string_view rest) { return addresses + std::string{rest}; }

std::vector<std::string> received(auto& device) {
    std::vector<std::string> all;
    std::array<received_frame, 7> burst;
    while (const std::size_t n = device.receive(burst))
        for (std::size_t i = 0; i < n; ++i) {
            all.emplace_back(as_text(burst[i].data.view()));
            burst[i].data.reset();
        }
    return all;
}

struct bench {
    memory::simulation world;
    memory::link<> cable{world.loop()};
    vlan<lower> seven{cable.a(), {.id = 7, .priority = 5, .drop_eligible = true}};

    void send(const std::string& text) { REQUIRE(cable.b().transmit({.headers = as_octets(text)}).has_value()); }
};

} // namespace

TEST_CASE("a tag is written and read octet by octet (IEEE 802.1Q-2018 section 9.6)") {
    const wire::vlan_tag tag{.id = 0xabc, .priority = 6, .drop_eligible = true};
    std::array<std::byte, 4> room;
    tag.emit(room);
    CHECK(as_text(room) == std::string("\x81\0\xda\xbc", 4));
    const std::string whole = frame(std::string{as_text(room)} + std::string("\x08\0", 2));
    CHECK(wire::vlan_tag::parse(as_octets(whole), wire::ethertype::vlan) == tag);
    CHECK(wire::vlan_tag::parse(as_octets(whole), wire::ethertype::service_vlan).error() == errc::unsupported);
    CHECK(wire::vlan_tag::parse(as_octets(whole).first(17), wire::ethertype::vlan).error() == errc::truncated);
}

TEST_CASE("what is sent gets the tag behind its addresses, and its payload stays where it is") {
    bench on;
    const std::string headers = frame(std::string("\x08\0head", 6)), page(900, 'p');
    on.cable.a().watch(as_octets(page));
    const std::array<slice, 1> payload{slice::of_static(page)};
    REQUIRE(on.seven.transmit({.headers = as_octets(headers), .payload = payload}).has_value());
    CHECK(on.cable.a().counters().payload_watched == page.size());
    CHECK(received(on.cable.b())
          == std::vector{frame(std::string("\x81\0\xb0\x07\x08\0head", 10)) + page});
}

TEST_CASE("what comes loses the tag; other tags, none, a priority alone and too little are dropped and counted") {
    bench on;
    on.send(frame(std::string("\x81\0\0\x08\x08\0other", 11)));
    on.send(frame(std::string("\x08\0plain and long enough", 23)));
    on.send(frame(std::string("\x81\0\xe0\0\x08\0priority", 14)));
    on.send(frame(std::string("\x88\xa8\0\x07\x08\0service", 13)));
    on.send(frame(std::string("\x81\0\0\x07\x08", 5)));
    on.send(frame(std::string("\x81\0\x60\x07\x08\0ours", 10)));
    on.send(frame(std::string("\x81\0\0\x07\x08\0and this", 14)));
    CHECK(received(on.seven)
          == std::vector{frame(std::string("\x08\0ours", 6)), frame(std::string("\x08\0and this", 10))});
    CHECK(on.seven.foreign() == 5);
    CHECK(on.cable.a().receive_pool().available() == on.cable.a().receive_pool().size());
}

TEST_CASE("a flood of others' frames lets the loop have its turn, and no frame behind it is forgotten") {
    bench on;
    const std::string foreign = frame(std::string("\x81\0\0\x08\x08\0x", 7));
    for (unsigned i = 0; i < 40; ++i)
        on.send(foreign);
    on.send(frame(std::string("\x81\0\0\x07\x08\0ours", 10)));
    std::array<received_frame, 1> burst;
    on.seven.readable().reset();
    CHECK(on.seven.receive(burst) == 0);
    CHECK(on.seven.readable().is_set()); // ask again
    CHECK(on.seven.receive(burst) == 0);
    CHECK(on.seven.receive(burst) == 1);
    CHECK(on.seven.foreign() == 40);
}

TEST_CASE("the tag takes its room from the packet") {
    bench on;
    CHECK(on.seven.mtu() == on.cable.a().mtu() - 4);
    const std::string headers = frame(std::string("\x08\0", 2)), most(on.seven.mtu(), 'm'), more = most + 'm';
    const std::array<slice, 1> fits{slice::of_static(most)}, does_not{slice::of_static(more)};
    CHECK(on.seven.transmit({.headers = as_octets(headers), .payload = fits}).has_value());
    CHECK(on.seven.transmit({.headers = as_octets(headers), .payload = does_not}).error() == errc::too_large);
    const std::string long_headers(253, 'h');
    CHECK(on.seven.transmit({.headers = as_octets(long_headers)}).error() == errc::too_large);
}

TEST_CASE("a customer's tag goes inside of a provider's") {
    bench on;
    vlan<lower> service{on.cable.a(), {.protocol = wire::ethertype::service_vlan, .id = 100}};
    vlan<vlan<lower>> customer{service, {.id = 7}};
    CHECK(customer.mtu() == 1492);
    const std::string plain = frame(std::string("\x08\0text", 6));
    REQUIRE(customer.transmit({.headers = as_octets(plain)}).has_value());
    const std::string both = frame(std::string("\x88\xa8\0\x64\x81\0\0\x07\x08\0text", 14));
    CHECK(received(on.cable.b()) == std::vector{both});
    on.send(both);
    CHECK(received(customer) == std::vector{plain});
}

TEST_CASE("two stacks talk over a VLAN of devices that offload") {
    memory::simulation sim;
    memory::link<memory::all_offloads> cable{sim.loop(), {}};
    vlan<able> left{cable.a(), {.id = 7}}, right{cable.b(), {.id = 7}};
    using stack = net::stack<vlan<able>, memory::virtual_clock, memory::seeded_random, net::ipv4, net::icmp, net::tcp<>>;
    memory::seeded_random a_random{1}, b_random{2};
    stack a{sim.loop(), left, sim.clock(), a_random, {.network = {.ipv4 = {{10, 0, 0, 1}, 24}}}};
    stack b{sim.loop(), right, sim.clock(), b_random, {.network = {.ipv4 = {{10, 0, 0, 2}, 24}}}};
    nursery tasks{sim.loop()};
    (void)tasks.spawn(a.run());
    (void)tasks.spawn(b.run());
    const std::string text(200'000, 't');
    std::string came;
    (void)tasks.spawn([](stack& s, std::string& all) -> task<> {
        auto listener = s.tcp().listen(7);
        auto stream = co_await listener.accept();
        while (stream) {
            auto data = co_await stream->async_receive();
            if (!data)
                break;
            all += as_text(data->view());
        }
    }(b, came));
    (void)tasks.spawn([](stack& s, const std::string& all) -> task<> {
        auto stream = co_await s.tcp().connect({{10, 0, 0, 2}, 7});
        for (std::size_t done = 0; stream && done < all.size();) {
            const auto n = co_await stream->async_write_some(as_octets(all).subspan(done));
            if (!n)
                co_return;
            done += *n;
        }
        if (stream)
            stream->shutdown_send();
    }(a, text));
    CHECK(sim.run_until([&] { return came.size() == text.size(); }, sim.now() + 60s));
    CHECK(came == text);
    CHECK(left.foreign() + right.foreign() == 0);
}
