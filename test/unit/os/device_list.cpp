// SPDX-License-Identifier: MIT
#include "mirage/os/device_list.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include <doctest/doctest.h>

using namespace mirage;

namespace {

struct screen {
    void write(octets) noexcept {}
};

struct wire {
    static constexpr offload capabilities{};
    mac_address mac() const noexcept { return {}; }
    std::size_t mtu() const noexcept { return 1500; }
    offload offloads() const noexcept { return {}; }
    std::size_t receive(std::span<received_frame>) noexcept { return 0; }
    result<> transmit(const transmit_frame&) noexcept { return {}; }
    void flush() noexcept {}
    event& readable() noexcept;
    const buffer_pool& receive_pool() noexcept;
};
struct front : wire {
    static constexpr std::string_view name = "front";
};
struct back : wire {
    static constexpr std::string_view name = "back";
};

template <netif A, console C, netif B>
struct router {};
template <console C>
struct printer {};

using routed = os::device_list<router<front, screen, back>>;

static_assert(routed::has_netif);
static_assert(!os::device_list<printer<screen>>::has_netif);
static_assert(os::device_list<printer<screen>>::manifest.empty());

} // namespace

TEST_CASE("the manifest names interfaces in the application's order, and nothing else") {
    REQUIRE(routed::manifest.size() == 2);
    CHECK(routed::manifest[0].name == "front");
    CHECK(routed::manifest[0].kind == os::device_kind::netif);
    CHECK(routed::manifest[1].name == "back");
}
