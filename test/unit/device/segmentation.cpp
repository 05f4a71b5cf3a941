// SPDX-License-Identifier: MIT
#include "frames.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <doctest/doctest.h>
#include <vector>

using namespace mirage;
using namespace mirage::memory::segmentation;
using test::checksums_are_right;
using test::tcp_headers;

namespace {

std::string pattern(std::size_t n) {
    std::string s(n, '\0');
    for (std::size_t i = 0; i < n; ++i)
        s[i] = static_cast<char>(i * 7 + i / 256);
    return s;
}

/// Sends one TCP frame over `cable` and gives what arrives.
template <class Cable>
std::vector<received_frame> send(Cable& cable, std::string_view payload, std::uint16_t gso, std::uint32_t sequence) {
    const std::string headers = tcp_headers(payload.size(), sequence);
    std::array<slice, 1> slices{slice::of_static(payload)};
    REQUIRE(cable.a()
                .transmit({.headers = as_octets(headers),
                           .payload = slices,
                           .checksum_start = 34,
                           .checksum_offset = 16,
                           .gso_size = gso})
                .has_value());
    std::vector<received_frame> all;
    std::array<received_frame, 8> burst;
    while (const std::size_t n = cable.b().receive(burst))
        for (std::size_t i = 0; i < n; ++i)
            all.push_back(std::move(burst[i]));
    return all;
}

} // namespace

TEST_CASE("a large segment is cut as a network card cuts it") {
    const std::string payload = pattern(10'000);
    const std::uint32_t sequence = 0xfffff000; // wraps on the way
    for (const std::uint16_t gso : {std::uint16_t{1460}, std::uint16_t{1000}, std::uint16_t{999}, std::uint16_t{20'000}}) {
        INFO("gso_size " << gso);
        const std::string frame = tcp_headers(payload.size(), sequence) + payload;
        std::string joined;
        std::size_t count = 0;
        std::vector<std::byte> room(54 + gso);
        cut(as_octets(frame), 34, gso, room, [&](octets f) {
            CHECK(checksums_are_right(f));
            CHECK(load16(f, 16) == f.size() - 14);
            CHECK(load16(f, 18) == static_cast<std::uint16_t>(0xfffe + count));
            const auto here = static_cast<std::uint32_t>(sequence + joined.size());
            CHECK(load16(f, 38) == here >> 16);
            CHECK(load16(f, 40) == (here & 0xffff));
            joined += as_text(f.subspan(54));
            const auto flags = std::to_integer<unsigned>(f[47]);
            CHECK((flags & 0x09) == (joined.size() == payload.size() ? 0x09 : 0)); // FIN, PSH
            CHECK((flags & 0x80) == (count == 0 ? 0x80 : 0));                      // CWR
            CHECK((flags & 0x10) != 0);                                            // ACK
            ++count;
        });
        CHECK(joined == payload);
        CHECK(count == (payload.size() + gso - 1) / gso);
    }
}

TEST_CASE("a segment without payload is one segment") {
    const std::string frame = tcp_headers(0, 1);
    int count = 0;
    std::array<std::byte, 100> room;
    cut(as_octets(frame), 34, 10, room, [&](octets f) {
        ++count;
        CHECK(checksums_are_right(f));
    });
    CHECK(count == 1);
}

TEST_CASE("a partial checksum is completed when the peer looks at checksums") {
    memory::simulation world;
    memory::link<memory::all_offloads, offload{}> cable{world.loop()};
    const std::string payload = pattern(1001);
    const auto got = send(cable, payload, 0, 5);
    REQUIRE(got.size() == 1);
    CHECK(checksums_are_right(got[0].data.view()));
    CHECK_FALSE(got[0].checksum_verified);
}

TEST_CASE("between two offloading ends a large segment stays whole and unread") {
    memory::simulation world;
    memory::link<memory::all_offloads> cable{world.loop()};
    const std::string payload = pattern(60'000);
    const auto got = send(cable, payload, 1460, 5);
    REQUIRE(got.size() == 1);
    CHECK(got[0].gso_size == 1460);
    CHECK(got[0].checksum_verified);
    CHECK(as_text(got[0].data.view()).substr(54) == payload);
}

TEST_CASE("a large segment is cut for a peer that does not join, and on an impaired line") {
    const std::string payload = pattern(60'000);
    memory::simulation world;
    {
        memory::link<memory::all_offloads, offload{}> cable{world.loop()};
        const auto got = send(cable, payload, 1460, 5);
        REQUIRE(got.size() == 42);
        std::string joined;
        for (const received_frame& f : got) {
            CHECK(f.gso_size == 0);
            CHECK_FALSE(f.checksum_verified);
            CHECK(checksums_are_right(f.data.view()));
            joined += as_text(f.data.view()).substr(54);
        }
        CHECK(joined == payload);
    }
    memory::link<memory::all_offloads> cable{world.loop()};
    cable.a().impair({.corrupt = 1'000'000});
    const auto got = send(cable, payload, 1460, 5);
    REQUIRE(got.size() == 42);
    for (const received_frame& f : got)
        CHECK_FALSE(f.checksum_verified); // nobody may trust what was damaged
}

TEST_CASE("with too little room at the peer nothing of a large segment is sent") {
    memory::simulation world;
    memory::link<memory::all_offloads, offload{}> cable{world.loop(), {.ring = 16}};
    const std::string payload = pattern(60'000), headers = tcp_headers(payload.size(), 1);
    std::array<slice, 1> slices{slice::of_static(payload)};
    const transmit_frame f{
        .headers = as_octets(headers), .payload = slices, .checksum_start = 34, .checksum_offset = 16, .gso_size = 1460};
    CHECK(cable.a().transmit(f).error() == errc::would_block);
    std::array<received_frame, 1> burst;
    CHECK(cable.b().receive(burst) == 0);
    CHECK(cable.a().counters().transmitted == 0);
}

TEST_CASE("a UDP checksum that comes out as zero is sent as all ones (RFC 768)") {
    std::array<std::byte, 8> udp{}; // sums to 0xffff with this pseudo-header sum
    store16(udp, 6, 0xffff);
    complete_checksum(udp, 0, 6);
    CHECK(load16(udp, 6) == 0xffff);
}

TEST_CASE("a capture between offloading ends shows finished checksums") {
    memory::simulation world;
    memory::link<memory::all_offloads> cable{world.loop()};
    std::string file;
    const auto sink = [&file](octets o) { file += as_text(o); };
    memory::pcap_writer capture{sink};
    cable.b().capture(capture);
    (void)send(cable, pattern(3000), 1460, 5);
    (void)send(cable, pattern(300), 0, 5);
    REQUIRE(file.size() == 24 + 16 + 3054 + 16 + 354);
    CHECK(checksums_are_right(as_octets(std::string_view{file}.substr(40, 3054))));
    CHECK(checksums_are_right(as_octets(std::string_view{file}.substr(40 + 3054 + 16))));
}
