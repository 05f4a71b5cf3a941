// SPDX-License-Identifier: MIT
#include "mirage/hosted/tap.hpp"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

namespace mirage::hosted {

namespace {

ifreq request_for(const std::string& device) {
    ifreq request{};
    std::memcpy(request.ifr_name, device.data(), std::min(device.size(), std::size_t{IFNAMSIZ - 1}));
    return request;
}

/// How to make a TAP interface that this user may use.
std::string how_to_make(const std::string& device) {
    return "make one with\n  sudo ip tuntap add " + device
           + " mode tap user $USER\n  sudo ip addr add 10.0.0.1/24 dev " + device + "\n  sudo ip link set "
           + device + " up\nor do without: user networking needs neither root nor TAP";
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

void read_properties(tap& link, const std::string& device) {
    link.device = device;
    const unique_fd control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request = request_for(device);
    if (::ioctl(control.get(), SIOCGIFMTU, &request) == 0)
        link.mtu = std::clamp<std::size_t>(static_cast<std::size_t>(request.ifr_mtu), 68, 65535);
    request = request_for(device);
    if (::ioctl(control.get(), SIOCGIFFLAGS, &request) == 0)
        link.up = (request.ifr_flags & IFF_UP) != 0;
}

} // namespace

std::expected<tap, std::string> open_tap(const std::string& device, bool header) {
    if (device.empty() || device.size() >= IFNAMSIZ || ::if_nametoindex(device.c_str()) == 0)
        return std::unexpected("there is no such interface; "
                               + how_to_make(device.empty() ? "tap0" : device));
    tap link{unique_fd{::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)}};
    if (!link.descriptor)
        return std::unexpected("/dev/net/tun cannot be opened: " + std::string{std::strerror(errno)}
                               + "; user networking does without it");
    ifreq request = request_for(device);
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (header ? IFF_VNET_HDR : 0));
    if (::ioctl(link.descriptor.get(), TUNSETIFF, &request) != 0)
        return std::unexpected(why_not_attached(errno, device));
    (void)take_unfinished(link.descriptor.get(), false, false, false); // what an earlier user may have asked for
    link.header = header;
    read_properties(link, device);
    return link;
}

bool take_unfinished(int descriptor, bool checksums, bool joined_segments, bool ipv6) noexcept {
    const unsigned joined = TUN_F_TSO4 | TUN_F_TSO_ECN | (ipv6 ? TUN_F_TSO6 : 0u);
    const unsigned features = (checksums ? TUN_F_CSUM : 0u) | (checksums && joined_segments ? joined : 0u);
    return ::ioctl(descriptor, TUNSETOFFLOAD, features) == 0;
}

std::expected<tap, std::string> adopt_tap(int descriptor) {
    tap link{unique_fd{descriptor}};
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0)
        return std::unexpected("descriptor " + std::to_string(descriptor) + " is not open");
    (void)::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    (void)::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ifreq request{};
    if (::ioctl(descriptor, TUNGETIFF, &request) != 0)
        return link; // a socket pair, say: anything that carries a frame per read and write
    if ((request.ifr_flags & IFF_TAP) == 0 || (request.ifr_flags & IFF_NO_PI) == 0
        || (request.ifr_flags & IFF_VNET_HDR) != 0)
        return std::unexpected("descriptor " + std::to_string(descriptor)
                               + " is not a plain TAP interface (IFF_TAP | IFF_NO_PI, no vnet header)");
    read_properties(link, request.ifr_name);
    return link;
}

std::expected<std::array<std::uint8_t, 6>, std::string> random_mac() {
    std::array<std::uint8_t, 6> mac{};
    if (::getrandom(mac.data(), mac.size(), 0) != static_cast<ssize_t>(mac.size()))
        return std::unexpected(std::string{"the kernel gives no random numbers"});
    mac[0] = static_cast<std::uint8_t>((mac[0] & 0xfc) | 2); // IEEE 802 section 8.4: local, one station
    return mac;
}

std::expected<std::array<std::uint8_t, 6>, std::string> parse_mac(std::string_view text) {
    std::array<std::uint8_t, 6> mac{};
    bool good = text.size() == 17;
    for (std::size_t i = 0; good && i < 6; ++i) {
        const char* const at = text.data() + 3 * i;
        good = std::from_chars(at, at + 2, mac[i], 16).ptr == at + 2 && (i == 5 || at[2] == ':');
    }
    if (!good || (mac[0] & 1) != 0 || mac == std::array<std::uint8_t, 6>{})
        return std::unexpected("'" + std::string{text}
                               + "': expected the address of one station, such as 02:00:00:00:00:01");
    return mac;
}

} // namespace mirage::hosted
