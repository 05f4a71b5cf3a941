// SPDX-License-Identifier: MIT
#include "mirage/core/intrusive_list.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;

namespace {
struct by_age : list_hook {};
struct by_name : list_hook {};
struct item : by_age, by_name {
    int value;
    explicit item(int v) noexcept : value{v} {}
};
using ages = intrusive_list<item, by_age>;
using names = intrusive_list<item, by_name>;

template <class L>
std::vector<int> values(L& list) {
    std::vector<int> all;
    for (const item& i : list)
        all.push_back(i.value);
    return all;
}
} // namespace

TEST_CASE("an object is on several lists through several hooks") {
    item a{1}, b{2};
    ages young;
    names first;
    young.push_back(a);
    young.push_front(b);
    first.push_back(a);
    first.push_back(b);
    CHECK(values(young) == std::vector{2, 1});
    CHECK(values(first) == std::vector{1, 2});
    a.by_age::unlink();
    CHECK(values(young) == std::vector{2});
    CHECK(values(first) == std::vector{1, 2});
    CHECK_FALSE(a.by_age::linked());
    CHECK(a.by_name::linked());
}

TEST_CASE("the ends, the successor, and taking off") {
    ages list;
    CHECK(list.empty());
    CHECK(list.pop_front() == nullptr);
    item a{1}, b{2}, c{3};
    for (item* const i : {&a, &b, &c})
        list.push_back(*i);
    CHECK(&list.front() == &a);
    CHECK(&list.back() == &c);
    CHECK(list.next(a) == &b);
    CHECK(list.next(c) == nullptr);
    CHECK(list.pop_front() == &a);
    CHECK_FALSE(a.by_age::linked());
    b.by_age::unlink();
    b.by_age::unlink();
    CHECK(values(list) == std::vector{3});
}

TEST_CASE("an object that is put on another list leaves the first") {
    ages one, two;
    item a{1};
    one.push_back(a);
    two.push_back(a);
    CHECK(one.empty());
    two.push_back(a);
    CHECK(values(two) == std::vector{1});
}

TEST_CASE("splicing appends everything and empties the other") {
    ages one, two, none;
    item a{1}, b{2}, c{3};
    one.push_back(a);
    two.push_back(b);
    two.push_back(c);
    one.splice_back(two);
    CHECK(two.empty());
    CHECK(values(one) == std::vector{1, 2, 3});
    one.splice_back(none);
    none.splice_back(one);
    CHECK(one.empty());
    CHECK(values(none) == std::vector{1, 2, 3});
}

TEST_CASE("neither a dead object nor a dead list is ever reached") {
    item a{1};
    {
        ages list;
        {
            item b{2};
            list.push_back(a);
            list.push_back(b);
        }
        CHECK(values(list) == std::vector{1});
    }
    CHECK_FALSE(a.by_age::linked());
    ages other;
    other.push_back(a);
    other.clear();
    CHECK_FALSE(a.by_age::linked());
}
