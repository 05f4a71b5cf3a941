// SPDX-License-Identifier: MIT
#include "mirage/net/tcp/syn_cookie.hpp"
#include <chrono>
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::tcp;
using namespace std::chrono_literals;

namespace {

constexpr siphash_key key{1, 2};
constexpr four_tuple<ipv4_endpoint> tuple{{ipv4_address{10, 0, 0, 2}, 80}, {ipv4_address{10, 0, 0, 1}, 50'000}};
constexpr segment syn{.seq = {777}, .window = 1000, .syn = true, .mss = 1460, .window_scale = 7, .has_timestamps = true,
                      .timestamps = {55, 0}, .sack_permitted = true};

segment answer_to(sequence cookie, std::uint32_t echo) {
    return {.seq = syn.seq + 1, .ack = cookie + 1, .window = 500, .has_ack = true, .has_timestamps = true, .timestamps = {56, echo}};
}

} // namespace

TEST_CASE("a cookie gives back what the SYN said (RFC 4987 section 3.6)") {
    const instant now{1000s};
    const auto cookie = syn_cookie::issue(key, tuple, syn, now);
    const auto echo = syn_cookie::timestamp(1'000'000, syn);
    for (const duration later : {0s, 63s, 64s}) {
        const auto known = syn_cookie::redeem(key, tuple, answer_to(cookie, echo), now + later);
        REQUIRE(known);
        CHECK(known->seq == syn.seq);
        CHECK(known->mss == 1460);
        CHECK(known->window_scale == 7);
        CHECK(known->sack_permitted);
    }
    CHECK_FALSE(syn_cookie::redeem(key, tuple, answer_to(cookie, echo), now + syn_cookie::lifetime));
}

TEST_CASE("a cookie is of one peer, one connection, one secret (RFC 4987 appendix A)") {
    const instant now{1000s};
    const auto cookie = syn_cookie::issue(key, tuple, syn, now);
    auto other = tuple;
    other.remote.port = 50'001;
    CHECK_FALSE(syn_cookie::redeem(key, other, answer_to(cookie, 0), now));
    CHECK_FALSE(syn_cookie::redeem({1, 3}, tuple, answer_to(cookie, 0), now));
    CHECK_FALSE(syn_cookie::redeem(key, tuple, answer_to(cookie + 1, 0), now));
    CHECK_FALSE(syn_cookie::redeem(key, tuple, answer_to({cookie.value ^ 1u << 28}, 0), now)); // another MSS
    auto elsewhere = answer_to(cookie, 0);
    elsewhere.seq += 1;
    CHECK_FALSE(syn_cookie::redeem(key, tuple, elsewhere, now));
}

TEST_CASE("the MSS is rounded down to one that a cookie can say; options need timestamps") {
    const instant now{1000s};
    for (const auto& [offered, expected] : {std::pair{0, 536}, {536, 536}, {1459, 1440}, {1460, 1460}, {9000, 8940}}) {
        auto s = syn;
        s.mss = static_cast<std::uint16_t>(offered);
        auto ack = answer_to(syn_cookie::issue(key, tuple, s, now), 0);
        ack.has_timestamps = false;
        const auto back = syn_cookie::redeem(key, tuple, ack, now);
        REQUIRE(back);
        CHECK(back->mss == expected);
        CHECK(back->window_scale == -1);
        CHECK_FALSE(back->sack_permitted);
    }
}

TEST_CASE("a timestamp that carries options is not in the future (RFC 7323 section 5.3)") {
    for (std::uint32_t value = 1000; value < 1200; ++value) {
        const auto said = syn_cookie::timestamp(value, syn);
        CHECK(static_cast<std::int32_t>(value - said) >= 0);
        CHECK(static_cast<std::int32_t>(value - said) < 64);
        CHECK((said & syn_cookie::option_bits) == (7 | syn_cookie::sack_bit));
    }
    auto plain = syn;
    plain.window_scale = -1;
    plain.sack_permitted = false;
    CHECK((syn_cookie::timestamp(5, plain) & syn_cookie::option_bits) == syn_cookie::no_scale);
}
