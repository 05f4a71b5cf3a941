// SPDX-License-Identifier: MIT
// The contract of NETIF over TAP interfaces, plain and with offloads, in a network namespace of this
// process's own.
#define DOCTEST_CONFIG_IMPLEMENT
#include "contract/netif.hpp"
#include "mirage/host.hpp"
#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr const char* device_name = "mirage-test0";

ifreq request() {
    ifreq r{};
    std::strcpy(r.ifr_name, device_name);
    return r;
}

/// Leaves for a network namespace without any interface of others; the reason if that cannot be.
std::optional<std::string> enter_namespace() {
    if (::unshare(CLONE_NEWNET) != 0)
        return "network namespaces need root";
    if (const int f = ::open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY); f >= 0) {
        (void)!::write(f, "1", 1); // or the kernel sends frames of its own
        ::close(f);
    }
    if (::access("/dev/net/tun", R_OK | W_OK) != 0)
        return "/dev/net/tun is not there or may not be opened";
    return std::nullopt;
}

/// A TAP interface that is there as long as this is; and a packet socket on its other side.
class tap {
    int holder_, packets_;

public:
    tap() {
        holder_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        auto r = request();
        r.ifr_flags = IFF_TAP | IFF_NO_PI;
        REQUIRE(::ioctl(holder_, TUNSETIFF, &r) == 0);
        REQUIRE(::ioctl(holder_, TUNSETPERSIST, 1) == 0);
        ::close(holder_); // now somebody else may attach
        packets_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
        set_up(true);
        sockaddr_ll where{};
        where.sll_family = AF_PACKET;
        where.sll_protocol = htons(ETH_P_ALL);
        where.sll_ifindex = static_cast<int>(::if_nametoindex(device_name));
        REQUIRE(::bind(packets_, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    }
    tap(const tap&) = delete;
    tap& operator=(const tap&) = delete;
    ~tap() {
        ::close(packets_);
        remove();
    }

    void set_up(bool up) {
        auto r = request();
        REQUIRE(::ioctl(packets_, SIOCGIFFLAGS, &r) == 0);
        r.ifr_flags = static_cast<short>(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
        REQUIRE(::ioctl(packets_, SIOCSIFFLAGS, &r) == 0);
        int error = 0; // the socket remembers that the interface was down
        socklen_t length = sizeof error;
        ::getsockopt(packets_, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    /// Once nobody is attached.
    void remove() {
        const int f = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        auto r = request();
        r.ifr_flags = IFF_TAP | IFF_NO_PI;
        if (::ioctl(f, TUNSETIFF, &r) == 0)
            ::ioctl(f, TUNSETPERSIST, 0);
        ::close(f);
    }
    bool send(const std::string& frame) {
        return ::send(packets_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
    }
    std::optional<std::string> sent() {
        for (int i = 0; i < 100; ++i) {
            std::string frame(70'000, '\0');
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t n = ::recvfrom(packets_, frame.data(), frame.size(), 0,
                                         reinterpret_cast<sockaddr*>(&from), &length);
            if (n > 0 && from.sll_pkttype != PACKET_OUTGOING) { // what we sent ourselves is seen, too
                frame.resize(static_cast<std::size_t>(n));
                return frame;
            }
            pollfd waiting{packets_, POLLIN, 0};
            if (n < 0)
                ::poll(&waiting, 1, 10);
        }
        return std::nullopt;
    }
};

template <bool Offloads>
struct tap_harness {
    tap peer;
    std::string option = std::string{"--net:service="} + device_name + (Offloads ? ",vnet" : "");
    host::machine home;
    host::netif<"service"> interface { home };

    tap_harness() {
        std::array<char*, 1> words{option.data()};
        REQUIRE(home.arguments(words));
        REQUIRE(interface.open().has_value());
        peer.set_up(false); // to be up since after attaching: a queue that carries frames at once, not some
                            // time later
        peer.set_up(true);
    }
    auto& device() { return interface; }
    bool send(const std::string& frame) { return peer.send(frame); }
    std::optional<std::string> sent() { return peer.sent(); }
    void wait() {
        if ((home.wait(home.now() + 1ms) >> interface.ready_bit() & 1) != 0)
            interface.readable().set();
    }
};
using plain = tap_harness<false>;
using offloading = tap_harness<true>;

std::string words(std::size_t size) {
    return contract::netif_detail::frame(size, 7);
}

} // namespace

TEST_CASE_TEMPLATE("netif contract", H, plain, offloading) {
    contract::netif_contract<H>();
}

TEST_CASE_TEMPLATE("an interface that goes down: io, no crash, no spinning; and it recovers", H, plain,
                   offloading) {
    H h;
    const std::string frame = words(100);
    REQUIRE(h.interface.transmit({.headers = as_octets(frame)}).has_value());
    CHECK(h.sent() == frame);
    h.peer.set_up(false);
    for (int i = 0; i < 3; ++i)
        CHECK(h.interface.transmit({.headers = as_octets(frame)}).error() == errc::io);
    std::array<received_frame, 1> burst;
    h.wait();
    CHECK(h.interface.receive(burst) == 0);
    h.peer.set_up(true);
    REQUIRE(h.interface.transmit({.headers = as_octets(frame)}).has_value());
    CHECK(h.sent() == frame);
    REQUIRE(h.send(words(90)));
    h.wait();
    REQUIRE(h.interface.receive(burst) == 1);
    CHECK(as_text(burst[0].data.view()) == words(90));
}

TEST_CASE("offloads are what was asked for") {
    CHECK(plain{}.interface.offloads().tso_size == 0);
    CHECK(plain{}.interface.offloads().tx_checksum == false);
    CHECK(offloading{}.interface.offloads().tso_size == 65535);
    const std::string frame = words(100);
    CHECK(plain{}
              .interface.transmit({.headers = as_octets(frame), .checksum_start = 34, .checksum_offset = 16})
              .error()
          == errc::unsupported);
}

TEST_CASE("an interface that is not there, is not a TAP, or is taken: an error") {
    const auto open = [](std::string option) {
        host::machine home;
        std::array<char*, 1> all{option.data()};
        REQUIRE(home.arguments(all));
        host::netif<"service"> interface { home };
        return interface.open();
    };
    CHECK(open("--pcap:service=x").error() == errc::not_found);
    CHECK_FALSE(open("--net:service=nosuchtap").has_value());
    CHECK_FALSE(open("--net:service=lo").has_value());
    CHECK_FALSE(open("--net:service=lo,fast").has_value());
    plain taken;
    CHECK_FALSE(open(std::string{"--net:service="} + device_name).has_value());
}

TEST_CASE("addresses: a random one for one station, or the one that was given") {
    const auto choose = [](std::string option) {
        host::machine home;
        std::array<char*, 1> all{option.data()};
        REQUIRE(home.arguments(all));
        return host::choose_mac(home, "service");
    };
    const auto first = choose("--net:service=tap0"), second = choose("--net:service=tap0");
    REQUIRE((first && second));
    CHECK(*first != *second);
    CHECK((first->octet[0] & 3) == 2);
    CHECK(choose("--net-mac:service=02:00:00:00:00:01") == mac_address{{2, 0, 0, 0, 0, 1}});
    CHECK_FALSE(choose("--net-mac:service=01:00:00:00:00:01").has_value()); // a group
    CHECK_FALSE(choose("--net-mac:service=02:00").has_value());
}

int main(int count, char** words_given) {
    if (const auto why = enter_namespace()) {
        std::printf("SKIP: %s\n", why->c_str());
        return 77;
    }
    return doctest::Context{count, words_given}.run();
}
