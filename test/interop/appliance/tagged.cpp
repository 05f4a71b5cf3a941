// SPDX-License-Identifier: MIT
#include "transfer.hpp"
#include <mirage/net/vlan.hpp>
#include <mirage/os/entry.hpp>

namespace transfer {

/// The same in VLAN 7, with priority 5.
template <mirage::netif Net, mirage::clock Clk, mirage::random_source Rnd>
class tagged_appliance {
    mirage::net::vlan<Net> tagged_;
    appliance<mirage::net::vlan<Net>, Clk, Rnd> inside_;

public:
    static constexpr std::string_view name = "tagged";
    static constexpr std::string_view summary = decltype(inside_)::summary;
    using options = typename decltype(inside_)::options;
    static constexpr auto keys = decltype(inside_)::keys;

    tagged_appliance(Net& net, Clk& clock, Rnd& random) noexcept
        : tagged_{net, {.id = 7, .priority = 5}}, inside_{tagged_, clock, random} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) { return inside_.run(ctx, chosen); }
};

} // namespace transfer

MIRAGE_UNIKERNEL(transfer::tagged_appliance<mirage::platform::netif<"service">, mirage::platform::clock,
                                            mirage::platform::random>)
