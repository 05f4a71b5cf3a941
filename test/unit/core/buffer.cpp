// SPDX-License-Identifier: MIT
#include "mirage/core/buffer.hpp"
#include "support.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;

namespace {
slice filled(buffer_pool& pool, char c, std::size_t n) {
    page p = pool.take();
    REQUIRE(static_cast<bool>(p));
    std::fill_n(p.room().begin(), n, static_cast<std::byte>(c));
    return std::move(p).freeze(0, n);
}
} // namespace

TEST_CASE("a pool hands out every buffer once, then counts that it is dry") {
    buffer_pool pool{3, 100};
    CHECK(pool.buffer_size() == 128);
    CHECK(pool.size() == 3);
    std::vector<page> pages;
    for (int i = 0; i < 3; ++i) {
        pages.push_back(pool.take());
        REQUIRE(static_cast<bool>(pages.back()));
        CHECK(pages.back().room().size() == 128);
        std::ranges::fill(pages.back().room(), static_cast<std::byte>(i));
    }
    for (int i = 0; i < 3; ++i)
        for (const std::byte b : pages[static_cast<std::size_t>(i)].room())
            REQUIRE(b == static_cast<std::byte>(i)); // they do not overlap
    CHECK(pool.available() == 0);
    CHECK_FALSE(static_cast<bool>(pool.take()));
    CHECK(pool.exhausted() == 1);
    pages.pop_back();
    CHECK(pool.available() == 1);
    CHECK(static_cast<bool>(pool.take()));
    CHECK(pool.exhausted() == 1);
}

TEST_CASE("the buffer given back last is handed out first") {
    buffer_pool pool{4, 64};
    page a = pool.take(), b = pool.take();
    const std::byte* const memory = a.room().data();
    a = page{};
    CHECK(pool.take().room().data() == memory);
    CHECK(b.room().data() != memory);
}

TEST_CASE("a buffer goes back when its last slice is gone") {
    buffer_pool pool{1, 64};
    slice whole = filled(pool, 'x', 64);
    slice half = whole.share(32, 100);
    CHECK(half.size() == 32);
    CHECK(half.data() == whole.data() + 32);
    CHECK(half.owner() == whole.owner());
    CHECK(half.pinned() == 64);
    whole.reset();
    CHECK(whole.empty());
    CHECK(pool.available() == 0);
    slice third = half.share();
    half = slice{};
    CHECK(pool.available() == 0);
    CHECK(third.view()[0] == std::byte{'x'});
    third = slice::of_static("text");
    CHECK(pool.available() == 1);
    CHECK(as_text(third.view()) == "text");
    CHECK(third.owner() == nullptr);
    CHECK(third.pinned() == 0);
}

TEST_CASE("trimming keeps the memory, and never goes past the ends") {
    buffer_pool pool{1, 64};
    slice s = filled(pool, 'y', 10);
    s.remove_prefix(3);
    s.remove_suffix(4);
    CHECK(s.size() == 3);
    s.remove_prefix(100);
    CHECK(s.empty());
    s.remove_suffix(1);
    CHECK(s.empty());
    CHECK(pool.available() == 0); // empty, but still an owner
    CHECK(s.share(5, 5).empty());
    s.reset();
    CHECK(pool.available() == 1);
}

TEST_CASE("moving leaves nothing behind, moving onto itself changes nothing") {
    buffer_pool pool{2, 64};
    slice a = filled(pool, 'a', 5), b = filled(pool, 'b', 6);
    slice& same = a;
    a = std::move(same);
    CHECK(a.size() == 5);
    a = std::move(b);
    CHECK(pool.available() == 1);
    CHECK(b.empty()); // NOLINT: that is the question
    CHECK(b.owner() == nullptr);
    a = a.share();
    CHECK(a.size() == 6);
    CHECK(a.view()[0] == std::byte{'b'});
    a.reset();
    CHECK(pool.available() == 2);
}

TEST_CASE("parts of a page are read while the rest is written") {
    buffer_pool pool{1, 128};
    page p = pool.take();
    p.room()[0] = std::byte{1};
    slice first = p.freeze_part(0, 64);
    p.room()[64] = std::byte{2};
    slice second = std::move(p).freeze(64, 64);
    CHECK(first.view()[0] == std::byte{1});
    CHECK(second.view()[0] == std::byte{2});
    first.reset();
    CHECK(pool.available() == 0);
    second.reset();
    CHECK(pool.available() == 1);
}

TEST_CASE("errors of the programmer are panics") {
    CHECK(test::panics("range outside the buffer", [] {
        buffer_pool pool{1, 64};
        (void)pool.take().freeze(1, 64);
    }));
    CHECK(test::panics("while a slice of it lives", [] {
        slice survivor;
        auto pool = std::make_unique<buffer_pool>(1u, 64u);
        survivor = pool->take().freeze(0, 1);
        pool.reset();
    }));
}

TEST_CASE("a pool without memory has no buffers") {
    const test::memory_is_short now;
    buffer_pool pool{4, 64};
    CHECK(pool.size() == 0);
    CHECK_FALSE(static_cast<bool>(pool.take()));
}
