// SPDX-License-Identifier: MIT
// What congestion controls are for: a path of 100 Mbit/s is filled, its queue kept short by those that say so, and random
// losses do not stop those that say so. On a virtual clock. draft-cardwell-iccrg-bbr-congestion-control-02
#include "contest.hpp"
#include "panic.hpp"

using namespace test;

namespace {

bool expect(bool good, const char* what) {
    if (!good)
        std::printf("FAILED: %s\n", what);
    return good;
}

struct seen {
    double rate; ///< Mbit/s
    duration srtt;
};

template <class Tcp>
seen measure(const char* policy, const memory::impairment& cable) {
    contest<Tcp> c{cable};
    c.begin(0);
    c.pass(5s);
    const double rate = c.rate_over(20s);
    const auto& info = c.sender[0];
    std::printf("%s, %lld ms each way, a queue of %zu frames, %u lost of a million: %.1f Mbit/s, srtt %.1f ms, cwnd %u, "
                "%u retransmits, %u timeouts\n",
                policy, static_cast<long long>(cable.delay / 1ms), cable.queue, cable.loss, rate, static_cast<double>(info.srtt.count()) / 1e6, info.cwnd,
                info.retransmits, info.timeouts);
    return {rate, info.srtt};
}

using model = net::tcp<net::bbr>;
using loss_based = net::tcp<>;

} // namespace

int main() {
    bool good = true;
    for (const duration delay : {1ms, 5ms, 25ms}) {
        const memory::impairment clean{.delay = delay, .bits_per_second = 100'000'000, .queue = 2000};
        const auto bbr = measure<model>("BBR", clean);
        good &= expect(bbr.rate >= 85, "BBR fills a clean path");
        // Beside what each end holds back for the sake of bursts: three of a millisecond.
        good &= expect(bbr.srtt <= 2 * delay * 3 / 2 + 3ms, "BBR keeps the queue below half a round trip");
        const auto cubic = measure<loss_based>("CUBIC", clean);
        good &= expect(cubic.rate >= 90, "CUBIC fills a clean path");
    }
    for (const std::uint32_t loss : {memory::impairment::percent / 10, memory::impairment::percent}) {
        const memory::impairment lossy{.delay = 10ms, .loss = loss, .bits_per_second = 100'000'000, .queue = 2000};
        const auto bbr = measure<model>("BBR", lossy);
        const auto cubic = measure<loss_based>("CUBIC", lossy);
        // On a shorter path, lest the receive window be the limit: a lost segment holds two round trips' worth in it.
        good &= expect(bbr.rate >= 70, "a per cent that is lost at random does not stop BBR");
        good &= expect(bbr.rate > 2 * cubic.rate, "as it stops CUBIC");
    }
    const auto shallow = measure<model>("BBR", {.delay = 25ms, .bits_per_second = 100'000'000, .queue = 430});
    good &= expect(shallow.rate >= 70, "BBR fills a path with a queue of little more than what is under way");
    return good ? 0 : 1;
}
