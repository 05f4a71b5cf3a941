// SPDX-License-Identifier: MIT
//
// Suspends itself when the toolstack may have asked for it, and tries what drivers stand on afterwards: time, the
// console, event channels, grants, hooks. Knows nothing of the store: it waits for two seconds each time, twice.
// The test in dom0 asks, and acknowledges in its place.
#include "expect.hpp"
#include "mirage/platform.hpp"
#include <string_view>

using namespace mirage;
using namespace mirage::xen;
using namespace said;
using namespace std::chrono_literals;

template <class...>
class suspends {};

MIRAGE_PLATFORM_NOTES(suspends<xen::console>)

namespace {

struct resume_counter : resume_hook {
    unsigned calls = 0;
    resume_counter() noexcept : resume_hook{[](resume_hook& self) noexcept { ++static_cast<resume_counter&>(self).calls; }} {}
};

void sleep(platform& here, duration time) noexcept {
    for (const instant until = here.now() + time; here.now() < until;)
        (void)here.wait(until);
}

/// One channel to ourselves, notified and waited for; and one grant.
void try_everything(platform& here, void* page) noexcept {
    const auto ours = here.events().allocate(DOMID_SELF);
    expect(ours.has_value(), "an event channel can be had");
    evtchn_bind_interdomain bind{.remote_dom = DOMID_SELF, .remote_port = *ours, .local_port = 0};
    expect(event_channel_op(EVTCHNOP_bind_interdomain, &bind) == 0, "and bound");
    event arrived{here.loop()};
    expect(here.events().attach(*ours, arrived).has_value(), "and attached");
    here.events().notify(bind.local_port);
    const instant limit = here.now() + 10s;
    while (!arrived.is_set() && here.now() < limit)
        (void)here.wait(limit);
    expect(arrived.is_set(), "and waited for");
    const auto ref = here.grants().grant(0, page, access::read_only);
    expect(ref && here.grants().end(*ref), "a page can be granted and taken back");
}

} // namespace

int mirage_application(platform& here) noexcept {
    resume_counter hook;
    here.on_resume(hook);
    void* const page = ::operator new(PAGE_SIZE, std::align_val_t{PAGE_SIZE});
    unsigned elsewhere = 0;
    for (unsigned round = 0; round < 2; ++round) {
        try_everything(here, page);
        const std::size_t references = here.grants().available();
        const auto held = here.grants().grant(0, page, access::read_write); // a device's, as it were
        say("round ", round, ": ready");
        sleep(here, 2s);
        const instant before = here.now();
        const auto wall_before = clock::wall();
        const bool moved = here.suspend();
        const auto away = here.now() - before, by_the_wall = clock::wall() - wall_before;
        say("round ", round, moved ? ": goes on elsewhere" : ": goes on here", ", ms ", away.count() / 1'000'000);
        expect(away >= 0s && away < 600s, "time goes on");
        expect(away - by_the_wall < 50ms && by_the_wall - away < 50ms, "and as much as by the clock on the wall");
        elsewhere += moved;
        expect(hook.calls == elsewhere, "hooks are called after each resume elsewhere, and only then");
        if (moved)
            expect(here.events().attached() == 0 && here.grants().in_use() == 0, "nothing is left of before");
        else
            expect(held && here.grants().end(*held), "what was granted still is");
        expect(here.grants().available() == references, "all references are there");
        const instant t = here.now();
        sleep(here, 20ms);
        expect(here.now() - t >= 20ms, "a sleep sleeps");
        try_everything(here, page);
    }
    say(all_good ? "SUCCESS" : "FAILURE");
    return all_good ? 0 : 1;
}
