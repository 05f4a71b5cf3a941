// SPDX-License-Identifier: MIT
#include "blkback.hpp"
#include "contract/block.hpp"
#include "mirage/xen/blkfront.hpp"
#include <doctest/doctest.h>
#include <memory>

using namespace mirage;
using namespace mirage::xen;
using namespace mirage::xen::test;
using namespace std::chrono_literals;

namespace {

using disk_front = blkfront<block_domain>;
static_assert(discarding_block<disk_front>);

/// Memory that begins at a page.
struct page_memory {
    struct page {
        alignas(4096) std::byte octets[4096];
    };
    std::vector<page> pages;
    explicit page_memory(std::size_t count, unsigned char fill = 0) : pages(count) {
        std::memset(pages.data(), fill, count * 4096);
    }
    mutable_octets all() { return {pages[0].octets, pages.size() * 4096}; }
};

struct bed {
    block_domain home;
    blkback back;
    disk_front disk;
    explicit bed(disk_features f = {}, blkfront_sizes sizes = {})
        : back{home, f}, disk{home, sizes} {
        back.bus.attach();
        running connecting{home, disk.connect(0)};
        home.pass(1s);
        REQUIRE(connecting.done());
        REQUIRE(connecting.take().has_value());
        REQUIRE(back.connected());
    }
};

/// An operation under way, and what it gave.
template <class Begin>
struct under_way {
    std::optional<block_result> out;
    nursery tasks;
    Begin begin;
    under_way(block_domain& home, Begin b) : tasks{home.loop()}, begin{b} {
        REQUIRE(tasks.spawn(contract::block_detail::keep(begin, out)));
        (void)home.settle();
    }
};

block_result run(block_domain& home, auto begin) {
    under_way op{home, begin};
    for (int i = 0; i < 100 && !op.out; ++i)
        home.pass(100ms);
    REQUIRE(op.out.has_value());
    return *op.out;
}

constexpr disk_features plain{};
constexpr disk_features keeping{.ring_order = 4, .indirect = 256, .persistent = true};
constexpr disk_features indirect{.ring_order = 2, .indirect = 256};
constexpr disk_features large_sectors{.sector_size = 4096, .ring_order = 1, .indirect = 20, .barrier = true};
constexpr disk_features fixed{.read_only = true};
constexpr blkfront_sizes tight{.ring_pages = 1, .data_pages = 11, .indirect_pages = 0};

template <const disk_features& Features, bool Tight = false, bool Reverse = false>
struct harness : bed {
    harness() : bed{Features, Tight ? tight : blkfront_sizes{}} { back.reverse = Reverse; }
    ~harness() { CHECK(back.wrong == 0); }
    auto& device() { return disk; }
    scheduler& loop() { return home.loop(); }
    void turn() {
        if (!home.turn())
            home.pass(1ms);
    }
    void fail(std::uint64_t sector) {
        const std::uint64_t units = Features.sector_size / 512;
        back.bad.insert(sector * units + units / 2);
    }
};
using plain_disk = harness<plain, false, true>;
using tight_disk = harness<plain, true>;
using keeping_disk = harness<keeping>;
using granting_disk = harness<indirect, false, true>;
using large_sector_disk = harness<large_sectors>;
using fixed_disk = harness<fixed>;

} // namespace

TEST_CASE_TEMPLATE("block contract over blkfront", H, plain_disk, tight_disk, keeping_disk, granting_disk,
                   large_sector_disk, fixed_disk) {
    contract::block_contract<H>();
}

TEST_CASE("whole pages of the caller's are granted for as long as a request takes; nothing is copied") {
    bed b{indirect};
    page_memory data{16, 0x5a}, back{16};
    b.back.held = true;
    under_way write{b.home, [&] { return b.disk.write(8, data.all()); }};
    CHECK(b.home.book.shows(data.pages[0].octets));
    b.back.held = false;
    b.home.pass(1ms);
    REQUIRE(write.out.has_value());
    CHECK(write.out->has_value());
    CHECK_FALSE(b.home.book.shows(data.pages[0].octets));
    CHECK(run(b.home, [&] { return b.disk.read(8, back.all()); }).has_value());
    CHECK(std::ranges::equal(back.all(), data.all()));
    CHECK(b.disk.path().copied() == 0);
    CHECK(b.disk.path().granted() == 2 * 16 * 4096);
    CHECK(b.disk.path().requests() == 2);
    CHECK(b.disk.path().indirect_requests() == 2);
}

