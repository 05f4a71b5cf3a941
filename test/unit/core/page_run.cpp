// SPDX-License-Identifier: MIT
#include "mirage/core/page_run.hpp"
#include <array>
#include <doctest/doctest.h>

using namespace mirage;

TEST_CASE("neighbouring buffers become one slice, and come back one by one") {
    buffer_pool pool{4, 4096};
    std::array pages{pool.take(), pool.take(), pool.take()};
    REQUIRE(page_run::neighbours(pages[0], pages[1]));
    REQUIRE(page_run::neighbours(pages[1], pages[2]));
    CHECK_FALSE(page_run::neighbours(pages[1], pages[0]));
    CHECK_FALSE(page_run::neighbours(pages[0], pages[2]));
    pages[0].room()[4095] = std::byte{1};
    pages[2].room()[0] = std::byte{3};
    const std::byte* const begin = pages[0].room().data();

    page_run run;
    slice whole = run.join(pages, 4095, 4098);
    CHECK(whole.data() == begin + 4095);
    CHECK(whole.view().front() == std::byte{1});
    CHECK(whole.view().back() == std::byte{3});
    CHECK(whole.pinned() == 3 * 4096);
    CHECK_FALSE(run.reclaim());

    slice tail = whole.share(4097, 1);
    whole.reset();
    CHECK_FALSE(run.reclaim());
    CHECK(pool.available() == 1);
    page_run moved = std::move(run);
    CHECK(run.reclaim()); // it has nothing any more
    tail.reset();
    CHECK(moved.reclaim());
    CHECK(moved.reclaim());
    CHECK(pool.available() == 4);

    for (int i = 0; i < 4; ++i)
        CHECK(pool.take().room().size() == 4096);
}

TEST_CASE("buffers of two pools are no neighbours") {
    buffer_pool one{1, 4096}, other{1, 4096};
    const page a = one.take(), b = other.take();
    CHECK_FALSE(page_run::neighbours(a, b));
    CHECK_FALSE(page_run::neighbours(b, a));
}
