// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/runtime/heap.hpp"
#include "mirage/xen/netfront.hpp"
#include "mirage/xen/platform.hpp"
#include <chrono>

namespace mirage::xen {

/// NETIF: the domain's network interface (`vif = [...]`) that stands where this device stands among the application's.
template <fixed_string Name>
class netif : public netfront<platform> {
    static constexpr auto text = Name;
    static constexpr auto patience = std::chrono::seconds{10};

    platform& home_;
    std::size_t order_;

    [[gnu::cold]] void complain(bool in_time, errc why) const noexcept {
        line<240> out;
        out << "xen: network device '" << name << "' (vif " << order_ << "): ";
        if (!in_time)
            out << "waited 10 s for " << bus().waits_for() << "; see `xl network-list` and the hotplug logs in dom0";
        else if (why == errc::not_found)
            out << "the domain has no such interface; add one to its configuration: vif = [ 'bridge=xenbr0' ]";
        else if (why == errc::no_buffers)
            out << "too little memory, or grants, for its buffers; give the domain more memory";
        else if (why == errc::unsupported)
            out << "the backend does not offer feature-rx-copy";
        else
            out << "it did not connect while waiting for " << bus().waits_for();
        out << '\n';
        this_machine.console().write(out.view());
    }

public:
    static constexpr std::string_view name = text.view();

    explicit netif(platform& home) noexcept
        : netfront<platform>{home, netfront_sizes::within(runtime::memory.capacity() - runtime::memory.used())},
          home_{home}, order_{home.next_vif()} {}

    /// Connects; says on the console why it cannot.
    result<> open() noexcept {
        auto connecting = this->connect(order_);
        result<> done = std::unexpected(errc::no_buffers);
        const bool in_time = !connecting || home_.block_on(connecting, home_.now() + patience);
        if (connecting && in_time)
            done = connecting.take();
        if (!in_time)
            done = std::unexpected(errc::timed_out);
        if (!done)
            complain(in_time, done.error());
        return done;
    }
};

static_assert(domain<platform>);
static_assert(mirage::reattachable<netif<"any">>);

} // namespace mirage::xen
