// SPDX-License-Identifier: MIT
//
// Tries the store against the real xenstored: every operation, errors, messages longer than the ring, requests side by
// side, transactions, watches. Then it answers what dom0 writes to data/ping in data/pong, wherever it is moved, until it
// is asked to end. Says READY, a line for each thing that is wrong, and SUCCESS as its last words when nothing was.
#include "expect.hpp"
#include "mirage/core/line.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/platform.hpp"
#include <algorithm>
#include <array>
#include <string_view>

using namespace mirage;
using namespace mirage::xen;
using namespace said;
using namespace std::chrono_literals;

template <class...>
class store_test {};

MIRAGE_PLATFORM_NOTES(store_test<xen::console>)

namespace {

template <class T>
bool is(const result<T>& r, errc e) noexcept {
    return !r && r.error() == e;
}

task<> operations(xenstore& store) {
    const auto name = co_await store.read("name");
    expect(name.has_value() && !name->view().empty(), "the domain has a name");
    say("name: ", name ? name->view() : std::string_view{message(name.error())});
    const auto id = co_await store.read("domid");
    expect(id && id->number().has_value(), "and a number");

    expect((co_await store.write("data/a/b", "value")).has_value(), "a value can be written");
    const auto read = co_await store.read({"data/a", "b"});
    expect(read && read->view() == "value", "and read");
    expect((co_await store.mkdir("data/a/folder")).has_value(), "a folder can be made");
    const auto names = co_await store.directory("data/a");
    bool all = names.has_value();
    std::size_t count = 0;
    if (names)
        for (const std::string_view n : *names) {
            all = all && (n == "b" || n == "folder");
            ++count;
        }
    expect(all && count == 2, "a folder can be listed");
    const auto none = co_await store.directory("data/a/folder");
    expect(none && none->empty(), "an empty one, too");
    expect((co_await store.remove("data/a")).has_value(), "nodes can be removed");
    expect(is(co_await store.read("data/a/b"), errc::not_found), "and what is below them");
    expect(is(co_await store.write("/local/domain/0/name", "x"), errc::refused), "others' nodes are refused");
    expect(is(co_await store.read("data/not allowed"), errc::invalid_argument), "what is no path is refused");
}

task<> long_messages(xenstore& store) {
    static std::array<char, 2000> text;
    for (std::size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>('a' + i * 7 % 26);
    for (const std::size_t size : {900u, 1003u, 1500u, 2000u}) {
        const std::string_view value{text.data(), size};
        expect((co_await store.write("data/long", value)).has_value(), "a long value can be written");
        const auto read = co_await store.read("data/long");
        expect(read && read->view() == value, "and read");
    }
    (void)co_await store.remove("data/long");
}

task<> one_of_many(xenstore& store, unsigned number) {
    line<32> path;
    path << "data/many/" << number;
    line<8> value;
    value << number * number;
    expect((co_await store.write(path.view(), value.view())).has_value(), "many can be written");
    const auto read = co_await store.read(path.view());
    expect(read && read->view() == value.view(), "many can be read");
}

task<> side_by_side(xenstore& store) {
    nursery tasks{store.loop()};
    for (unsigned i = 0; i < 100; ++i)
        expect(tasks.spawn(one_of_many(store, i)).has_value(), "a task can be started");
    co_await tasks.wait_all();
    (void)co_await store.remove("data/many");
}

/// Adds one to a number; others do, too.
task<result<>> count_up(xenstore& store) {
    co_return co_await store.transact([](store_transaction& t) -> task<result<>> {
        const auto old = co_await t.read("data/count");
        line<20> next;
        next << (old ? old->number().value_or(0) : 0) + 1;
        co_return co_await t.write("data/count", next.view());
    });
}

task<> counting(xenstore& store, unsigned times) {
    for (unsigned i = 0; i < times; ++i)
        expect((co_await count_up(store)).has_value(), "a transaction is done at last");
}

task<> transactions(xenstore& store) {
    nursery tasks{store.loop()};
    for (unsigned i = 0; i < 4; ++i)
        expect(tasks.spawn(counting(store, 10)).has_value(), "a task can be started");
    co_await tasks.wait_all();
    const auto count = co_await store.read("data/count");
    expect(count && count->view() == "40", "no transaction undoes another");
    const auto undone = co_await store.transact([](store_transaction& t) -> task<result<>> {
        (void)co_await t.write("data/count", "0");
        co_return std::unexpected(errc::cancelled);
    });
    expect(is(undone, errc::cancelled), "an error ends a transaction");
    const auto after = co_await store.read("data/count");
    expect(after && after->view() == "40", "and undoes it");
    for (unsigned i = 0; i < 40; ++i) { // more than xenstored lets a domain have
        auto left = count_up(store);
        left.start([](void*) noexcept {}, nullptr);
        co_await store.loop().sleep_for(duration{i * 100'000});
    }
    expect((co_await count_up(store)).has_value(), "transactions that are given up do not stay");
    (void)co_await store.remove("data/count");
}

task<> answer_pings(xenstore& store) {
    event changed{store.loop()};
    (void)co_await store.write("data/ping", "");
    store_watch watch;
    expect((co_await store.watch(watch, "data/ping", changed)).has_value(), "a node can be watched");
    for (unsigned i = 0; i < 200; ++i) { // more than xenstored lets a domain have
        event other{store.loop()};
        store_watch w;
        expect((co_await store.watch(w, "data/ping", other)).has_value(), "watches that end do not stay");
    }
    for (say("READY");;) {
        co_await changed.wait();
        const auto ping = co_await store.read("data/ping");
        if (ping && !ping->view().empty())
            expect((co_await store.write("data/pong", ping->view())).has_value(), "an answer can be written");
    }
}

task<int> everything(platform& here, os::stop_signal& stop) {
    xenstore& store = here.store();
    co_await operations(store);
    co_await long_messages(store);
    co_await side_by_side(store);
    co_await transactions(store);
    nursery tasks{here.loop()};
    (void)tasks.spawn(answer_pings(store));
    co_await stop.wait();
    say("asked to end");
    say(all_good ? "SUCCESS" : "FAILURE");
    co_return all_good ? 0 : 1;
}

} // namespace

int mirage_application(platform& here) noexcept {
    os::stop_signal stop{here.loop()};
    here.obey_toolstack(stop);
    auto work = everything(here, stop);
    return here.block_on(work, never) ? work.take() : 1;
}
