// SPDX-License-Identifier: MIT
#include "mirage/host/attachment.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mirage::host {

namespace {

/// Closes its descriptor unless that was given away.
class owned_descriptor {
    int value_;

public:
    explicit owned_descriptor(int value) noexcept : value_{value} {}
    owned_descriptor(const owned_descriptor&) = delete;
    owned_descriptor& operator=(const owned_descriptor&) = delete;
    ~owned_descriptor() {
        if (value_ >= 0)
            ::close(value_);
    }
    int get() const noexcept { return value_; }
    int release() noexcept { return std::exchange(value_, -1); }
};

ifreq request_for(const std::string& device) noexcept {
    ifreq request{};
    std::memcpy(request.ifr_name, device.data(), std::min(device.size(), std::size_t{IFNAMSIZ - 1}));
    return request;
}

/// How to make a TAP interface that this user may use.
std::string how_to_make(const std::string& device) {
    return "make one with\n  sudo ip tuntap add " + device + " mode tap user $USER\n  sudo ip addr add 10.0.0.1/24 dev "
           + device + "\n  sudo ip link set " + device + " up\nor do without: user networking needs neither root nor TAP";
}

std::string why_not_attached(int error, const std::string& device) {
    if (error == EPERM)
        return "is not yours to use; as root, run me with that user's rights or " + how_to_make(device);
    if (error == EBUSY)
        return "is in use by another program";
    if (error == EINVAL)
        return "is not a TAP interface, or has several queues; " + how_to_make("tap0");
    return std::strerror(error);
}

result<attachment> attach_tap(const std::string& name, const std::string& device, bool offloads) {
    const std::string here = "--net:" + name + "=" + device + ": ";
    const auto failed = [&](const std::string& why) {
        complain(here + why);
        return std::unexpected(errc::io);
    };
    if (device.empty() || device.size() >= IFNAMSIZ || ::if_nametoindex(device.c_str()) == 0)
        return failed("there is no such interface; " + how_to_make(device.empty() ? "tap0" : device));

    owned_descriptor tap{::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (tap.get() < 0)
        return failed("/dev/net/tun cannot be opened: " + std::string{std::strerror(errno)}
                      + "; user networking does without (--net:" + name + "=user)");
    ifreq request = request_for(device);
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (offloads ? IFF_VNET_HDR : 0));
    if (::ioctl(tap.get(), TUNSETIFF, &request) != 0)
        return failed(why_not_attached(errno, device));
    // Without offloads this takes back what an earlier user of the interface may have asked for.
    const unsigned features = offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN : 0;
    if (::ioctl(tap.get(), TUNSETOFFLOAD, features) != 0 && offloads)
        return failed("the kernel offers no offloads: leave ',vnet' away");

    const owned_descriptor control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    attachment link{.offloads = offloads};
    if (request = request_for(device); ::ioctl(control.get(), SIOCGIFMTU, &request) == 0)
        link.mtu = std::clamp<std::size_t>(static_cast<std::size_t>(request.ifr_mtu), 68, 65535);
    if (request = request_for(device);
        ::ioctl(control.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0)
        complain(here + "the interface is down; nothing is sent or received before `ip link set " + device + " up`");
    link.descriptor = tap.release();
    return link;
}

} // namespace

result<attachment> attach(const machine& home, std::string_view interface) noexcept {
    const std::string name{interface};
    const auto given = home.given().find(options::kind::net, interface);
    if (!given) {
        complain("This application has a network interface '" + name + "'. Say where it leads, before its keys:\n"
                 "  --net:" + name + "=tap0    an existing TAP interface (sudo ip tuntap add tap0 mode tap user $USER)\n"
                 "  --net:" + name + "=user,hostfwd=tcp:127.0.0.1:8080-:80    user networking, no root needed");
        return std::unexpected(errc::not_found);
    }
    const auto comma = given->find(',');
    const std::string first{given->substr(0, comma)};
    const auto rest = comma == std::string_view::npos ? std::string_view{} : given->substr(comma + 1);
    if (!rest.empty() && rest != "vnet") {
        complain("--net:" + name + "=" + std::string{*given} + ": behind a TAP interface's name, only ',vnet' is known");
        return std::unexpected(errc::invalid_argument);
    }
    auto link = attach_tap(name, first, rest == "vnet");
    if (link)
        link->device = given->substr(0, comma);
    return link;
}

result<mac_address> choose_mac(const machine& home, std::string_view name) noexcept {
    if (const auto given = home.given().find(options::kind::net_mac, name)) {
        const auto mac = parse_mac(*given);
        if (!mac || mac->is_group() || *mac == mac_address{}) {
            complain("--net-mac:" + std::string{name} + "=" + std::string{*given}
                     + ": expected the address of one station, such as 02:00:00:00:00:01");
            return std::unexpected(errc::invalid_argument);
        }
        return *mac;
    }
    mac_address mac{};
    if (::getrandom(mac.octet.data(), mac.octet.size(), 0) != static_cast<ssize_t>(mac.octet.size())) {
        complain("the kernel gives no random numbers");
        return std::unexpected(errc::io);
    }
    mac.octet[0] = static_cast<std::uint8_t>((mac.octet[0] & 0xfc) | 2); // IEEE 802 section 8.4: local, one station
    return mac;
}

} // namespace mirage::host
