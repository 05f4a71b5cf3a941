// SPDX-License-Identifier: MIT
#include "mirage/host/attachment.hpp"
#include "mirage/hosted/tap.hpp"
#include "mirage/hosted/user_network.hpp"

namespace mirage::host {

namespace {

/// The option as it was written, for messages.
std::string option(std::string_view prefix, std::string_view name, std::string_view value) {
    return std::string{prefix} + std::string{name} + "=" + std::string{value} + ": ";
}

void say_what_is_missing(const std::string& name) {
    complain("This application has a network interface '" + name
             + "'. Say where it leads, before its keys:\n"
               "  --net:"
             + name
             + "=tap0    an existing TAP interface (sudo ip tuntap add tap0 mode tap user $USER)\n"
               "  --net:"
             + name + "=user,hostfwd=tcp:127.0.0.1:8080-:80    user networking, no root needed");
}

std::expected<attachment, std::string> attach_user(std::string_view value) {
    const auto network = hosted::user_network::parse(value);
    if (!network)
        return std::unexpected(network.error());
    auto cable = network->start(hosted::be_network);
    if (!cable)
        return std::unexpected(cable.error());
    return attachment{.descriptor = cable->release(), .mtu = hosted::user_network::mtu};
}

std::expected<attachment, std::string> attach_tap(std::string_view value) {
    const auto comma = value.find(',');
    const auto device = value.substr(0, comma);
    const bool offloads = comma != std::string_view::npos && value.substr(comma) == ",vnet";
    if (comma != std::string_view::npos && !offloads)
        return std::unexpected(std::string{"behind a TAP interface's name, only ',vnet' is known"});
    auto tap = hosted::open_tap(std::string{device}, offloads);
    if (!tap)
        return std::unexpected(tap.error());
    if (offloads && !hosted::take_unfinished(tap->descriptor.get(), true, true, true))
        return std::unexpected(std::string{"the kernel offers no offloads: leave ',vnet' away"});
    return attachment{tap->descriptor.release(), offloads, tap->mtu, device, tap->up};
}

} // namespace

result<attachment> attach(const machine& home, std::string_view name) noexcept {
    const auto value = home.given().find(options::kind::net, name);
    if (!value) {
        say_what_is_missing(std::string{name});
        return std::unexpected(errc::not_found);
    }
    const bool user = *value == "user" || value->starts_with("user,");
    const auto link = user ? attach_user(*value) : attach_tap(*value);
    if (!link) {
        complain(option("--net:", name, *value) + link.error());
        return std::unexpected(errc::io);
    }
    if (!link->up)
        complain(option("--net:", name, *value)
                 + "the interface is down; nothing is sent or received before `ip link set "
                 + std::string{link->device} + " up`");
    return *link;
}

result<mac_address> choose_mac(const machine& home, std::string_view name) noexcept {
    const auto value = home.given().find(options::kind::net_mac, name);
    const auto mac = value ? hosted::parse_mac(*value) : hosted::random_mac();
    if (!mac) {
        complain((value ? "--net-mac:" + std::string{name} + ": " : std::string{name} + ": ") + mac.error());
        return std::unexpected(errc::invalid_argument);
    }
    return mac_address{*mac};
}

} // namespace mirage::host
