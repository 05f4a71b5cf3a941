// SPDX-License-Identifier: MIT
#include "mirage/net/tcp/slice_queue.hpp"
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using namespace mirage;
using namespace mirage::tcp;

namespace {
std::string text_of(const fragments& parts) {
    std::string text;
    for (const slice& s : parts.view())
        text += as_text(s.view());
    return text;
}
} // namespace

TEST_CASE("send_queue: what is gathered is what was pushed, whatever was acknowledged") {
    slice_node_pool pool{64};
    send_queue queue;
    std::string model;
    static const std::string source = [] {
        std::string s;
        for (int i = 0; i < 5000; ++i)
            s += static_cast<char>('a' + i * 7 % 26);
        return s;
    }();
    std::mt19937 random{1};
    std::size_t at = 0;
    for (int step = 0; step < 20'000; ++step) {
        switch (random() % 3) {
        case 0: {
            const std::size_t n = 1 + random() % 200;
            if (at + n > source.size())
                at = 0;
            if (queue.push(slice::of_static(std::string_view{source}.substr(at, n)), pool))
                model += source.substr(at, n);
            at += n;
            break;
        }
        case 1: {
            const std::size_t n = model.empty() ? 0 : random() % (model.size() + 1);
            queue.pop(n, pool);
            model.erase(0, n);
            break;
        }
        default: {
            if (model.empty())
                break;
            const std::size_t offset = random() % model.size(), length = 1 + random() % (model.size() - offset);
            fragments parts;
            const std::size_t got = queue.gather(offset, length, parts);
            CHECK(text_of(parts) == model.substr(offset, got));
            CHECK((got == length || parts.full()));
        }
        }
        REQUIRE(queue.size() == model.size());
    }
    queue.clear(pool);
    CHECK(pool.available() == pool.size());
}

TEST_CASE("receive_queue: pieces in any order, overlapping, join to the same text (RFC 9293 section 3.10.7.4)") {
    std::mt19937 random{2};
    for (int round = 0; round < 500; ++round) {
        slice_node_pool pool{256};
        receive_queue queue;
        std::string text;
        for (int i = 0; i < 300; ++i)
            text += static_cast<char>('A' + random() % 26);
        sequence nxt{0xffff'ff80}; // wraps on the way
        const sequence start = nxt;
        std::string got;
        while (got.size() < text.size()) {
            const std::size_t from = random() % text.size(), n = 1 + random() % 40;
            slice piece = slice::of_static(std::string_view{text}.substr(from, n));
            const sequence seq = start + static_cast<std::uint32_t>(from);
            if (before(seq + static_cast<std::uint32_t>(piece.size()), nxt + 1))
                continue; // all old: the machine drops it
            if (at_or_before(seq, nxt)) {
                piece.remove_prefix(octets_between(seq, nxt));
                nxt += static_cast<std::uint32_t>(piece.size());
                REQUIRE(queue.push(std::move(piece), pool));
            } else {
                REQUIRE(queue.keep(seq, std::move(piece), pool));
            }
            nxt += queue.join(nxt, pool);
            while (queue.has_text())
                got += as_text(queue.pop(pool).view());
        }
        CHECK(got == text);
        queue.clear(pool);
        CHECK(pool.available() == pool.size());
    }
}

TEST_CASE("a dry pool refuses and loses nothing that was taken") {
    slice_node_pool pool{2};
    receive_queue queue;
    CHECK(queue.push(slice::of_static("a"), pool));
    CHECK(queue.keep({10}, slice::of_static("b"), pool));
    CHECK_FALSE(queue.keep({20}, slice::of_static("c"), pool));
    CHECK_FALSE(queue.push(slice::of_static("d"), pool));
    CHECK(as_text(queue.pop(pool).view()) == "a");
    CHECK(queue.push(slice::of_static("e"), pool));
    queue.clear(pool);
}
