// SPDX-License-Identifier: MIT
#include "mirage/host/network_interface.hpp"

namespace mirage::host {

result<> network_interface::open() noexcept {
    const auto link = attach(home_, name_);
    if (!link)
        return std::unexpected(link.error());
    link_ = *link;
    const auto mac = choose_mac(home_, name_);
    if (!mac)
        return std::unexpected(mac.error());
    mac_ = *mac;
    if (const auto good = capture_.open(home_, name_); !good)
        return good;
    // A number of octets that is no multiple of 4096 keeps the headers of neighbours out of one set of the
    // cache.
    const std::size_t size = link_.offloads ? sizeof(offload_header) + largest_joined + vlan_tag + 128
                                            : padding + link_.mtu + ethernet_header + vlan_tag;
    pool_.emplace(link_.offloads ? 512u : 8192u, size);
    if (pool_->size() == 0) {
        complain("--net:" + std::string{name_} + ": there is not enough memory for its buffers");
        return std::unexpected(errc::no_buffers);
    }
    descriptor = link_.descriptor;
    bit_ = home_.watch(*this);
    down_ = !link_.up;
    if (!link_.device.empty())
        link_watch_.open(home_, link_.device);
    return {};
}

/// The other end is gone for good.
void network_interface::lost(int error) noexcept {
    complain(std::string{name_} + ": the interface is gone"
             + (error == 0 ? "" : " (" + std::string{std::strerror(error)} + ")")
             + "; there is no network any more");
    descriptor = -1;
}

void network_interface::went_down() noexcept {
    if (!std::exchange(down_, true))
        complain(std::string{name_} + ": the interface is down; `ip link set " + std::string{link_.device}
                 + " up` brings it back");
}

void network_interface::came_up() noexcept {
    if (std::exchange(down_, false))
        complain(std::string{name_} + ": the interface is up" + (link_.up ? " again" : ""));
    link_.up = true;
}

} // namespace mirage::host
