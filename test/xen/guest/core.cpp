// SPDX-License-Identifier: MIT
//
// What every driver stands on, tried against the real hypervisor: time, event channels, grants, all of the memory.
// Prints a line for what is wrong, and SUCCESS at the end when nothing was.
#include "expect.hpp"
#include "mirage/core/line.hpp"
#include "mirage/platform.hpp"
#include "mirage/runtime/entropy.hpp"
#include "mirage/runtime/heap.hpp"
#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

using namespace mirage;
using namespace mirage::xen;
using namespace said;
using namespace std::chrono_literals;

template <class...>
class core_test {};

MIRAGE_PLATFORM_NOTES(core_test<xen::console>)

namespace {

/// Our own number, which Xen tells in its fifth leaf (arch-x86/cpuid.h).
domid_t own_domain() noexcept {
    for (std::uint32_t base = 0x40000000; base < 0x40010000; base += 0x100)
        if (runtime::cpuid(base).b == XEN_CPUID_SIGNATURE_EBX) {
            const auto leaf = runtime::cpuid(base + 4);
            if ((leaf.a & XEN_HVM_CPUID_DOMID_PRESENT) != 0)
                return static_cast<domid_t>(leaf.c);
        }
    return DOMID_INVALID;
}

void time_goes_on(platform& here) noexcept {
    instant last = here.now();
    for (int i = 0; i < 100'000; ++i) {
        const instant t = here.now();
        expect(t >= last, "time never goes back");
        last = t;
    }
    const auto wall_before = xen::clock::wall();
    const instant before = here.now();
    unsigned wakes = 0; // what happens to the console's channel, too, ends a wait
    for (; here.now() < before + 30ms && wakes < 100; ++wakes)
        (void)here.wait(before + 30ms);
    const auto slept = here.now() - before;
    const auto by_the_wall = xen::clock::wall() - wall_before;
    expect(slept >= 30ms, "a wait without events sleeps");
    expect(by_the_wall >= slept, "the clock on the wall goes on as fast");
    using namespace std::chrono;
    expect(xen::clock::wall() > sys_days{year{2023} / 1 / 1}, "the clock on the wall is set");
    expect(this_machine.system_time_of(here.now()) <= machine::system_now(), "deadlines are in Xen's time");
    const instant past = here.now();
    (void)here.wait(instant::min());
    (void)here.wait(past);
    expect(here.now() - past < 10s, "a wait for what has passed returns");
}

struct channel {
    evtchn_port_t ours = 0, theirs = 0;
};

channel loop_back(platform& here) noexcept {
    const auto ours = here.events().allocate(DOMID_SELF);
    expect(ours.has_value(), "an event channel can be had");
    evtchn_bind_interdomain bind{.remote_dom = DOMID_SELF, .remote_port = *ours, .local_port = 0};
    expect(event_channel_op(EVTCHNOP_bind_interdomain, &bind) == 0, "an event channel can be bound");
    return {*ours, bind.local_port};
}

void events_arrive(platform& here) noexcept {
    auto& events = here.events();
    const channel a = loop_back(here), b = loop_back(here);
    event on_a{here.loop()}, on_b{here.loop()};
    expect(events.attach(a.ours, on_a).has_value() && events.attach(b.ours, on_b).has_value(), "attached");

    events.notify(a.theirs);
    (void)here.wait(never); // would hang the test, were it lost
    expect(on_a.is_set() && !on_b.is_set(), "the event of the channel that was notified, and no other");
    on_a.reset();

    (void)here.wait(here.now() + 5ms);
    expect(!on_a.is_set(), "one notification, one event");

    events.notify(b.theirs);
    events.notify(a.theirs);
    events.notify(a.theirs);
    (void)here.wait(instant::min());
    expect(on_a.is_set() && on_b.is_set(), "a look without waiting sees both");
    on_a.reset();
    on_b.reset();

    const instant before = here.now();
    constexpr unsigned rounds = 2000;
    for (unsigned i = 0; i < rounds; ++i) {
        events.notify(i % 2 == 0 ? a.theirs : b.theirs);
        (void)here.wait(never);
        event& expected = i % 2 == 0 ? on_a : on_b;
        expect(expected.is_set(), "every notification wakes");
        expected.reset();
    }
    say("nanoseconds for a notification and its event: ", (here.now() - before).count() / rounds);

    events.detach(a.ours);
    events.notify(a.theirs);
    (void)here.wait(instant::min());
    expect(!on_a.is_set(), "no event of a channel that is not attached");
    expect(events.attach(a.ours, on_a).has_value(), "attached again");
    (void)here.wait(never);
    expect(on_a.is_set(), "what came before attaching is not lost");

    std::size_t more = 0;
    while (events.attach(a.ours, on_a))
        ++more;
    expect(more == event_channels::max_attached - 2, "as many channels as Xen polls can be attached");
    events.notify(b.theirs);
    (void)here.wait(never);
    expect(on_b.is_set(), "waiting for as many channels works");
    for (std::size_t i = 0; i < more; ++i)
        events.detach(a.ours);

    for (const evtchn_port_t port : {a.theirs, a.ours, b.theirs, b.ours})
        events.close(port);
    expect(events.attached() == 0, "close() detaches");
    const channel again = loop_back(here);
    expect(again.ours == a.theirs || again.ours == a.ours || again.ours == b.theirs || again.ours == b.ours,
           "close() gives the channel back to Xen");
    event quiet{here.loop()};
    expect(events.attach(again.ours, quiet).has_value(), "attached");
    (void)here.wait(instant::min());
    expect(!quiet.is_set(), "a channel that is used again begins without an event");
    events.close(again.theirs);
    events.close(again.ours);
}

struct whole_page {
    alignas(PAGE_SIZE) std::array<char, PAGE_SIZE> octets{};
    void fill(std::string_view text) noexcept { *std::ranges::copy(text, octets.begin()).out = '\0'; }
};

/// Lets Xen copy 64 octets from (or to) a page that we granted ourselves.
std::int16_t copy(grant_ref_t ref, whole_page& mine, domid_t self, bool into_grant) noexcept {
    gnttab_copy c{};
    auto& granted = into_grant ? c.dest : c.source;
    auto& local = into_grant ? c.source : c.dest;
    granted.u.ref = ref;
    granted.domid = self;
    local.u.gmfn = frame_of(&mine);
    local.domid = DOMID_SELF;
    c.len = 64;
    c.flags = into_grant ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    return grant_table_op(GNTTABOP_copy, &c, 1) == 0 ? c.status : std::int16_t{-1};
}

void grants_work(platform& here) noexcept {
    const domid_t self = own_domain();
    auto& grants = here.grants();
    auto* const shared = new whole_page;
    auto* const mine = new whole_page;
    shared->fill("shared");
    mine->fill("mine");

    const std::size_t all = grants.available();
    say("grant references: ", static_cast<std::uint64_t>(all));
    const auto readable = grants.grant(self, shared, access::read_only);
    expect(readable && grants.in_use() == 1, "a page can be granted");
    expect(copy(*readable, *mine, self, true) != GNTST_okay, "what is granted for reading cannot be written");
    expect(copy(*readable, *mine, self, false) == GNTST_okay, "what is granted can be read");
    expect(std::string_view{mine->octets.data()} == "shared", "and it is what is there");
    expect(!grants.mapped(*readable), "not mapped");
    expect(grants.end(*readable), "it can be taken back");
    expect(copy(*readable, *mine, self, false) != GNTST_okay, "what was taken back cannot be read");

    expect(grants.forgotten() == 0, "nothing is forgotten");
    const auto writable = grants.grant(self, shared, access::read_write);
    expect(grants.forgotten() == 1, "what is granted and not mapped would be forgotten");
    mine->fill("written");
    expect(copy(*writable, *mine, self, true) == GNTST_okay && std::string_view{shared->octets.data()} == "written",
           "what is granted for writing can be written");
    expect(grants.end(*writable), "it can be taken back");

    auto* const refs = new grant_ref_t[all];
    std::size_t given = 0;
    while (const auto ref = given < all ? grants.grant(self, shared, access::read_only)
                                        : result<grant_ref_t>{std::unexpected(errc::no_buffers)})
        refs[given++] = *ref;
    say("references given: ", static_cast<std::uint64_t>(given));
    expect(given == all && grants.in_use() == given, "all references can be had");
    expect(!grants.grant(self, shared, access::read_only), "and no more");
    const std::size_t last = given - 1;
    expect(refs[last] != refs[0] && copy(refs[last], *mine, self, false) == GNTST_okay, "the last one is good");
    for (std::size_t i = 0; i < given; ++i)
        expect(grants.end(refs[i]), "every reference comes back");
    expect(grants.in_use() == 0, "none is left");
    const auto recycled = grants.grant(self, shared, access::read_only);
    expect(recycled && copy(*recycled, *mine, self, false) == GNTST_okay, "and can be had again");
    expect(recycled && grants.end(*recycled), "the last end()");
    delete[] refs;
    delete shared;
    delete mine;
}

void what_is_mapped_is_kept(platform& here) noexcept {
    const domid_t self = own_domain();
    auto& grants = here.grants();
    // Xen moves a page that its own domain maps, so it and the one in whose place it is mapped are lost here.
    auto* const moved = new whole_page;
    moved->fill("moved");
    const auto writable = grants.grant(self, moved, access::read_write);
    auto* const window = new whole_page;
    gnttab_map_grant_ref map{};
    map.host_addr = address_of(window);
    map.flags = GNTMAP_host_map;
    map.ref = *writable;
    map.dom = self;
    const bool mapped = grant_table_op(GNTTABOP_map_grant_ref, &map, 1) == 0 && map.status == GNTST_okay;
    expect(mapped, "a domain can map what it granted itself");
    if (mapped) {
        expect(grants.mapped(*writable) && grants.forgotten() == 0, "a mapped grant is known to be");
        expect(std::string_view{window->octets.data()} == "moved", "the mapping shows the page");
        expect(!grants.end(*writable) && grants.in_use() == 1, "what is mapped cannot be taken back");
        gnttab_unmap_grant_ref unmap{};
        unmap.host_addr = map.host_addr;
        unmap.handle = map.handle;
        expect(grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1) == 0 && unmap.status == GNTST_okay, "unmapped");
    }
    expect(grants.end(*writable), "it can be taken back when it is mapped no more");
}