TEST_CASE("what lies beside a transfer in memory is never shown") {
    for (const disk_features& f : {plain, indirect, keeping}) {
        bed b{f};
        page_memory data{4, 0x5a};
        b.back.held = true;
        under_way write{b.home, [&] { return b.disk.write(0, data.all().subspan(512, 2 * 4096)); }};
        under_way read{b.home, [&] { return b.disk.read(100, data.all().subspan(3 * 4096, 512)); }};
        CHECK(b.back.waiting() == 2);
        for (const auto& page : data.pages)
            CHECK_FALSE(b.home.book.shows(page.octets));
        b.back.held = false;
        b.home.pass(1ms);
        CHECK(write.out->has_value());
        CHECK(read.out->has_value());
        CHECK(b.back.wrong == 0);
    }
}

TEST_CASE("a backend that keeps pages mapped sees the same ones again") {
    bed b{keeping};
    page_memory data{32, 1};
    for (int i = 0; i < 20; ++i)
        CHECK(run(b.home, [&] { return b.disk.write(0, data.all()); }).has_value());
    const auto granted = b.home.book.granted;
    for (int i = 0; i < 20; ++i)
        CHECK(run(b.home, [&] { return b.disk.read(0, data.all()); }).has_value());
    CHECK(b.home.book.granted == granted);
    CHECK(b.disk.path().granted() == 0);
}

TEST_CASE("more than 32 requests are under way where the backend has room for them") {
    bed b{indirect};
    CHECK(b.disk.queue_depth() == 128);
    CHECK(b.back.entries() == 128);
    b.back.held = true;
    std::vector<page_memory> data(200, page_memory{1, 7});
    std::vector<std::optional<block_result>> done(data.size());
    nursery tasks{b.home.loop()};
    for (std::size_t i = 0; i < data.size(); ++i)
        REQUIRE(tasks.spawn(contract::block_detail::keep([&, i] { return b.disk.write(8 * i, data[i].all()); }, done[i])));
    (void)b.home.settle();
    CHECK(b.disk.path().outstanding() == 128);
    b.back.held = false;
    b.home.pass(1ms);
    CHECK(tasks.empty());
    for (const auto& d : done)
        CHECK((d && *d));
    bed old{plain};
    CHECK(old.disk.queue_depth() == 32);
}

TEST_CASE("a transfer is cut into requests of 11 pages, or of as many as the backend takes") {
    page_memory data{64};
    bed direct{plain}, large{indirect}, few{disk_features{.indirect = 20}};
    for (bed* b : {&direct, &large, &few})
        CHECK(run(b->home, [&] { return b->disk.write(0, data.all()); }).has_value());
    CHECK(direct.disk.path().requests() == 6);
    CHECK(large.disk.path().requests() == 2);
    CHECK(few.disk.path().requests() == 4);
    CHECK(few.back.wrong == 0);
}

TEST_CASE("a backend that starts again gets what the one before had not answered") {
    for (const disk_features& f : {plain, indirect, keeping}) {
        bed b{f};
        const auto in_use = b.home.book.in_use();
        page_memory data{40, 0x33}, one{1, 0x44};
        b.back.held = true;
        under_way large{b.home, [&] { return b.disk.write(0, data.all()); }};
        under_way small{b.home, [&] { return b.disk.write(1000, one.all()); }};
        under_way flush{b.home, [&] { return b.disk.flush(); }};
        CHECK(b.back.waiting() >= 3);
        b.back.bus.restart();
        b.back.held = false;
        b.home.pass(5s);
        REQUIRE(large.out.has_value());
        CHECK(large.out->has_value());
        CHECK((small.out && *small.out));
        CHECK((flush.out && *flush.out));
        CHECK(std::ranges::equal(data.all(), octets{b.back.content}.first(40 * 4096)));
        CHECK(b.back.content[1000 * 512] == std::byte{0x44});
        CHECK(b.back.bus.connections == 2);
        CHECK(b.home.book.in_use() == in_use);
        CHECK(b.home.channels.open() == 2);
        CHECK(b.back.wrong == 0);
    }
}

TEST_CASE("a domain that goes on elsewhere loses nothing") {
    for (const disk_features& f : {plain, indirect, keeping}) {
        bed b{f};
        page_memory data{40, 0x66}, in{40};
        b.back.held = true;
        under_way write{b.home, [&] { return b.disk.write(0, data.all()); }};
        b.home.move([&] {
            b.back.disconnect();
            b.back.bus.attach();
        });
        b.back.held = false;
        b.home.pass(5s);
        REQUIRE(write.out.has_value());
        CHECK(write.out->has_value());
        CHECK(run(b.home, [&] { return b.disk.read(0, in.all()); }).has_value());
        CHECK(std::ranges::equal(in.all(), data.all()));
    }
}

