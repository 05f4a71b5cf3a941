// SPDX-License-Identifier: MIT
// Payload is not copied between the device and the application: on receive the application's slices lie in the pages
// that the device wrote; on send the device is handed the application's own memory, and copies it once, into the
// frame. Counted through a whole TCP/IP stack, over links with and without offloads.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t port = 7;

template <class Device>
using stack_over = net::stack<Device, memory::virtual_clock, memory::seeded_random, net::ipv4, net::tcp<>>;

struct reception {
    std::string text;
    std::size_t slices = 0, elsewhere = 0;
    bool ended = false;
};

/// Takes everything, holding up to `kept` slices at a time, and looks where it lies.
template <class Stack>
task<> receives(Stack& stack, const buffer_pool& pool, std::size_t kept, reception& got) {
    auto listener = stack.tcp().listen(port);
    auto stream = co_await listener.accept();
    REQUIRE(stream.has_value());
    std::vector<slice> held;
    for (;;) {
        auto data = co_await stream->async_receive();
        if (!data) {
            CHECK(data.error() == errc::eof);
            break;
        }
        ++got.slices;
        const buffer* const owner = data->owner();
        const bool inside = owner != nullptr && owner->pool == &pool && data->data() >= owner->data
                            && data->data() + data->size() <= owner->data + owner->capacity;
        got.elsewhere += inside ? 0 : data->size();
        got.text += as_text(data->view());
        held.push_back(std::move(*data));
        if (held.size() > kept)
            held.clear();
    }
    got.ended = true;
}

template <class Stack>
task<> sends(Stack& stack, ipv4_address to, std::string_view text, std::size_t piece) {
    auto stream = co_await stack.tcp().connect({to, port});
    REQUIRE(stream.has_value());
    while (!text.empty()) {
        slice next = slice::of_static(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
        const auto sent = co_await stream->async_send(next);
        REQUIRE(sent.has_value());
    }
    stream->shutdown_send();
    (void)co_await stream->async_receive();
}

template <offload Sender, offload Receiver>
struct scenario {
    static constexpr offload sender = Sender, receiver = Receiver;
};
using plain = scenario<offload{}, offload{}>;
using offloading = scenario<memory::all_offloads, memory::all_offloads>;
using one_sided = scenario<memory::all_offloads, offload{}>;
using other_sided = scenario<offload{}, memory::all_offloads>;

std::string pattern(std::size_t n) {
    std::string s(n, '\0');
    memory::seeded_random random{n};
    random.fill(std::as_writable_bytes(std::span{s}));
    return s;
}

} // namespace

/// Sends a megabyte over a link with these offloads, and counts.
template <class S>
void transfer(std::size_t piece, const memory::impairment* rules = nullptr) {
    const std::string text = pattern(1'000'000);
    memory::simulation world;
    memory::link<S::sender, S::receiver> cable{world.loop()};
    if (rules != nullptr)
        cable.impair(*rules);
    memory::seeded_random luck_a{1}, luck_b{2};
    const ipv4_address a{10, 0, 0, 1}, b{10, 0, 0, 2};
    stack_over<memory::netif<S::sender>> left{
        world.loop(), cable.a(), world.clock(), luck_a, {.network = {.ipv4 = {a, 24}}}};
    stack_over<memory::netif<S::receiver>> right{
        world.loop(), cable.b(), world.clock(), luck_b, {.network = {.ipv4 = {b, 24}}}};
    cable.a().watch(as_octets(text));
    reception got;
    {
        nursery tasks{world.loop()};
        REQUIRE(tasks.spawn(left.run()).has_value());
        REQUIRE(tasks.spawn(right.run()).has_value());
        REQUIRE(tasks.spawn(receives(right, cable.b().receive_pool(), 8, got)).has_value());
        REQUIRE(tasks.spawn(sends(left, b, text, piece)).has_value());
        CHECK(world.run_until([&] { return got.ended; }, 300s));
    }
    CHECK(got.text.size() == text.size());
    CHECK((got.text == text));
    CHECK(got.slices > 0);
    CHECK(got.elsewhere == 0); // received: no copy
    const auto& sent = cable.a().counters();
    CHECK(sent.payload_referred >= text.size());
    CHECK(sent.payload_watched == sent.payload_referred); // no copy before the device
    CHECK(sent.payload_copied == sent.payload_referred);  // one in it: it cannot gather on the wire
}

TEST_CASE_TEMPLATE("payload stays where the device put it, and is sent from where the application has it", S, plain,
                   offloading, one_sided, other_sided) {
    for (const std::size_t piece : {700u, 1460u, 50'000u, 1'000'000u}) {
        INFO("pieces of " << piece << " octets");
        transfer<S>(piece);
    }
}

TEST_CASE_TEMPLATE("lost, doubled and overtaken segments are not copied either", S, plain, offloading) {
    constexpr auto percent = memory::impairment::percent;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        INFO("seed " << seed);
        const memory::impairment rules{.delay = 1ms, .loss = percent, .duplicate = percent, .reorder = 5 * percent,
                                       .seed = seed};
        transfer<S>(50'000, &rules);
    }
}
