// SPDX-License-Identifier: MIT
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/net/sntp_client.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

/// A message is the same after it was read and written; and as an answer it is judged without harm.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const octets message = fuzz::input(data, size);
    const auto view = ntp_view::parse(message);
    if (!view)
        return 0;
    const auto near = [](ntp_time t) {
        const auto again = ntp_time::of(t.wall()).value - t.value;
        fuzz::expect(again + 5 <= 10, "a point of time comes back"); // 2^-32 s is less than a nanosecond
    };
    for (const auto t : {view->reference(), view->origin(), view->receive(), view->transmit()})
        near(t);
    fuzz::expect(view->version() == 3 || view->version() == 4, "the version");

    memory::seeded_random random{size};
    net::sntp_exchange exchange;
    const instant now{std::chrono::seconds{100}};
    const auto asked = exchange.request(now, random);
    std::array<std::byte, ntp_packet::size> room{};
    std::ranges::copy(message.first(room.size()), room.begin());
    (void)exchange.reply(*view, now, wall_time{});
    ntp_at::origin::store(room.data(), asked.transmit.value); // a forger who sees the question
    const auto sample =
        exchange.reply(*ntp_view::parse(room), now + std::chrono::milliseconds{size}, view->transmit().wall());
    if (sample.verdict == net::sntp_verdict::good) {
        fuzz::expect(sample.delay >= duration{} && sample.delay <= net::sntp_exchange::most_delay, "the delay");
        fuzz::expect(sample.offset >= duration{} && sample.offset <= net::sntp_exchange::most_delay, "the offset");
    }
    return 0;
}