TEST_CASE("a disk that is taken away fails what is asked of it, until it is there again") {
    bed b{indirect};
    page_memory data{4, 1};
    b.back.held = true;
    under_way write{b.home, [&] { return b.disk.write(16, data.all()); }};
    b.back.bus.detach();
    b.home.pass(5s);
    REQUIRE(write.out.has_value());
    CHECK(write.out->error() == block_error{errc::closed, 16});
    CHECK(run(b.home, [&] { return b.disk.read(3, data.all()); }).error() == block_error{errc::closed, 3});
    CHECK_FALSE(b.home.daemon.has(b.back.bus.front("state")));
    CHECK(b.home.book.in_use() == 0);
    b.back.held = false;
    b.back.bus.attach();
    b.home.pass(5s);
    CHECK(run(b.home, [&] { return b.disk.write(16, data.all()); }).has_value());
}

TEST_CASE("flush: as the backend can") {
    bed cache{plain}, barrier{disk_features{.flush = false, .barrier = true}}, none{disk_features{.flush = false}};
    for (bed* b : {&cache, &barrier, &none})
        CHECK(run(b->home, [&] { return b->disk.flush(); }).has_value());
    REQUIRE(cache.back.seen.size() == 1);
    CHECK(cache.back.seen[0].operation == BLKIF_OP_FLUSH_DISKCACHE);
    REQUIRE(barrier.back.seen.size() == 1);
    CHECK(barrier.back.seen[0].operation == BLKIF_OP_WRITE_BARRIER);
    CHECK(none.back.seen.empty());
    cache.back.refuses_flush = true;
    CHECK(run(cache.home, [&] { return cache.disk.flush(); }).error().code == errc::unsupported);
}

TEST_CASE("discard: in the backend's units, where it can") {
    bed b{disk_features{.sector_size = 4096}}, none{disk_features{.discard = false}};
    CHECK(run(b.home, [&] { return b.disk.discard(3, 5); }).has_value());
    REQUIRE(b.back.seen.size() == 1);
    CHECK(b.back.seen[0].sector == 24);
    CHECK(b.back.seen[0].count == 40);
    CHECK(run(none.home, [&] { return none.disk.discard(3, 5); }).error() == block_error{errc::unsupported, 3});
}

TEST_CASE("a disk may be made larger while it is in use") {
    bed b;
    CHECK(b.disk.sectors() == 2048);
    b.back.set("sectors", 4096);
    b.home.pass(1s);
    CHECK(b.disk.sectors() == 4096);
}

TEST_CASE("a disk that cannot be: an error, never a crash") {
    const auto connect = [](std::string_view key, std::string_view value) {
        block_domain home;
        blkback back{home};
        disk_front disk{home, {}};
        back.bus.attach();
        home.daemon.set(back.bus.back(key), std::string{value});
        running connecting{home, disk.connect(0)};
        home.pass(1s);
        REQUIRE(connecting.done());
        return connecting.take();
    };
    CHECK(connect("sectors", "4096").has_value());
    CHECK(connect("sectors", "0").error() == errc::unsupported);
    CHECK(connect("sectors", "many").error() == errc::unsupported);
    CHECK(connect("sectors", "18446744073709551615").error() == errc::unsupported);
    CHECK(connect("sector-size", "1000").error() == errc::unsupported);
    CHECK(connect("sector-size", "0").error() == errc::unsupported);
    CHECK(connect("sector-size", "65536").error() == errc::unsupported);
    CHECK(connect("max-ring-page-order", "18446744073709551615").has_value());
    CHECK(connect("feature-max-indirect-segments", "18446744073709551615").has_value());
    block_domain home;
    disk_front disk{home, {}};
    running connecting{home, disk.connect(0)};
    REQUIRE(connecting.done());
    CHECK(connecting.take().error() == errc::not_found);
}

