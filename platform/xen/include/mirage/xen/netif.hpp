// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/runtime/heap.hpp"
#include "mirage/xen/connect.hpp"
#include "mirage/xen/netfront.hpp"

namespace mirage::xen {

/// NETIF: the domain's network interface (`vif = [...]`) that stands where this device stands among the application's.
template <fixed_string Name>
class netif : public netfront<platform> {
    static constexpr auto text = Name;

    platform& home_;
    std::size_t order_;

public:
    static constexpr std::string_view name = text.view();

    explicit netif(platform& home) noexcept
        : netfront<platform>{home, netfront_sizes::within(runtime::memory.capacity() - runtime::memory.used())},
          home_{home}, order_{home.next_vif()} {}

    /// Connects; says on the console why it cannot.
    result<> open() noexcept {
        static constexpr device_words words{
            "network device", name, "vif",
            "the domain has no such interface; add one to its configuration: vif = [ 'bridge=xenbr0' ]",
            "the backend does not offer feature-rx-copy", "network-list"};
        auto connecting = this->connect(order_);
        return connect_device(home_, connecting, bus(), order_, words);
    }
};

static_assert(domain<platform>);
static_assert(mirage::reattachable<netif<"any">>);

} // namespace mirage::xen
