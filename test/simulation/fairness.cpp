// SPDX-License-Identifier: MIT
// Two flows of ours share a bottleneck of 100 Mbit/s: with CUBIC neither gets less than 40 of 100, whoever came first, with BBR,
// which gives way once in two seconds at most, 25. On a virtual clock.
#include "contest.hpp"
#include "panic.hpp"

using namespace test;

namespace {

/// The second flow's share of 30 s, in percent. It comes `later` than the first.
template <class Tcp>
bool fair(const char* policy, unsigned least, duration delay, std::size_t queue, duration later) {
    contest<Tcp> c{{.delay = delay, .bits_per_second = 100'000'000, .queue = queue}};
    for (std::size_t flow : {0u, 1u}) {
        c.begin(flow);
        c.pass(later);
    }
    const double together = c.rate_over(30s);
    const unsigned share = static_cast<unsigned>(100 * c.received[1] / (c.received[0] + c.received[1]));
    const bool good = share >= least && share <= 100 - least;
    std::printf("%s%s, %lld ms each way, a queue of %zu frames, %lld ms later: %u of 100, together %.1f Mbit/s\n",
                good ? "" : "FAILED: ", policy, static_cast<long long>(delay / 1ms), queue, static_cast<long long>(later / 1ms),
                share, together);
    return good;
}

} // namespace

int main() {
    // As `tc netem` has it, the queue holds what is delayed, too: a thousand frames.
    bool good = true;
    for (const duration delay : {5ms, 10ms, 25ms, 50ms})
        good &= fair<net::tcp<>>("CUBIC", 40, delay, 1000, 3s);
    for (const duration delay : {25ms, 50ms}) // two slow starts at once; at 5 and 10 ms half a minute is too short to forget who was first
        good &= fair<net::tcp<>>("CUBIC", 40, delay, 1000, 100ms);
    for (const duration delay : {5ms, 10ms, 25ms, 50ms})
        for (const duration later : {100ms, 3000ms})
            good &= fair<net::tcp<net::bbr>>("BBR", 25, delay, 1000, later);
    return good ? 0 : 1;
}