TEST_CASE("a backend that breaks the protocol is not believed any more, and the next one is") {
    const std::function<void(blkback&)> breaches[] = {
        [](blkback& b) { b.answer(77, BLKIF_RSP_OKAY); },            // nobody has asked that
        [](blkback& b) { b.answer(~std::uint64_t{0}, BLKIF_RSP_OKAY); },
        [](blkback& b) { b.claim(1000); },                           // more answers than questions
        [](blkback& b) { b.claim(static_cast<std::uint32_t>(-1)); }, // fewer than before
    };
    for (const auto& breach : breaches) {
        bed b{indirect};
        page_memory data{8, 0x11};
        CHECK(run(b.home, [&] { return b.disk.write(0, data.all()); }).has_value());
        b.back.held = true;
        under_way write{b.home, [&] { return b.disk.write(64, data.all()); }};
        breach(b.back);
        b.home.pass(10ms);
        CHECK_FALSE(write.out.has_value());
        b.back.held = false;
        b.home.pass(5s);
        CHECK(b.back.bus.connections == 2);
        REQUIRE(write.out.has_value());
        CHECK(write.out->has_value());
        CHECK(b.back.content[64 * 512] == std::byte{0x11});
    }
}

TEST_CASE("an operation does not end before the backend has let go of its memory") {
    bed b{indirect};
    page_memory data{2, 0x11};
    b.back.forgets_to_unmap = true;
    under_way read{b.home, [&] { return b.disk.read(0, data.all()); }};
    b.home.pass(10ms);
    CHECK_FALSE(read.out.has_value());
    b.back.forgets_to_unmap = false;
    b.home.pass(10s); // it is told to close, and unmaps then
    REQUIRE(read.out.has_value());
    CHECK(read.out->has_value());
    CHECK_FALSE(b.home.book.shows(data.pages[0].octets));
}

TEST_CASE("an operation that is given up waits for the backend where that uses the caller's memory, and nowhere else") {
    for (const bool grants : {true, false}) {
        bed b{grants ? indirect : keeping};
        unsigned waits = 0;
        auto data = std::make_unique<page_memory>(4, 9);
        b.back.held = true;
        {
            under_way read{b.home, [&] { return b.disk.read(0, data->all()); }};
            b.home.on_wait = [&] {
                ++waits;
                b.back.held = false;
            };
        }
        CHECK_FALSE(b.home.book.shows(data->pages[0].octets));
        data.reset();
        CHECK((waits > 0) == grants);
        b.back.held = false;
        b.home.pass(1ms);
        page_memory more{4};
        CHECK(run(b.home, [&] { return b.disk.read(0, more.all()); }).has_value());
    }
}

TEST_CASE("nothing is left behind") {
    block_domain home;
    blkback back{home, keeping};
    {
        disk_front disk{home, {}};
        back.bus.attach();
        running connecting{home, disk.connect(0)};
        home.pass(1s);
        page_memory data{40, 1};
        for (int i = 0; i < 20; ++i) {
            CHECK(run(home, [&] { return disk.write(0, data.all()); }).has_value());
            back.bus.restart();
            home.pass(10s);
        }
        CHECK(back.bus.connections == 21);
        back.disconnect();
    }
    CHECK(home.book.in_use() == 0);
    CHECK(home.channels.open() == 1); // the store's
}

TEST_CASE("disks are counted by virtual device") {
    block_domain home;
    blkback second{home, disk_features{.sectors = 200}, 51728}, first{home, disk_features{.sectors = 100}, 51712};
    disk_front a{home, {}}, b{home, {}};
    second.bus.attach();
    first.bus.attach();
    running one{home, a.connect(0)}, two{home, b.connect(1)};
    home.pass(1s);
    REQUIRE((one.done() && two.done()));
    CHECK(a.sectors() == 100);
    CHECK(b.sectors() == 200);
}

TEST_CASE("a domain short of grants or channels has no disk, and no crash") {
    for (const std::size_t grants : {0u, 3u, 20u, 100u}) {
        block_domain home;
        home.book.limit = grants;
        blkback back{home, indirect};
        disk_front disk{home, {}};
        back.bus.attach();
        running connecting{home, disk.connect(0)};
        home.pass(1s);
        REQUIRE(connecting.done());
        CHECK(connecting.take().error() == errc::no_buffers);
        CHECK(home.book.in_use() == 0);
    }
    bed b{indirect};
    b.home.book.limit = b.home.book.in_use() + 2; // the rest goes through pages that are granted already
    page_memory data{40, 0x21};
    CHECK(run(b.home, [&] { return b.disk.write(0, data.all()); }).has_value());
    CHECK(std::ranges::equal(data.all(), octets{b.back.content}.first(40 * 4096)));
}
