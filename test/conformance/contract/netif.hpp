// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/netif.hpp"
#include <array>
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace mirage::contract {

namespace netif_detail {

/// A broadcast frame of an ethertype for experiments (IEEE 802, 0x88b5), so that no stack on the way answers it.
inline std::string frame(std::size_t size, unsigned number) {
    std::string f = std::string(6, '\xff') + std::string("\x02\0\0\0\0\x99\x88\xb5", 8) + std::to_string(number) + ':';
    while (f.size() < size)
        f += static_cast<char>('a' + (f.size() + number) % 26);
    f.resize(size);
    return f;
}

} // namespace netif_detail

/// What every network interface promises. A `Harness` is made anew for each part and has
///   device()             the interface, open
///   send(std::string)    lets the peer send a frame to it (60 octets or more); false: the peer could not
///   sent()               the next frame that reached the peer, as std::optional<std::string>; waits a bounded time
///   wait()               one turn of the platform's loop: readable() is set if frames have come meanwhile
template <class Harness>
void netif_contract() {
    using netif_detail::frame;
    Harness h;
    auto& device = h.device();
    using device_type = std::remove_reference_t<decltype(device)>;
    static_assert(mirage::netif<device_type>);

    /// Takes what comes until there are `count` frames, or nothing comes any more.
    const auto receive = [&](std::size_t count, std::size_t burst_size = 8) {
        std::vector<received_frame> all;
        std::vector<received_frame> burst(burst_size);
        for (int idle = 0; all.size() < count && idle < 100;) {
            const std::size_t n = device.receive(burst);
            REQUIRE(n <= burst_size);
            for (std::size_t i = 0; i < n; ++i)
                all.push_back(std::move(burst[i]));
            if (n == 0) {
                ++idle;
                h.wait();
            }
        }
        return all;
    };
    const auto transmit = [&](const transmit_frame& f) {
        const auto r = device.transmit(f);
        device.flush();
        return r;
    };

    SUBCASE("address, size and offloads make sense") {
        CHECK_FALSE(device.mac().is_group());
        CHECK(device.mac() != mac_address{});
        CHECK(device.mtu() >= 576); // RFC 1122 section 3.3.2
        CHECK(device.mtu() <= 65'535);
        constexpr offload most = device_type::capabilities;
        const offload o = device.offloads();
        CHECK(o.tx_checksum <= most.tx_checksum);
        CHECK(o.rx_checksum <= most.rx_checksum);
        CHECK(o.tso_size <= most.tso_size);
        CHECK(o.gro <= most.gro);
        CHECK(o.ipv6 <= most.ipv6);
        CHECK((o.tso_size == 0 || o.tx_checksum)); // a segment's checksum cannot be known before it is cut
    }
    SUBCASE("nothing is there before something was sent") {
        std::array<received_frame, 4> burst;
        CHECK(device.receive(burst) == 0);
        CHECK(device.receive({}) == 0);
        CHECK(device.receive_pool().size() > 0);
    }
    SUBCASE("frames come whole and in order, whatever the size of the burst") {
        for (const std::size_t burst : {1u, 3u, 64u}) {
            const std::size_t sizes[]{60, 61, 100, 999, device.mtu() + 14};
            unsigned n = 0;
            for (const std::size_t size : sizes)
                REQUIRE(h.send(frame(size, n++)));
            const auto got = receive(n, burst);
            REQUIRE(got.size() == n);
            for (unsigned i = 0; i < n; ++i) {
                CHECK(as_text(got[i].data.view()) == frame(sizes[i], i));
                CHECK(got[i].gso_size == 0);
                CHECK(got[i].data.owner() != nullptr);
                CHECK(got[i].data.pinned() >= got[i].data.size());
            }
        }
    }
    SUBCASE("receive never gives more than there is room for, and leaves the rest") {
        for (unsigned i = 0; i < 5; ++i)
            REQUIRE(h.send(frame(80, i)));
        std::vector<received_frame> one(1);
        std::size_t count = 0;
        for (int idle = 0; count < 5 && idle < 100;) {
            if (device.receive(one) == 1) // overwrites, and so releases, the one before
                CHECK(as_text(one[0].data.view()) == frame(80, static_cast<unsigned>(count++)));
            else
                ++idle, h.wait();
        }
        CHECK(count == 5);
    }
    SUBCASE("readable is set when a frame has come") {
        device.readable().reset();
        REQUIRE(h.send(frame(80, 1)));
        for (int i = 0; i < 100 && !device.readable().is_set(); ++i)
            h.wait();
        CHECK(device.readable().is_set());
        CHECK(receive(1).size() == 1);
    }
    SUBCASE("a frame that is kept is not written over, in any of its shares") {
        REQUIRE(h.send(frame(200, 1000)));
        auto kept = receive(1);
        REQUIRE(kept.size() == 1);
        slice tail = kept[0].data.share(100, 100);
        kept.clear();
        for (unsigned i = 0; i < 100; ++i) {
            REQUIRE(h.send(frame(200, i)));
            CHECK(receive(1).size() == 1);
        }
        CHECK(as_text(tail.view()) == frame(200, 1000).substr(100));
    }
    SUBCASE("when all memory is kept frames are lost, and it recovers") {
        std::vector<received_frame> kept;
        const std::size_t most = device.receive_pool().size() + 10;
        while (kept.size() < most) {
            if (!h.send(frame(60, 0)))
                break;
            auto got = receive(1);
            if (got.empty())
                break;
            kept.push_back(std::move(got[0]));
        }
        CHECK(kept.size() > 0);
        CHECK(kept.size() <= device.receive_pool().size());
        kept.clear();
        bool again = false;
        for (unsigned i = 1; i < 50 && !again; ++i) {
            REQUIRE(h.send(frame(70, i)));
            again = !receive(1).empty();
        }
        CHECK(again);
    }
    SUBCASE("what is sent reaches the peer whole and in order") {
        const std::size_t sizes[]{60, 61, 62, 63, 255, 256};
        for (unsigned i = 0; i < std::size(sizes); ++i) {
            std::string headers = frame(sizes[i], i);
            REQUIRE(transmit({.headers = as_octets(headers)}).has_value());
            std::ranges::fill(headers, '!'); // they are the caller's again
        }
        for (unsigned i = 0; i < std::size(sizes); ++i)
            CHECK(h.sent() == frame(sizes[i], i));
    }
    SUBCASE("headers and fragments are joined: none, empty ones, odd ones, the most there may be") {
        buffer_pool pool{4, device.mtu() + 14};
        for (const std::size_t fragments : {std::size_t{1}, std::size_t{2}, std::size_t{7}, transmit_frame::max_fragments}) {
            const std::string whole = frame(device.mtu() + 14, static_cast<unsigned>(fragments));
            page p = pool.take();
            const octets text = as_octets(whole);
            std::ranges::copy(text.subspan(54), p.room().begin());
            slice payload = std::move(p).freeze(0, whole.size() - 54);
            std::vector<slice> slices(fragments);
            for (std::size_t i = 0, done = 0; i < fragments; ++i) {
                const std::size_t size = i + 1 == fragments ? payload.size() - done : i == 1 ? 0 : 2 * i + 1;
                slices[i] = payload.share(done, size);
                done += size;
            }
            payload.reset();
            REQUIRE(transmit({.headers = text.first(54), .payload = slices}).has_value());
            slices.clear(); // a device that needs them longer has its own share
            CHECK(h.sent() == whole);
        }
        for (int i = 0; i < 100 && pool.available() != pool.size(); ++i)
            h.wait();
        CHECK(pool.available() == pool.size()); // it does not keep them for ever
    }
    SUBCASE("a frame that is too large is refused, and nothing of it is sent") {
        const std::string whole = frame(device.mtu() + 15, 1), next = frame(90, 2);
        std::array<slice, 1> payload{slice::of_static(std::string_view{whole}.substr(54))};
        const auto r = transmit({.headers = as_octets(whole).first(54), .payload = payload});
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error() == errc::too_large);
        REQUIRE(transmit({.headers = as_octets(next)}).has_value());
        CHECK(h.sent() == next);
    }
    SUBCASE("many frames: each is sent, or refused because the queue is full, none is torn") {
        std::vector<unsigned> accepted;
        for (unsigned i = 0; i < 300; ++i) {
            const auto r = device.transmit({.headers = as_octets(frame(100, i))});
            if (r)
                accepted.push_back(i);
            else
                CHECK(r.error() == errc::would_block);
            if (i % 16 == 15)
                device.flush();
            if (i % 64 == 63 || !r) {
                device.flush();
                for (const unsigned n : accepted)
                    CHECK(h.sent() == frame(100, n));
                accepted.clear();
            }
        }
        device.flush();
        for (const unsigned n : accepted)
            CHECK(h.sent() == frame(100, n));
    }
}

} // namespace mirage::contract
