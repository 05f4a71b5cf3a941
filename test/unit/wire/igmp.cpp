// SPDX-License-Identifier: MIT
#include "mirage/wire/igmp.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using namespace mirage::wire;
using namespace std::chrono_literals;
using namespace test;

namespace {

/// With its checksum made right.
template <std::size_t Size>
constexpr std::array<std::byte, Size> summed(std::array<std::byte, Size> m) {
    igmp_at::checksum::store(m.data(), 0);
    igmp_at::checksum::store(m.data(), sum(octets{m}).finish());
    return m;
}

} // namespace

TEST_CASE("queries of all versions (RFC 3376 sections 4.1 and 7.1)") {
    const auto first = summed("11 00 0000 00000000"_hex);
    CHECK(igmp_view::parse(first)->version() == 1);
    CHECK(igmp_view::parse(first)->response_time() == 10s);
    CHECK(igmp_view::parse(first)->robustness() == 0);
    const auto second = summed("11 64 0000 e0000105"_hex);
    CHECK(igmp_view::parse(second)->version() == 2);
    CHECK(igmp_view::parse(second)->response_time() == 10s);
    CHECK(igmp_view::parse(second)->group() == ipv4_address{224, 0, 1, 5});
    const auto third = summed("11 18 0000 00000000 02 7d 0001 0a000001"_hex);
    CHECK(igmp_view::parse(third)->version() == 3);
    CHECK(igmp_view::parse(third)->response_time() == 2400ms);
    CHECK(igmp_view::parse(third)->robustness() == 2);
    CHECK(igmp_view::parse(third)->query_interval() == 125s);
    CHECK(igmp_view::parse(summed(with(third, 0, 0x22)))->query_interval() == 0s);
    // RFC 3376 section 4.1.1: 1 eee mmmm is (16 + mmmm) << (eee + 3)
    CHECK(igmp_view::parse(summed(with(third, 1, 0x7f)))->response_time() == 12700ms);
    CHECK(igmp_view::parse(summed(with(third, 1, 0x80)))->response_time() == 12800ms);
    CHECK(igmp_view::parse(summed(with(third, 1, 0xff)))->response_time() == 3174400ms);
    CHECK(igmp_view::parse(with(third, 1, 0x19)).error() == errc::bad_checksum);
    CHECK(igmp_view::parse(summed(with(third, 11, 2))).error() == errc::malformed); // two sources, one is there
    CHECK(igmp_view::parse(octets{third}.first(7)).error() == errc::truncated);
    CHECK(igmp_view::parse(summed("11 18 0000 00000000 0000"_hex)).error() == errc::malformed);
}

TEST_CASE("reports (RFC 3376 section 4.2, RFC 2236 section 2)") {
    std::array<std::byte, 24> room{};
    igmp_report report{room};
    CHECK(report.empty());
    report.add(igmp_record::to_exclude, ipv4_address{224, 0, 1, 5});
    CHECK_FALSE(report.full());
    report.add(igmp_record::is_exclude, ipv4_address{239, 1, 2, 3});
    CHECK(report.full());
    const octets made = report.finish();
    CHECK(same(made, summed("22 00 0000 0000 0002  04 00 0000 e0000105  02 00 0000 ef010203"_hex)));
    CHECK(igmp_view::parse(made)->type() == igmp_type::report_v3);

    CHECK(same(emitted<8>(igmp_short{.group = ipv4_address{224, 0, 1, 5}}), summed("16 00 0000 e0000105"_hex)));
    CHECK(same(emitted<8>(igmp_short{.type = igmp_type::query, .response_code = 100}), summed("11 64 0000 00000000"_hex)));
}
