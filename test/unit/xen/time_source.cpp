// SPDX-License-Identifier: MIT
#include "mirage/xen/time_source.hpp"
#include <doctest/doctest.h>

using namespace mirage::xen;

namespace {

/// A TSC of 2 GHz: half a nanosecond for each cycle.
vcpu_time_info two_gigahertz() {
    vcpu_time_info t{};
    t.tsc_timestamp = 1'000'000;
    t.system_time = 5'000'000'000;
    t.tsc_to_system_mul = 0x80000000;
    t.tsc_shift = 0;
    return t;
}

} // namespace

SCENARIO("Xen's system time follows from the TSC (xen.h, struct vcpu_time_info)") {
    vcpu_time_info t = two_gigahertz();
    CHECK(system_time_at(t, 1'000'000) == 5'000'000'000);
    CHECK(system_time_at(t, 3'000'000) == 5'001'000'000);

    GIVEN("a fast TSC, which is shifted down first") {
        t.tsc_shift = -2; // 8 GHz
        CHECK(system_time_at(t, 1'000'000 + 8000) == 5'000'001'000);
    }
    GIVEN("a slow TSC, which is shifted up first") {
        t.tsc_shift = 3; // 250 MHz
        CHECK(system_time_at(t, 1'000'000 + 250) == 5'000'001'000);
    }
    GIVEN("a long time since Xen wrote it") {
        constexpr std::uint64_t year = 31'557'600;
        CHECK(system_time_at(t, 1'000'000 + year * 2'000'000'000) == 5'000'000'000 + year * 1'000'000'000);
    }
    GIVEN("a TSC that was read before Xen's") {
        THEN("the time is before, too, and not far in the future") {
            CHECK(system_time_at(t, 1'000'000 - 2000) == 5'000'000'000 - 1000);
        }
    }
}

SCENARIO("what Xen is writing is read again") {
    struct record {
        std::uint32_t version = 0;
        unsigned value = 0;
    } shared;

    WHEN("Xen writes during the first two reads") {
        unsigned reads = 0;
        const auto value = read_consistently(shared.version, [&] {
            ++reads;
            if (reads == 1)
                shared.version = 1; // has begun
            else if (reads == 2)
                shared.version = 2, shared.value = 7; // has ended, after the value was half read
            return shared.value;
        });
        THEN("the third is taken") {
            CHECK(value == 7);
            CHECK(reads == 3);
        }
    }
    WHEN("Xen writes nothing") {
        unsigned reads = 0;
        CHECK(read_consistently(shared.version, [&] { return ++reads; }) == 1);
    }
}

TEST_CASE("UTC at system time 0 is put together from its parts") {
    shared_info s{};
    s.wc_sec = 1'700'000'000;
    s.wc_nsec = 123'456'789;
    CHECK(wall_time_base(s) == 1'700'000'000'123'456'789);
    s.wc_sec = 0;
    s.wc_sec_hi = 1; // 2106
    CHECK(wall_time_base(s) == (std::uint64_t{1} << 32) * 1'000'000'000 + 123'456'789);
}