/// Takes all memory there is, writes to every page, and reads it again.
void memory_is_there() noexcept {
    struct chunk {
        chunk* next;
    };
    constexpr std::size_t size = 64 * 1024;
    say("heap octets: ", static_cast<std::uint64_t>(runtime::memory.capacity()));
    const std::size_t left = runtime::memory.capacity() - runtime::memory.used();
    chunk* list = nullptr;
    std::uint64_t count = 0;
    while (void* const p = ::operator new(size, std::nothrow)) {
        list = new (p) chunk{list};
        for (std::size_t at = 64; at < size; at += PAGE_SIZE)
            *reinterpret_cast<std::uint64_t*>(static_cast<char*>(p) + at) = address_of(p) + at;
        ++count;
    }
    expect(count * size + left / 16 + 4 * size > left, "nearly all of the heap can be had");
    while (list != nullptr) {
        for (std::size_t at = 64; at < size; at += PAGE_SIZE)
            expect(*reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(list) + at) == address_of(list) + at,
                   "what was written is there");
        ::operator delete(std::exchange(list, list->next));
    }
    say("pieces of 64 KiB: ", count);
}

} // namespace

int mirage_application(platform& here) noexcept {
    time_goes_on(here);
    events_arrive(here);
    grants_work(here);
    what_is_mapped_is_kept(here);
    memory_is_there();
    std::array<std::byte, 32> octets{}, others{};
    xen::random random{here};
    (void)random.open();
    random.fill(octets);
    random.fill(others);
    expect(octets != others, "random octets differ");
    say(all_good ? "SUCCESS" : "FAILURE");
    // Forgotten on purpose: the last line is the platform's.
    (void)here.grants().grant(0, new whole_page, access::read_only);
    return all_good ? 0 : 1;
}
